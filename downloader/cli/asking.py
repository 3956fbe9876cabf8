"""`query` and `doctor`: what an archive says, and whether everything is in place to ask it."""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import aclosing
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Final, TypeVar

import typer

from downloader.archive.question import ArchiveQueries, Question, ReplyFormat, Topic, UnlistedSeries, make_question
from downloader.cli.addresses import Api
from downloader.cli.flags import Json, Output, Quiet, State, Verbose, path_of, print_json, run_async, start
from downloader.config.messages import refuse_choice
from downloader.config.settings import parse_flags, resolve_options
from downloader.doctor import Doctor, examine
from downloader.engine.mirror import open_archive_queries
from downloader.errors import SettingsError
from downloader.manifest import ArchiveAddress, load_manifest, named_address
from downloader.ui.doctor import render_doctor
from downloader.ui.rows import CsvRows, open_rows

FORMS: Final = ("table", "json", "csv")
HELD_BYTES: Final = 16 * 1024 * 1024
Word = TypeVar("Word", bound=StrEnum)

ArchiveOption = Annotated[str | None, typer.Option("--archive", metavar="NAME", help="A built-in archive, or a base URL.")]
ManifestFile = Annotated[
    Path | None, typer.Option("--manifest", metavar="FILE", parser=path_of, help="Take archive and credentials from a manifest.")
]
Text = Annotated[str | None, typer.Option(metavar="TEXT")]


def add_to(app: typer.Typer) -> None:
    """Give the command line these verbs."""
    app.command("query")(_query)
    app.command("doctor")(_doctor)


def _query(
    what: Annotated[str, typer.Argument(metavar="WHAT", help=f"One of {', '.join(Topic)}.")],
    archive: ArchiveOption = None,
    api: Api = None,
    manifest: ManifestFile = None,
    collection: Text = None,
    patient_id: Text = None,
    study_instance_uid: Text = None,
    series_instance_uid: Annotated[list[str] | None, typer.Option(metavar="UID", help="May be given several times.")] = None,
    modality: Text = None,
    body_part_examined: Text = None,
    manufacturer: Text = None,
    manufacturer_model_name: Text = None,
    since: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="For new-patients, new-studies, updated-series.")
    ] = None,
    shared_cart: Annotated[str | None, typer.Option(metavar="NAME", help="Name of a cart, for shared-cart.")] = None,
    doi: Annotated[str | None, typer.Option(metavar="DOI", help="For doi-collections and doi-series.")] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORM", help="table, json or csv; a table unless given.")
    ] = None,
    columns: Annotated[str | None, typer.Option("--columns", metavar="A,B", help="Only these attributes, in this order.")] = None,
    raw: Annotated[
        str | None, typer.Option("--raw", metavar="FORM", help="The reply as the archive writes it: csv, html, xml or json.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Ask an archive, in the words of its own generation."""
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
    raw_form = _raw_form_of(raw, {"--json": as_json, "--format": form is not None, "--columns": columns is not None})
    shown = _form_of(form, as_json=as_json)
    wanted = [name.strip() for name in (columns or "").split(",") if name.strip()]
    address = _address(archive, api, manifest)

    async def work() -> int:
        async with open_archive_queries(address, settings) as queries:
            if raw_form is not None:
                await _print_raw(queries, question, raw_form)
            else:
                await _print_rows(queries, question, shown, wanted)
        return 0

    return run_async(work)


async def _print_rows(queries: ArchiveQueries, question: Question, form: str, columns: list[str]) -> None:
    """Write the rows to stdout once all have come: what broke off half-way is not shown as if it were all."""
    offered = queries.offers.get(question.topic)
    known = offered.row_attributes if offered else ()
    unlisted = UnlistedSeries(question)
    unknown = [column for column in columns if offered and column not in known]
    if unknown:
        raise SettingsError(f"--columns: {refuse_choice(unknown[0], known)}")
    with tempfile.SpooledTemporaryFile(HELD_BYTES, mode="w+", encoding="utf-8", newline="") as held:
        file: IO[str] = sys.stdout if form == "table" else held
        writer = open_rows(form, file, columns, known)
        async with aclosing(queries.find_rows(question)) as rows:
            async for row in rows:
                unlisted.note(row)
                writer.write(row)
        writer.finish()
        held.seek(0)
        shutil.copyfileobj(held, sys.stdout)
    if isinstance(writer, CsvRows) and writer.unknown:
        _note(f"CSV leaves out {', '.join(sorted(writer.unknown))}; --format json has all")
    if unlisted.left:
        _note(f"no row came for series {', '.join(unlisted.left)}: the archive does not list it, or knows nothing of it")


def _note(sentence: str) -> None:
    """Something to know beside the result."""
    typer.echo(f"tciad: {sentence}", err=True)


async def _print_raw(queries: ArchiveQueries, question: Question, form: ReplyFormat) -> None:
    async with queries.open_reply(question, form) as reply:
        async for batch in reply.batches():
            for chunk in batch:
                sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _doctor(
    archive: ArchiveOption = None,
    api: Api = None,
    manifest: ManifestFile = None,
    output: Output = None,
    state: State = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Check network, archive, credentials, disk and state store, and say what to put into the manifest."""
    settings = start(quiet=quiet, verbose=verbose)
    flags = parse_flags({"output": output, "state": state})
    named = load_manifest(manifest) if manifest is not None else None
    options = resolve_options(flags, settings, named.options if named is not None else {})
    is_unknown = archive is not None and "://" in archive and api is None and named is None
    doctor = Doctor(
        base_url=archive if archive is not None and is_unknown else "",
        address=None if is_unknown else _address(archive, api, manifest),
        settings=settings,
        options=options,
    )

    async def work() -> int:
        report = await examine(doctor)
        if as_json:
            print_json(report.as_json())
        else:
            typer.echo(render_doctor(report))
        return report.exit_code

    return run_async(work)


def _address(archive: str | None, api: str | None, manifest: Path | None) -> ArchiveAddress:
    """The archive that the flags mean.

    Raises:
        SettingsError: they contradict each other, or name none.
        ManifestError: the manifest is wrong.
    """
    if manifest is not None:
        if archive is not None or api is not None:
            raise SettingsError("--manifest says which archive; leave out --archive and --api")
        return load_manifest(manifest).archive
    return named_address("tcia" if archive is None else archive, api, "--archive")


def _raw_form_of(raw: str | None, others: Mapping[str, bool]) -> ReplyFormat | None:
    """The format to pass on; `others` are the flags that have no use then, and whether they were given."""
    if raw is None:
        return None
    given = [flag for flag, is_given in others.items() if is_given]
    if given:
        raise SettingsError(
            f"--raw passes on what the archive writes, so {given[0]} has no use with it", next_step="leave one out"
        )
    return _word(ReplyFormat, raw, "--raw")


def _form_of(form: str | None, *, as_json: bool) -> str:
    """How the rows are to be shown."""
    if form is not None and form not in FORMS:
        raise SettingsError(f"--format: {refuse_choice(form, FORMS)}")
    if as_json and form not in {None, "json"}:
        raise SettingsError(f"--json and --format {form} contradict each other", next_step="leave one out")
    return "json" if as_json else form or "table"


def _word(kind: type[Word], word: str, named: str) -> Word:
    words = [member.value for member in kind]
    if word not in words:
        raise SettingsError(f"{named}: {refuse_choice(word, words)}")
    return kind(word)
