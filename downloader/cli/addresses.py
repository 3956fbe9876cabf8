"""The flags that name an archive."""

from typing import Annotated

import typer

ArchiveName = Annotated[str, typer.Option("--archive", metavar="NAME", help="A built-in archive, or a base URL.")]
ListArchive = Annotated[
    str | None, typer.Option("--archive", metavar="NAME", help="For series lists: a built-in archive, or a base URL.")
]
Api = Annotated[str | None, typer.Option("--api", metavar="API", help="Generation of the API to ask in: v4, v2, v1 or bindaas.")]
