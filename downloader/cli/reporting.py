"""`report`: what a library holds, as a page for people, or as rows of its series for programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
import typer

from downloader import __version__
from downloader.cli.flags import Json, Output, State, path_of, print_json, run_async, start
from downloader.clock import SystemClock
from downloader.config.messages import one_of, refuse_choice
from downloader.config.options import RunOptions
from downloader.config.settings import parse_flags, resolve_options
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
    str | None, typer.Option("--format", metavar="FORMAT", help="html (a page), or csv, parquet or json (a row for each series).")
]
To = Annotated[Path | None, typer.Option("--to", metavar="FILE", parser=path_of, help="Where to; - is stdout, for csv and json.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What to write, and where to."""

    report_format: ReportFormat
    target: Path


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("report")(_report)


def _report(
    output: Output = None, state: State = None, report_format: Format = None, to: To = None, as_json: Json = False
) -> int:
    """Write what a library holds: a page for people, or its series as rows."""
    settings = start()
    options = resolve_options(parse_flags({"output": output, "state": state}), settings, {})
    order = _decide(report_format, to, options.output)
    if as_json and order.target == STDOUT:
        raise SettingsError("--json and --to -: stdout takes one document", next_step="name a file with --to")

    async def work() -> int:
        async with open_records(options.output, options.state) as store:
            tally = await (_write_page if order.report_format is ReportFormat.HTML else _write_rows)(order, options, store)
        if as_json:
            print_json(_document(order, options, tally))
        elif order.target != STDOUT:
            _tell(order.target, tally)
        return 0

    return run_async(work)


def _decide(report_format: str | None, to: Path | None, library: Path) -> _Order:
    """Without a format, the name of the file says it; without a name, it lies in the library."""
    chosen = _format_of(report_format, to)
    target = to or library / chosen.file_name
    if target == STDOUT and chosen in {ReportFormat.HTML, ReportFormat.PARQUET}:
        raise SettingsError(f"--to -: {chosen} goes to a file", next_step="name one with --to, or use --format csv or json")
    if chosen is ReportFormat.HTML:
        require_extra("matplotlib", "--format html")
    if chosen is ReportFormat.PARQUET:
        require_extra("pyarrow", "--format parquet")
    return _Order(report_format=chosen, target=target)


def _format_of(report_format: str | None, to: Path | None) -> ReportFormat:
    """What is to be written.

    Raises:
        SettingsError: there is no such format, or the file's name says another.
    """
    known = [choice.value for choice in ReportFormat]
    suffix = to.suffix.lower() if to else ""
    named = next((choice for choice in ReportFormat if suffix in choice.suffixes), None)
    if report_format is None:
        if suffix and named is None:
            raise SettingsError(
                f"--to {to}: no report is of the kind {suffix}",
                next_step=f"end its name in {one_of([f'.{word}' for word in known])}, or say --format",
            )
        return named or ReportFormat.HTML
    if report_format not in known:
        raise SettingsError(f"--format: {refuse_choice(report_format, known)}")
    chosen = ReportFormat(report_format)
    if named not in (None, chosen):
        raise SettingsError(
            f"--to {to} names a file of the format {named}, and --format says {chosen}", next_step="leave one out"
        )
    return chosen


async def _write_page(order: _Order, options: RunOptions, store: Inventory) -> SeriesTally:
    from downloader.ui.library_report.page import render_page  # noqa: PLC0415 - with Jinja, which no other verb needs

    summary = await gather_summary(
        store, library_state(options.output), options.output, made_at=SystemClock().now(), tool_version=__version__
    )
    page = await anyio.to_thread.run_sync(render_page, summary)
    async with open_target(order.target) as stream:
        await anyio.to_thread.run_sync(stream.write, page.encode())
    return summary.tally


async def _write_rows(order: _Order, options: RunOptions, store: Inventory) -> SeriesTally:  # noqa: ARG001 - as its twin
    async with open_target(order.target) as stream:
        await write_series(store.find(), order.report_format, stream)
    return await store.tally()


def _tell(target: Path, tally: SeriesTally) -> None:
    held = f"{count_text(tally.images, 'image')}, {size_text(tally.stored_bytes)}"
    typer.echo(
        f"{printable(str(target))}: {tally.complete:,} of {count_text(tally.selected, 'series', 'series')} complete, {held}"
    )


def _document(order: _Order, options: RunOptions, tally: SeriesTally) -> dict[str, Any]:
    return {
        "report": str(order.target.absolute()),
        "format": order.report_format.value,
        "library": str(options.output),
        **tally_json(tally),
    }
