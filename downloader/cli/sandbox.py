"""`tciad sandbox`: a local archive with real DICOM images."""

from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer

from downloader.cli.command import print_json, run_async, start
from downloader.cli.flags import Json, path_of
from downloader.cli.interruption import Interrupted
from downloader.manifest import SANDBOX_PORT

Port = Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port to listen on; 0 picks a free one.")]
Host = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")]
Script = Annotated[
    Path | None,
    typer.Option("--script", metavar="FILE", parser=path_of, help="Catalogue and faults as YAML; see docs/sandbox.md."),
]


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("sandbox")(_sandbox)


def _sandbox(port: Port = SANDBOX_PORT, host: Host = "127.0.0.1", script: Script = None, as_json: Json = False) -> int:
    """Serve a local archive with real DICOM images, until interrupted."""
    start()
    try:
        return run_async(partial(_serve, host, port, script, as_json=as_json))
    except Interrupted:
        return 0


async def _serve(host: str, port: int, script: Path | None, *, as_json: bool) -> int:
    # with pydicom, a third of a second that `tciad --help` does not need
    from downloader.sandbox import read_catalogue_file, serve_sandbox  # noqa: PLC0415

    loaded = read_catalogue_file(script) if script else None
    catalogue, faults, access = (loaded.catalogue, loaded.faults, loaded.access) if loaded else (None, (), None)
    async with serve_sandbox(catalogue, host=host, port=port, faults=faults, access=access) as sandbox:
        if as_json:
            urls = {"base_url": sandbox.base_url, "bindaas_url": sandbox.bindaas_url, "token_url": sandbox.token_url}
            print_json(urls)
        else:
            typer.echo(
                f"The sandbox archive listens at {sandbox.base_url} (v4, v2, v1) and {sandbox.bindaas_url} (bindaas). "
                "Ctrl-C stops it."
            )
        await anyio.sleep_forever()
    return 0
