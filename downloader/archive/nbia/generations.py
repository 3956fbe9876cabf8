"""All supported generations of the API, the newest first."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from downloader.archive.nbia.bindaas import BINDAAS
from downloader.archive.nbia.endpoints import Generation
from downloader.archive.nbia.v1 import NBIA_V1
from downloader.archive.nbia.v2 import NBIA_V2
from downloader.archive.nbia.v4 import NBIA_V4

GENERATIONS: Final[Mapping[str, Generation]] = MappingProxyType(
    {table.name: table for table in (NBIA_V4, NBIA_V2, NBIA_V1, BINDAAS)}
)
