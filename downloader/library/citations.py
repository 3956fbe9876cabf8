"""`CITATION.txt`: how the data of a library wants to be cited, as the archive tells it and no further."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

from downloader.library.disk import put_file, write_new
from downloader.library.faults import LibraryFaults
from downloader.library.port import Citation

CITATION_NAME: Final = "CITATION.txt"
_HEAD: Final = (
    "How the archive wants the data of this library to be cited. Follow each address for the full citation,\n"
    "and keep to the licence and to the data usage policy of the collection.\n"
)
_NOT_TOLD: Final = "not told by the archive"


def write_citations(citations: Sequence[Citation], staging: Path, target: Path, faults: LibraryFaults) -> None:
    """Replace the file at `target` by way of one in `staging`. Blocks.

    Raises:
        LibraryError, NoSpaceError: it cannot be written.
    """
    temporary = staging / f"{CITATION_NAME}.{uuid4().hex}"
    with faults:
        write_new(temporary, "\n".join([_HEAD, *map(_tell, citations)]).encode("utf-8", errors="replace"))
        put_file(temporary, target)


def _tell(citation: Citation) -> str:
    licence = " ".join(filter(None, (citation.license_name, citation.license_uri)))
    series = f"{citation.series:,} series"
    lines = (
        f"Collection: {citation.collection} ({series})",
        f"Cite as: {citation.data_description_uri or _NOT_TOLD}",
        f"Licence: {licence or _NOT_TOLD}",
    )
    return "\n".join([" ".join(line.split()) for line in lines]) + "\n"
