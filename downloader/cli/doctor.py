"""`tciad doctor`: check whether a run would work."""

import typer

from downloader.cli.archive_flags import address_of
from downloader.cli.command import print_json, run_async, start
from downloader.cli.flags import AnyArchive, Api, Json, ManifestFile, Output, Quiet, State, Verbose
from downloader.config.settings import parse_flags, resolve_options
from downloader.doctor import Doctor, examine
from downloader.manifest import load_manifest
from downloader.ui.doctor import render_doctor


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("doctor")(_doctor)


def _doctor(
    archive: AnyArchive = None,
    api: Api = None,
    manifest: ManifestFile = None,
    output: Output = None,
    state: State = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Check whether a run would work.

    Checks network, archive, credentials, disk and state store, and prints what to put into the manifest.
    """
    settings = start(quiet=quiet, verbose=verbose)
    flags = parse_flags({"output": output, "state": state})
    named = load_manifest(manifest) if manifest is not None else None
    options = resolve_options(flags, settings, named.options if named is not None else {})
    is_unknown = archive is not None and "://" in archive and api is None and named is None
    doctor = Doctor(
        base_url=archive if archive is not None and is_unknown else "",
        address=None if is_unknown else address_of(archive, api, manifest),
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
