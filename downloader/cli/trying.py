"""`sandbox` and `schema`: what helps to write and try a manifest."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from downloader.cli.flags import Json, path_of, print_json, run_async, start
from downloader.cli.interruption import Interrupted
from downloader.manifest import SANDBOX_PORT, manifest_schema


def add_to(app: typer.Typer) -> None:
    """Give the command line these verbs."""
    app.command("sandbox")(_sandbox)
    app.command("schema")(_schema)


def _sandbox(
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 picks a free one.")] = SANDBOX_PORT,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    script: Annotated[
        Path | None,
        typer.Option("--script", metavar="FILE", parser=path_of, help="Catalogue and faults as YAML; see docs/sandbox.md."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Serve a local archive with real DICOM images, until interrupted."""
    from downloader.sandbox import read_catalogue_file, serve_sandbox  # noqa: PLC0415 - a third of a second, for this verb only

    start()
    loaded = read_catalogue_file(script) if script else None

    async def work() -> int:
        catalogue, faults, access = (loaded.catalogue, loaded.faults, loaded.access) if loaded else (None, (), None)
        async with serve_sandbox(catalogue, host=host, port=port, faults=faults, access=access) as sandbox:
            if as_json:
                urls = {"base_url": sandbox.base_url, "bindaas_url": sandbox.bindaas_url, "token_url": sandbox.token_url}
                print_json(urls)
            else:
                typer.echo(
                    f"The sandbox archive answers at {sandbox.base_url} (v4, v2, v1) and {sandbox.bindaas_url} (bindaas). "
                    "Ctrl-C ends it."
                )
            await anyio.sleep_forever()
        return 0

    try:
        return run_async(work)
    except Interrupted:
        return 0


def _schema() -> int:
    """Print the JSON Schema of the manifest."""
    print_json(manifest_schema())
    return 0
