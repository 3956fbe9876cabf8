"""`store backup`: a copy of the state store while it is in use."""

from pathlib import Path
from typing import Annotated

import typer

from downloader.cli.flags import Json, Output, State, path_of, print_json, start
from downloader.config.settings import parse_flags, resolve_options
from downloader.engine.state_store import refuse_link, state_path
from downloader.errors import StoreError
from downloader.results.amounts import size_text
from downloader.store.sqlite.backup import back_up_store
from downloader.store.sqlite.errors import translated_errors

Target = Annotated[
    Path, typer.Argument(metavar="TO", parser=path_of, help="The file to write; a copy that is there is replaced in one step.")
]


def back_up(to: Target, output: Output = None, state: State = None, as_json: Json = False) -> int:
    """Copy the state store of a library, also while a run or the service is using it."""
    settings = start()
    options = resolve_options(parse_flags({"output": output, "state": state}), settings, {})
    path = state_path(options)
    refuse_link(options)
    with translated_errors(path):
        is_there = path.exists()
    if not is_there:
        raise StoreError(f"{options.output} has no state store at {path}", next_step="name the library with -o")
    copied_bytes = back_up_store(path, to)
    if as_json:
        print_json({"store": str(path), "backup": str(to), "bytes": copied_bytes})
    else:
        typer.echo(f"{path} is copied to {to}: {size_text(copied_bytes)}")
    return 0
