"""`tciad report`: what a library holds, as an HTML page or as a row for each series."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
import typer

from downloader import __version__
from downloader.cli.command import library_options, print_json, run_async, start
from downloader.cli.flags import Json, Output, State, path_of
from downloader.clock import SystemClock
from downloader.config.messages import one_of, refuse_choice
from downloader.config.options import RunOptions
from downloader.engine.holding import open_records
from downloader.engine.library_state import library_state
from downloader.errors import SettingsError
from downloader.model import SeriesTally
from downloader.results.amounts import count_text, size_text
from downloader.results.tallies import tally_json
from downloader.store.port import Inventory
from downloader.ui.library_report.extras import require_extra
from downloader.ui.library_report.formats import ReportFormat
from downloader.ui.library_report.gathering import gather_summary
from downloader.ui.library_report.series_files import write_series
from downloader.ui.library_report.target import STDOUT, open_target
from downloader.ui.texts import printable

Format = Annotated[
    str | None,
    typer.Option("--format", metavar="FORMAT", help="html (the default), or csv, parquet or json, with a row per series."),
]
To = Annotated[
    Path | None, typer.Option("--to", metavar="FILE", parser=path_of, help="Output file; - for stdout (csv and json).")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """The report to write, and its file; `path` may be STDOUT."""

    report_format: ReportFormat
    path: Path


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("report")(_report)


def _report(
    output: Output = None, state: State = None, report_format: Format = None, to: To = None, as_json: Json = False
) -> int:
    """Write a report about a library. The report is an HTML page, or has a row for each series."""
    options = library_options(output, state, start())
    target = _decide(report_format, to, options.output)
    if as_json and target.path == STDOUT:
        raise SettingsError("--json and --to -: stdout can have one document only", next_step="name a file with --to")

    async def work() -> int:
        async with open_records(options.output, options.state) as store:
            tally = await (_write_page if target.report_format is ReportFormat.HTML else _write_rows)(target, options, store)
        if as_json:
            print_json(_document(target, options, tally))
        elif target.path != STDOUT:
            _print_summary(target.path, tally)
        return 0

    return run_async(work)


def _decide(report_format: str | None, to: Path | None, library: Path) -> _Target:
    """The format, by default that of the file's extension, and the file, by default one in the library.

    Raises:
        SettingsError: the format is not known, cannot go to this file, or needs a package that is not installed.
    """
    chosen = _format_of(report_format, to)
    path = to or library / chosen.file_name
    if path == STDOUT and chosen in {ReportFormat.HTML, ReportFormat.PARQUET}:
        raise SettingsError(
            f"--to -: {chosen} cannot be written to stdout", next_step="name a file with --to, or use --format csv or json"
        )
    if chosen is ReportFormat.HTML:
        require_extra("matplotlib", "--format html")
    if chosen is ReportFormat.PARQUET:
        require_extra("pyarrow", "--format parquet")
    return _Target(report_format=chosen, path=path)


def _format_of(report_format: str | None, to: Path | None) -> ReportFormat:
    """The format of the report.

    Raises:
        SettingsError: the format is not known, or the file's extension is that of another one.
    """
    known = [choice.value for choice in ReportFormat]
    suffix = to.suffix.lower() if to else ""
    named = next((choice for choice in ReportFormat if suffix in choice.suffixes), None)
    if report_format is None:
        if suffix and named is None:
            raise SettingsError(
                f"--to {to}: no report format has the extension {suffix}",
                next_step=f"use {one_of([f'.{word}' for word in known])}, or set --format",
            )
        return named or ReportFormat.HTML
    if report_format not in known:
        raise SettingsError(f"--format: {refuse_choice(report_format, known)}")
    chosen = ReportFormat(report_format)
    if named not in (None, chosen):
        raise SettingsError(
            f"--to {to} has the extension of {named}, which contradicts --format {chosen}", next_step="leave one out"
        )
    return chosen


async def _write_page(target: _Target, options: RunOptions, store: Inventory) -> SeriesTally:
    from downloader.ui.library_report.page import render_page  # noqa: PLC0415 - with Jinja, which no other verb needs

    summary = await gather_summary(
        store, library_state(options.output), options.output, made_at=SystemClock().now(), tool_version=__version__
    )
    page = await anyio.to_thread.run_sync(render_page, summary)
    async with open_target(target.path) as stream:
        await anyio.to_thread.run_sync(stream.write, page.encode())
    return summary.tally


async def _write_rows(target: _Target, options: RunOptions, store: Inventory) -> SeriesTally:  # noqa: ARG001 - like _write_page
    async with open_target(target.path) as stream:
        await write_series(store.find(), target.report_format, stream)
    return await store.tally()


def _print_summary(target: Path, tally: SeriesTally) -> None:
    held = f"{count_text(tally.images, 'image')}, {size_text(tally.stored_bytes)}"
    typer.echo(
        f"{printable(str(target))}: {tally.complete:,} of {count_text(tally.selected, 'series', 'series')} complete, {held}"
    )


def _document(target: _Target, options: RunOptions, tally: SeriesTally) -> dict[str, Any]:
    return {
        "report": str(target.path.absolute()),
        "format": target.report_format.value,
        "library": str(options.output),
        **tally_json(tally),
    }
