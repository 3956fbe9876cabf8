"""`CITATION.txt`: how to cite the data of a library, with the archive's information only."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

from downloader.library.local.filesystem import FileSystemErrors, put_file, write_new
from downloader.library.model import Citation

CITATION_NAME: Final = "CITATION.txt"
_HEAD: Final = (
    "How the archive wants the data of this library to be cited. Follow each address for the full citation,\n"
    "and keep to the licence and to the data usage policy of the collection.\n"
)
_NOT_TOLD: Final = "not given by the archive"


def write_citations(citations: Sequence[Citation], staging: Path, target: Path, errors: FileSystemErrors) -> None:
    """Replace the file at `target` through one in `staging`. Blocks.

    Raises:
        LibraryError, NoSpaceError: it cannot be written.
    """
    temporary = staging / f"{CITATION_NAME}.{uuid4().hex}"
    told = [_tell(citation, _is_new(citations, index)) for index, citation in enumerate(citations)]
    with errors:
        write_new(temporary, "\n".join([_HEAD, *told]).encode("utf-8", errors="replace"))
        put_file(temporary, target)


def _is_new(citations: Sequence[Citation], index: int) -> bool:
    """Whether the previous citation has another description, or there is none."""
    return not index or citations[index - 1].description != citations[index].description


def _tell(citation: Citation, describe: bool) -> str:
    """The facts, one per line; then the description, indented so that it cannot imitate them."""
    licence = " ".join(filter(None, (citation.license_name, citation.license_uri)))
    series = f"{citation.series:,} series"
    lines = (
        f"Collection: {citation.collection} ({series})",
        f"Cite as: {citation.data_description_uri or _NOT_TOLD}",
        f"Licence: {licence or _NOT_TOLD}",
    )
    facts = [" ".join(line.split()) for line in lines]
    words = [f"    {line}" for line in citation.description.splitlines() if line.strip()] if describe else []
    return "\n".join([*facts, "", *words] if words else facts) + "\n"
