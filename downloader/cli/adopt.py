"""`tciad adopt`: take over series that other programs downloaded."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from downloader.archive.credentials import gather_secrets
from downloader.cli.command import print_json, run_async, start
from downloader.cli.flags import Api, ArchiveName, Json, Layout, Output, Quiet, State, Verbose, path_of
from downloader.clock import SystemClock
from downloader.config.settings import parse_flags, resolve_options
from downloader.engine.maintenance import adopt_tree
from downloader.engine.mirror import decide_options
from downloader.manifest import load_manifest, named_address
from downloader.model import Md5Mode
from downloader.results.adoption import AdoptionReport
from downloader.ui.counting import open_count
from downloader.ui.maintenance import render_adoption

Tree = Annotated[
    Path,
    typer.Argument(metavar="DIR", parser=path_of, help="Folder that another program filled; tciad changes nothing in it."),
]
ManifestFile = Annotated[
    Path | None, typer.Option("--manifest", metavar="FILE", parser=path_of, help="Take archive and layout from this manifest.")
]
Md5 = Annotated[
    str,
    typer.Option("--md5", metavar="MODE", help="require the archive's MD5 of every image; auto: where it has one; off: none."),
]
Copy = Annotated[bool, typer.Option("--copy", help="Copy the files, also where the library could share them by hard links.")]


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("adopt")(_adopt)


def _adopt(
    tree: Tree,
    archive: ArchiveName = "tcia",
    api: Api = None,
    manifest: ManifestFile = None,
    output: Output = None,
    state: State = None,
    layout: Layout = None,
    md5: Md5 = "require",
    copy: Copy = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Take over series that other programs downloaded. Each is first proven against the archive; no images are downloaded."""
    settings = start(quiet=quiet, verbose=verbose)
    wanted = [load_manifest(manifest)] if manifest is not None else []
    address = wanted[0].archive if wanted else named_address(archive, api, "--archive")
    flags = parse_flags({"output": output, "state": state, "layout": layout, "md5": md5})
    options = decide_options(flags, settings, wanted[0]) if wanted else resolve_options(flags, settings, {})
    secrets = {address.name: gather_secrets(address, settings)}
    options = replace(options, secrets=secrets, md5=flags.get("md5", Md5Mode.REQUIRE))

    async def work() -> AdoptionReport:
        with open_count(SystemClock(), silent=quiet or as_json) as count:
            return await adopt_tree(tree, address, options, count, link=not copy)

    report = run_async(work)
    if as_json:
        print_json(report.as_json())
    else:
        typer.echo(render_adoption(report))
    return report.exit_code
