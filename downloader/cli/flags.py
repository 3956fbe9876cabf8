"""Flags that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer


def path_of(text: str) -> Path:
    """The path that a flag names. An empty one, as of a variable that is not set, would mean the working directory."""
    if not text:
        raise typer.BadParameter("the path is empty")
    return Path(text)


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on stdout.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", parser=path_of, help="Directory of the library; overrides the manifest."),
]
State = Annotated[
    Path | None,
    typer.Option("--state", metavar="FILE", parser=path_of, help="File of the state store, if it is not in the library."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress, and log warnings only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Write a log line for each series.")]
Layout = Annotated[
    str | None,
    typer.Option("--layout", metavar="NAME", help="Layout of the library: classic, descriptive, idc, flat, or a template."),
]
Concurrency = Annotated[
    str | None, typer.Option("--concurrency", metavar="N", help="Maximum number of series at once; adapts below it.")
]

ArchiveName = Annotated[str, typer.Option("--archive", metavar="NAME", help="A built-in archive, or a base URL.")]
AnyArchive = Annotated[
    str | None, typer.Option("--archive", metavar="NAME", help="A built-in archive (default: tcia), or a base URL.")
]
ListArchive = Annotated[
    str | None, typer.Option("--archive", metavar="NAME", help="For series lists: a built-in archive, or a base URL.")
]
Api = Annotated[str | None, typer.Option("--api", metavar="API", help="Generation of the API: v4, v2, v1 or bindaas.")]

ManifestName = Annotated[
    str | None, typer.Option("--manifest", metavar="NAME", help="Only the series that this manifest selects.")
]
ManifestFile = Annotated[
    Path | None,
    typer.Option("--manifest", metavar="FILE", parser=path_of, help="Take archive and credentials from this manifest."),
]
ManifestFiles = Annotated[
    list[Path], typer.Argument(metavar="MANIFEST…", parser=path_of, help="Manifests, or .tcia, .csv or .txt series lists.")
]
