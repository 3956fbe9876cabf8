"""`tciad query`: send a query to an archive and print the rows."""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import IO, Annotated, Final, TypeVar

import typer

from downloader.archive.question import ArchiveQueries, Question, ReplyFormat, Topic, UnlistedSeries, make_question
from downloader.cli.archive_flags import address_of
from downloader.cli.command import run_async, start
from downloader.cli.flags import AnyArchive, Api, Json, ManifestFile, Quiet, Verbose
from downloader.config.messages import refuse_choice
from downloader.config.settings import Settings
from downloader.engine.mirror import open_archive_queries
from downloader.errors import SettingsError
from downloader.manifest import ArchiveAddress
from downloader.ui.rows import CsvRows, open_rows

FORMATS: Final = ("table", "json", "csv")
SPOOLED_IN_MEMORY_BYTES: Final = 16 * 1024 * 1024
Word = TypeVar("Word", bound=StrEnum)

What = Annotated[str, typer.Argument(metavar="WHAT", help=f"One of {', '.join(Topic)}.")]
Text = Annotated[str | None, typer.Option(metavar="TEXT")]
SeriesInstanceUids = Annotated[list[str] | None, typer.Option(metavar="UID", help="Can be given several times.")]
Since = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="For new-patients, new-studies, updated-series.")]
SharedCart = Annotated[str | None, typer.Option(metavar="NAME", help="Name of a cart, for shared-cart.")]
Doi = Annotated[str | None, typer.Option(metavar="DOI", help="For doi-collections and doi-series.")]
Format = Annotated[str | None, typer.Option("--format", metavar="FORMAT", help="table (the default), json or csv.")]
Columns = Annotated[str | None, typer.Option("--columns", metavar="A,B", help="Only these attributes, in this order.")]
Raw = Annotated[
    str | None, typer.Option("--raw", metavar="FORMAT", help="Print the reply as the archive writes it: csv, html, xml or json.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Printing:
    """How to print the reply: as the archive writes it in the format `raw`, or as rows in `form` with the wanted `columns`."""

    raw: ReplyFormat | None
    form: str
    columns: list[str]


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("query")(_query)


def _query(
    what: What,
    archive: AnyArchive = None,
    api: Api = None,
    manifest: ManifestFile = None,
    collection: Text = None,
    patient_id: Text = None,
    study_instance_uid: Text = None,
    series_instance_uid: SeriesInstanceUids = None,
    modality: Text = None,
    body_part_examined: Text = None,
    manufacturer: Text = None,
    manufacturer_model_name: Text = None,
    since: Since = None,
    shared_cart: SharedCart = None,
    doi: Doi = None,
    form: Format = None,
    columns: Columns = None,
    raw: Raw = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Send a query to an archive, and print the rows. Attributes keep the names of the archive's generation."""
    settings = start(quiet=quiet, verbose=verbose)
    filters = {
        "collection": collection,
        "patient_id": patient_id,
        "study_instance_uid": study_instance_uid,
        "series_instance_uids": series_instance_uid or None,
        "modality": modality,
        "body_part_examined": body_part_examined,
        "manufacturer": manufacturer,
        "manufacturer_model_name": manufacturer_model_name,
        "since": since,
        "shared_cart": shared_cart,
        "doi": doi,
    }
    question = make_question(what, filters, named="--{}")
    printing = _printing_of(form, columns, raw, as_json=as_json)
    return run_async(partial(_ask, address_of(archive, api, manifest), settings, question, printing))


def _printing_of(form: str | None, columns: str | None, raw: str | None, *, as_json: bool) -> _Printing:
    """How the flags want the reply to be printed.

    Raises:
        SettingsError: they contradict each other, or name an unknown format.
    """
    return _Printing(
        raw=_raw_form_of(raw, {"--json": as_json, "--format": form is not None, "--columns": columns is not None}),
        form=_form_of(form, as_json=as_json),
        columns=[name.strip() for name in (columns or "").split(",") if name.strip()],
    )


async def _ask(address: ArchiveAddress, settings: Settings, question: Question, printing: _Printing) -> int:
    async with open_archive_queries(address, settings) as queries:
        if printing.raw is not None:
            await _print_raw(queries, question, printing.raw)
        else:
            await _print_rows(queries, question, printing.form, printing.columns)
    return 0


async def _print_rows(queries: ArchiveQueries, question: Question, form: str, columns: list[str]) -> None:
    """Write the rows to stdout once all have come, so that a reply that breaks off is not taken for a whole one."""
    offered = queries.offers.get(question.topic)
    known = offered.row_attributes if offered else ()
    unlisted = UnlistedSeries(question)
    unknown = [column for column in columns if offered and column not in known]
    if unknown:
        raise SettingsError(f"--columns: {refuse_choice(unknown[0], known)}")
    with tempfile.SpooledTemporaryFile(SPOOLED_IN_MEMORY_BYTES, mode="w+", encoding="utf-8", newline="") as spooled:
        file: IO[str] = sys.stdout if form == "table" else spooled
        writer = open_rows(form, file, columns, known)
        async with aclosing(queries.find_rows(question)) as rows:
            async for row in rows:
                unlisted.note(row)
                writer.write(row)
        writer.finish()
        spooled.seek(0)
        shutil.copyfileobj(spooled, sys.stdout)
    if isinstance(writer, CsvRows) and writer.unknown:
        _note(f"the CSV omits {', '.join(sorted(writer.unknown))}; use --format json to get every attribute")
    if unlisted.left:
        _note(f"the archive returned no row for series {', '.join(unlisted.left)}; it does not list or does not know it")


def _note(sentence: str) -> None:
    """Print on stderr what a reader of the result should know."""
    typer.echo(f"tciad: {sentence}", err=True)


async def _print_raw(queries: ArchiveQueries, question: Question, form: ReplyFormat) -> None:
    async with queries.open_reply(question, form) as reply:
        async for batch in reply.batches():
            for chunk in batch:
                sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _raw_form_of(raw: str | None, others: Mapping[str, bool]) -> ReplyFormat | None:
    """The format of the archive to print; `others` are the flags that contradict it, and whether they were given."""
    if raw is None:
        return None
    given = [flag for flag, is_given in others.items() if is_given]
    if given:
        raise SettingsError(
            f"--raw prints the reply as the archive writes it, and {given[0]} would change it", next_step="leave one out"
        )
    return _word(ReplyFormat, raw, "--raw")


def _form_of(form: str | None, *, as_json: bool) -> str:
    """The format of the rows."""
    if form is not None and form not in FORMATS:
        raise SettingsError(f"--format: {refuse_choice(form, FORMATS)}")
    if as_json and form not in {None, "json"}:
        raise SettingsError(f"--json and --format {form} contradict each other", next_step="leave one out")
    return "json" if as_json else form or "table"


def _word(kind: type[Word], word: str, named: str) -> Word:
    words = [member.value for member in kind]
    if word not in words:
        raise SettingsError(f"{named}: {refuse_choice(word, words)}")
    return kind(word)
