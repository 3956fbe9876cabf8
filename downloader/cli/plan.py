"""`tciad plan`: report what a run would find and fetch."""

import typer

from downloader.cli.command import print_reports, run_async, start
from downloader.cli.flags import Api, Json, ListArchive, ManifestFiles, Output, Quiet, State, Verbose
from downloader.config.settings import parse_flags
from downloader.engine.mirror import decide_options, make_plan
from downloader.manifest import load_manifest
from downloader.ui.plan import render_plan


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("plan")(_plan)


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
    """Report what a run would find and fetch. Reports series, images, bytes and disk space, and changes nothing."""
    settings = start(quiet=quiet, verbose=verbose)
    flags = parse_flags({"output": output, "state": state})
    wanted = [load_manifest(path, archive=archive, api=api) for path in manifests]

    async def work() -> int:
        reports = [await make_plan(manifest, decide_options(flags, settings, manifest)) for manifest in wanted]
        if as_json:
            print_reports([report.as_json() for report in reports])
        else:
            typer.echo("\n".join(render_plan(report) for report in reports))
        return 0

    return run_async(work)
