"""What an endpoint can answer, before a format or a fault has touched it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from downloader.sandbox.catalogue import Holding
from downloader.sandbox.images import SandboxImage

Value = str | int | bool | None
Parameters = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows for the format that the request asks for; `formats` lists what the endpoint can, the default first."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Value, ...]]
    formats: tuple[str, ...] = ("json", "csv", "csvquoted", "csv-download", "html", "xml")


@dataclass(frozen=True, slots=True)
class Text:
    """A bare text such as a hash; empty without one."""

    text: str


@dataclass(frozen=True, slots=True)
class NoContent:
    """204: the archive has nothing to say (docs/archives.md#empty-replies)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An English sentence, labelled application/json although it is not JSON (docs/archives.md#error-replies)."""

    text: str
    status: int = 400


@dataclass(frozen=True, slots=True)
class ServerFault:
    """A 500 as of an uncaught exception."""


class Naming(Enum):
    """How members of a ZIP are named: by a counter in no order, or `<acquisition>-<instance>`.

    Source: docs/archives.md#image-endpoints.
    """

    COUNTER = "counter"
    RANKED = "ranked"


class ListOrder(Enum):
    """The rows of md5hashes.csv: in the order of a hash map, or of the images (docs/archives.md#image-endpoints)."""

    SHUFFLED = "shuffled"
    OF_IMAGES = "of images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A ZIP of one series' images.

    `md5_list` None means that no md5hashes.csv was asked for; `announced` that a header tells how many images come.
    """

    holding: Holding
    naming: Naming
    license: bool = False
    md5_list: ListOrder | None = None
    annotation: bool = False
    announced: bool = False


@dataclass(frozen=True, slots=True)
class SingleImage:
    """One bare image."""

    image: SandboxImage


Answer = Table | Text | NoContent | Refusal | ServerFault | Download | SingleImage


def first(parameters: Parameters, name: str) -> str | None:
    """The first value of a parameter; None where it is absent, which is not the same as empty (docs/archives.md#parameters)."""
    values = parameters.get(name)
    return values[0] if values else None
