"""`tciad run`: fetch and prove everything that manifests select."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Annotated

import typer

from downloader.cli.command import start
from downloader.cli.flags import Api, Concurrency, Json, Layout, ListArchive, ManifestFiles, Output, Quiet, State, Verbose
from downloader.cli.mirror import mirror
from downloader.config.settings import parse_flags
from downloader.errors import ExitCode, ManifestError
from downloader.manifest import Manifest, load_manifest

Attempts = Annotated[str | None, typer.Option("--attempts", metavar="N", help="Attempts per series.")]
Bandwidth = Annotated[str | None, typer.Option("--bandwidth", metavar="RATE", help="Limit for all downloads, such as 40MB/s.")]
MaxShrink = Annotated[
    str | None,
    typer.Option("--max-shrink", metavar="PERCENT", help="Accept a catalogue that shrank by at most this much."),
]
MinFreeSpace = Annotated[str | None, typer.Option("--min-free-space", metavar="SIZE", help="Disk space that stays unused.")]
Md5 = Annotated[
    str | None,
    typer.Option("--md5", metavar="MODE", help="Compare with the archive's MD5s: auto (where it has them), require or off."),
]
Format = Annotated[
    str | None, typer.Option("--format", metavar="NAME", help="Store images, or zip: each series as the archive sends it.")
]
Deadline = Annotated[
    str | None,
    typer.Option("--deadline", metavar="DURATION", help="Stop after this time, such as 8h; the next run continues."),
]


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    rows = ["\n".join(wrap(f"{code.value:>3}  {code.__doc__}", 76, subsequent_indent="     ")) for code in ExitCode]
    # \b keeps the lines as they are
    app.command("run", epilog="\b\nExit codes:\n" + "\n".join(rows))(_run)


def _run(
    manifests: ManifestFiles,
    archive: ListArchive = None,
    api: Api = None,
    output: Output = None,
    state: State = None,
    concurrency: Concurrency = None,
    attempts: Attempts = None,
    bandwidth: Bandwidth = None,
    max_shrink: MaxShrink = None,
    min_free_space: MinFreeSpace = None,
    md5: Md5 = None,
    layout: Layout = None,
    storage: Format = None,
    deadline: Deadline = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Fetch and prove everything that the manifests select, then exit."""
    settings = start(quiet=quiet, verbose=verbose)
    given = {
        "output": output,
        "state": state,
        "concurrency": concurrency,
        "attempts": attempts,
        "bandwidth": bandwidth,
        "max_shrink": max_shrink,
        "min_free_space": min_free_space,
        "md5": md5,
        "layout": layout,
        "format": storage,
        "deadline": deadline,
    }
    wanted = [load_manifest(path, archive=archive, api=api) for path in manifests]
    _refuse_equal_names(wanted)
    return mirror(wanted, parse_flags(given), settings, as_json=as_json, quiet=quiet)


def _refuse_equal_names(manifests: Sequence[Manifest]) -> None:
    """Each of two manifests with one name would treat the other's series as withdrawn.

    Raises:
        ManifestError: two manifests have the same name.
    """
    named: dict[str, Path] = {}
    for manifest in manifests:
        if manifest.name in named:
            raise ManifestError(
                f"{manifest.path} and {named[manifest.name]} are both named {manifest.name!r}",
                next_step="give one of them another `name`",
            )
        named[manifest.name] = manifest.path
