"""`tciad failures`: the failed series of a library, and why they failed."""

from dataclasses import asdict

import typer

from downloader.cli.command import library_options, print_json, refuse_unknown_manifest, run_async, start
from downloader.cli.flags import Json, ManifestName, Output, State
from downloader.engine.holding import open_records
from downloader.results.amounts import count_text
from downloader.ui.texts import printable


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("failures")(_failures)


def _failures(output: Output = None, state: State = None, manifest: ManifestName = None, as_json: Json = False) -> int:
    """List the failed series with error, message and attempts."""
    options = library_options(output, state, start())

    async def work() -> int:
        async with open_records(options.output, options.state) as store:
            refuse_unknown_manifest(manifest, await store.manifests())
            failures = await store.failures(manifest)
        if as_json:
            print_json([asdict(failure) for failure in failures])
            return 0
        for failure in failures:
            attempts = count_text(failure.attempts, "attempt")
            typer.echo(f"{failure.series_instance_uid}  {failure.error} after {attempts}")
            typer.echo(f"    {printable(failure.message)}")
        typer.echo(f"{count_text(len(failures), 'series', 'series')} failed" if failures else "no failed series")
        return 0

    return run_async(work)
