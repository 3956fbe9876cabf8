"""A local archive that speaks the NBIA API on a real socket, with real DICOM images and a script of faults.

It stands apart from the rest of tciad, of which it knows the errors and nothing else, so that it can tell where tciad is wrong.

One request, from top to bottom: `server` finds generation and endpoint in the tables of `nbia_v1`, `nbia_v2`, `nbia_v4` and
`bindaas` and looks who asks (`tokens`), the endpoint asks the catalogue (`queries`, `downloads`), faults change the answer
(`script`, `tampering`), `formats` or `zipwriter` turn it into bytes, `sending` sends them and spoils them where a fault says so.
"""

from downloader.sandbox.builder import catalogue_of, generated_series, sample_series, study_of
from downloader.sandbox.builtin import builtin_catalogue
from downloader.sandbox.catalogue import (
    LISTED_ONLY,
    PUBLIC,
    Catalogue,
    GeneratedImages,
    SampleImages,
    SandboxCollection,
    SandboxPatient,
    SandboxSeries,
    SandboxStudy,
)
from downloader.sandbox.catalogue_file import CatalogueFile, read_catalogue_file
from downloader.sandbox.faults import DOWNLOADS, EVERY, LISTINGS, Fault, FaultKind
from downloader.sandbox.images import SandboxImage
from downloader.sandbox.server import LoggedRequest, Sandbox, serve_sandbox
from downloader.sandbox.tokens import API_KEY, GUEST, PASSWORD, USERNAME, Access, TokenStyle

__all__ = [
    "API_KEY",
    "DOWNLOADS",
    "EVERY",
    "GUEST",
    "LISTED_ONLY",
    "LISTINGS",
    "PASSWORD",
    "PUBLIC",
    "USERNAME",
    "Access",
    "Catalogue",
    "CatalogueFile",
    "Fault",
    "FaultKind",
    "GeneratedImages",
    "LoggedRequest",
    "SampleImages",
    "Sandbox",
    "SandboxCollection",
    "SandboxImage",
    "SandboxPatient",
    "SandboxSeries",
    "SandboxStudy",
    "TokenStyle",
    "builtin_catalogue",
    "catalogue_of",
    "generated_series",
    "read_catalogue_file",
    "sample_series",
    "serve_sandbox",
    "study_of",
]
