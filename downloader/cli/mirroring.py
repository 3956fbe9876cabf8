"""`run`, `plan` and `get`: what asks the archive and fills a library."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from anyio import CancelScope

from downloader.archive.nbia.deployments import Deployments
from downloader.cli.addresses import Api, ArchiveName, ListArchive
from downloader.cli.flags import Json, Output, Quiet, State, Verbose, path_of, print_json, run_async, start
from downloader.cli.interruption import Interrupted
from downloader.clock import SystemClock
from downloader.config.options import OptionValues, RunOptions
from downloader.config.settings import Settings, parse_flags
from downloader.engine.mirror import decide_options, make_plan, open_mirror
from downloader.errors import ExitCode, ManifestError, SettingsError
from downloader.manifest import Manifest, Selection, check_uid, load_manifest, named_address
from downloader.mirroring.ending import Interruption, run_to_end
from downloader.results.run import RunReport
from downloader.ui.plan import render_plan
from downloader.ui.progress import open_progress
from downloader.ui.run import render_run

# When several manifests end differently, the process ends with the code that says most about what to do.
GRAVEST_FIRST = (
    ExitCode.FAULT,
    ExitCode.STORE,
    ExitCode.LIBRARY,
    ExitCode.ARCHIVE,
    ExitCode.USAGE,
    ExitCode.INCOMPLETE,
)

Concurrency = Annotated[str | None, typer.Option("--concurrency", metavar="N", help="Series at once at most.")]
Attempts = Annotated[str | None, typer.Option("--attempts", metavar="N", help="Attempts per series.")]
Bandwidth = Annotated[str | None, typer.Option("--bandwidth", metavar="RATE", help="All downloads together, such as 40MB/s.")]
MaxShrink = Annotated[
    str | None, typer.Option("--max-shrink", metavar="PERCENT", help="Believe a catalogue that lost up to so many of its series.")
]
Deadline = Annotated[
    str | None, typer.Option("--deadline", metavar="DURATION", help="End after so long, such as 8h; the next run goes on.")
]
MinFreeSpace = Annotated[str | None, typer.Option("--min-free-space", metavar="SIZE", help="Room that is never used.")]
Md5 = Annotated[str | None, typer.Option("--md5", metavar="MODE", help="auto, require or off.")]
Format = Annotated[str | None, typer.Option("--format", metavar="NAME", help="images, or zip: each series as it was sent.")]
Layout = Annotated[str | None, typer.Option("--layout", metavar="NAME", help="Layout of the library.")]
ManifestFiles = Annotated[
    list[Path], typer.Argument(metavar="MANIFEST…", parser=path_of, help="Manifests, or .tcia, .csv or .txt lists.")
]


def add_to(app: typer.Typer) -> None:
    """Give the command line these verbs."""
    app.command("run")(_run)
    app.command("plan")(_plan)
    app.command("get")(_get)


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
    """Resolve, fetch and prove everything that the manifests want; then exit."""
    settings = start(quiet=quiet, verbose=verbose)
    flags = parse_flags(
        {
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
    )
    wanted = [load_manifest(path, archive=archive, api=api) for path in manifests]
    _refuse_namesakes(wanted)
    return _mirror(wanted, flags, settings, as_json=as_json, quiet=quiet)


def _get(
    series_instance_uids: Annotated[list[str], typer.Argument(metavar="SERIES_INSTANCE_UID…", help="The series to fetch.")],
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
    return _mirror([_manifest_of(series_instance_uids, archive, api)], flags, settings, as_json=as_json, quiet=quiet)


def _plan(
    manifests: ManifestFiles,
    archive: ListArchive = None,
    api: Api = None,
    output: Output = None,
    state: State = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Say what a run would find and fetch: series, images, bytes, room. Changes nothing."""
    settings = start(quiet=quiet, verbose=verbose)
    flags = parse_flags({"output": output, "state": state})
    wanted = [load_manifest(path, archive=archive, api=api) for path in manifests]

    async def work() -> int:
        reports = [await make_plan(manifest, decide_options(flags, settings, manifest)) for manifest in wanted]
        if as_json:
            documents = [report.as_json() for report in reports]
            print_json(documents[0] if len(documents) == 1 else documents)
        else:
            typer.echo("\n".join(render_plan(report) for report in reports))
        return 0

    return run_async(work)


def _mirror(manifests: Sequence[Manifest], flags: OptionValues, settings: Settings, *, as_json: bool, quiet: bool) -> int:
    """Run the manifests one after another, print their reports, and return the gravest exit code."""
    runs = [(manifest, decide_options(flags, settings, manifest)) for manifest in manifests]
    libraries = [options.output for _, options in runs]
    reports: list[RunReport] = []
    clock = SystemClock()
    began = clock.monotonic()
    deployments = Deployments()

    async def work() -> None:
        with open_progress(clock, silent=quiet or as_json) as progress:
            for manifest, options in runs:
                left = _with_time_left(options, clock.monotonic() - began)
                opened = open_mirror(manifest, left, progress, deployments=deployments)
                interruption = Interruption(exit_code=ExitCode.INTERRUPTED, scope=CancelScope(), report_to=reports.append)
                reports.append((await run_to_end(manifest.name, opened, interruption)).report)

    try:
        run_async(work)
    except Interrupted as interrupted:
        if reports:
            reports[-1] = replace(reports[-1], exit_code=interrupted.exit_code)
        _print_reports(reports, libraries, as_json=as_json)
        return interrupted.exit_code
    _print_reports(reports, libraries, as_json=as_json)
    codes = {report.exit_code for report in reports}
    return next((code for code in GRAVEST_FIRST if code in codes), ExitCode.SUCCESS)


def _with_time_left(options: RunOptions, elapsed_seconds: float) -> RunOptions:
    """The options of a run that begins so late: all manifests of one command share its deadline."""
    if options.deadline_seconds is None:
        return options
    return replace(options, deadline_seconds=max(0.0, options.deadline_seconds - elapsed_seconds))


def _print_reports(reports: Sequence[RunReport], libraries: Sequence[Path], *, as_json: bool) -> None:
    """The reports as far as they go; `libraries` are those of all manifests, in the same order."""
    if as_json:
        documents = [report.as_json() for report in reports]
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    for report, library in zip(reports, libraries, strict=False):
        typer.echo(render_run(report, str(library)))


def _manifest_of(series_instance_uids: Sequence[str], archive: str, api: str | None) -> Manifest:
    """The manifest that means exactly these series; each set of them has a name of its own in the store.

    Raises:
        SettingsError: one of them is no UID, or the archive is none.
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


def _refuse_namesakes(manifests: Sequence[Manifest]) -> None:
    """Two manifests of one name would take each other's series for withdrawn."""
    named: dict[str, Path] = {}
    for manifest in manifests:
        if manifest.name in named:
            raise ManifestError(
                f"{manifest.path} and {named[manifest.name]} are both named {manifest.name!r}",
                next_step="give one of them another name",
            )
        named[manifest.name] = manifest.path
