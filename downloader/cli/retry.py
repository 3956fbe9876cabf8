"""`tciad retry`: put failed series back into the queue."""

from dataclasses import asdict

import typer

from downloader.cli.command import library_options, print_json, refuse_unknown_manifest, run_async, start
from downloader.cli.flags import Json, ManifestName, Output, State
from downloader.engine.holding import open_for_corrections
from downloader.results.amounts import count_text


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("retry")(_retry)


def _retry(output: Output = None, state: State = None, manifest: ManifestName = None, as_json: Json = False) -> int:
    """Put failed series back into the queue. They get all their attempts again; the next run fetches them."""
    options = library_options(output, state, start())

    async def work() -> int:
        async with open_for_corrections(options.output, options.state) as store:
            refuse_unknown_manifest(manifest, await store.manifests())
            failures = await store.failures(manifest)
            await store.retry(manifest)
        if as_json:
            print_json({"library": str(options.output), "put_back": len(failures), "series": [asdict(one) for one in failures]})
        else:
            again = "; the next run fetches them" if failures else ""
            typer.echo(f"{count_text(len(failures), 'series', 'series')} put back into the queue{again}")
        return 0

    return run_async(work)
