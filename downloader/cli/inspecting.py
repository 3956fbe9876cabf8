"""`status` and `failures`: what a library says of itself."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from downloader.cli.flags import Json, Output, State, print_json, run_async, start
from downloader.engine import open_records
from downloader.errors import SettingsError
from downloader.model import SeriesTally
from downloader.options import RunOptions
from downloader.settings import parse_flags, resolve_options
from downloader.views.texts import count_text, printable, size_text

ManifestName = Annotated[str | None, typer.Option("--manifest", metavar="NAME", help="Only what this manifest wants.")]


def add_to(app: typer.Typer) -> None:
    """Give the command line these verbs."""
    app.command("status")(_status)
    app.command("failures")(_failures)


def _status(output: Output = None, state: State = None, as_json: Json = False) -> int:
    """How complete a library is, manifest by manifest."""
    options = _library_options(output, state)

    async def work() -> int:
        async with open_records(options.output, options.state) as store:
            tallies = {name: await store.tally(name) for name in await store.manifests()}
            total = await store.tally()
        if as_json:
            manifests = [{"manifest": name, **_tally_json(tally)} for name, tally in tallies.items()]
            print_json({"library": str(options.output), **_tally_json(total), "manifests": manifests})
        else:
            _print_status(options.output, total, tallies)
        return 0

    return run_async(work)


def _failures(output: Output = None, state: State = None, manifest: ManifestName = None, as_json: Json = False) -> int:
    """Which series failed, and why."""
    options = _library_options(output, state)

    async def work() -> int:
        async with open_records(options.output, options.state) as store:
            known = await store.manifests()
            if manifest is not None and manifest not in known:
                raise SettingsError(f"--manifest: the library knows no {manifest!r}; there are {', '.join(known) or 'none'}")
            failures = await store.failures(manifest)
        if as_json:
            print_json([asdict(failure) for failure in failures])
            return 0
        for failure in failures:
            attempts = count_text(failure.attempts, "attempt")
            typer.echo(f"{failure.series_instance_uid}  {failure.error} after {attempts}")
            typer.echo(f"    {printable(failure.message)}")
        typer.echo(f"{count_text(len(failures), 'series', 'series')} failed" if failures else "nothing failed")
        return 0

    return run_async(work)


def _library_options(output: Path | None, state: Path | None) -> RunOptions:
    settings = start()
    return resolve_options(parse_flags({"output": output, "state": state}), settings, {})


def _tally_json(tally: SeriesTally) -> dict[str, Any]:
    return {
        "series": {
            "selected": tally.selected,
            "complete": tally.complete,
            "pending": tally.pending,
            "claimed": tally.claimed,
            "failed": tally.failed,
            "withdrawn": tally.withdrawn,
        },
        "images": tally.images,
        "stored_bytes": tally.stored_bytes,
        "expected_images": tally.expected_images,
        "expected_bytes": tally.expected_bytes,
    }


def _print_status(library: Path, total: SeriesTally, tallies: dict[str, SeriesTally]) -> None:
    table = Table(title=f"{printable(str(library))}", title_justify="left")
    for heading in ("manifest", "complete", "of", "pending", "failed", "withdrawn", "images", "stored"):
        table.add_column(heading, justify="left" if heading == "manifest" else "right")
    for name, tally in [*tallies.items(), ("all", total)]:
        table.add_row(
            printable(name),
            f"{tally.complete:,}",
            f"{tally.selected:,}",
            f"{tally.pending + tally.claimed:,}",
            f"{tally.failed:,}",
            f"{tally.withdrawn:,}",
            f"{tally.images:,}",
            size_text(tally.stored_bytes),
        )
    Console(markup=False, highlight=False).print(table)
