"""`tciad get`: fetch and prove a few series without a manifest."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from downloader.cli.command import start
from downloader.cli.flags import Api, ArchiveName, Concurrency, Json, Output, Quiet, State, Verbose
from downloader.cli.mirror import mirror
from downloader.config.settings import parse_flags
from downloader.errors import SettingsError
from downloader.manifest import Manifest, Selection, check_uid, named_address

SeriesInstanceUids = Annotated[list[str], typer.Argument(metavar="SERIES_INSTANCE_UID…", help="The series to fetch.")]


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("get")(_get)


def _get(
    series_instance_uids: SeriesInstanceUids,
    archive: ArchiveName = "tcia",
    api: Api = None,
    output: Output = None,
    state: State = None,
    concurrency: Concurrency = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Fetch and prove a few series, without a manifest."""
    settings = start(quiet=quiet, verbose=verbose)
    flags = parse_flags({"output": output, "state": state, "concurrency": concurrency})
    return mirror([_manifest_of(series_instance_uids, archive, api)], flags, settings, as_json=as_json, quiet=quiet)


def _manifest_of(series_instance_uids: Sequence[str], archive: str, api: str | None) -> Manifest:
    """The manifest that selects exactly these series; each set of series has a name of its own in the store.

    Raises:
        SettingsError: one of them is not a UID, or the archive is not known.
    """
    try:
        listed = tuple(dict.fromkeys(check_uid(name) for name in series_instance_uids))
    except ValueError as error:
        raise SettingsError(str(error)) from error
    digest = hashlib.sha256("\n".join(sorted(listed)).encode()).hexdigest()[:12]
    return Manifest(
        path=Path("command line"),
        name=f"get-{digest}",
        archive=named_address(archive, api, "--archive"),
        select=(Selection(position="command line", series_instance_uids=listed),),
    )
