"""`verify`, `retry`, `adopt` and `store`: what proves and mends a library."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from downloader.archive.credentials import gather_secrets
from downloader.cli.addresses import Api, ArchiveName
from downloader.cli.backing_up import back_up
from downloader.cli.flags import Json, Output, Quiet, State, Verbose, path_of, print_json, run_async, start
from downloader.clock import SystemClock
from downloader.config.options import RunOptions
from downloader.config.settings import Settings, parse_flags, resolve_options
from downloader.engine.holding import open_beside_run
from downloader.engine.maintenance import adopt_tree, open_verification, rebuild_store
from downloader.engine.mirror import decide_options
from downloader.errors import SettingsError
from downloader.maintenance.verification import FindingListeners
from downloader.manifest import load_manifest, named_address
from downloader.model import Md5Mode
from downloader.results.adoption import AdoptionReport
from downloader.results.amounts import count_text
from downloader.results.findings import Finding
from downloader.results.verification import VerificationReport, WeakSeries
from downloader.ui.counting import open_count
from downloader.ui.maintenance import render_adoption, render_finding, render_rebuild, render_verification, render_weak
from downloader.ui.progress import open_progress

Manifests = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[MANIFEST…]", parser=path_of, help="Say where the archives of the library's series are."),
]
store_app = typer.Typer(name="store", help="Look after the state store of a library.", rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Give the command line these verbs."""
    app.command("verify")(_verify)
    app.command("retry")(_retry)
    app.command("adopt")(_adopt)
    store_app.command("rebuild")(_rebuild)
    store_app.command("backup")(back_up)
    app.add_typer(store_app)


@store_app.callback()
def _store() -> None:
    """Look after the state store of a library."""


def _verify(
    manifests: Manifests = None,
    output: Output = None,
    state: State = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read every image, and compare its MD5.")] = False,
    upstream: Annotated[
        bool, typer.Option("--upstream", help="Compare with the archive's own digests; downloads nothing.")
    ] = False,
    weak: Annotated[
        bool, typer.Option("--weak", help="List the series of which the archive's MD5 does not match every image.")
    ] = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Keep good copies, fetch damaged series again, and move what is wrong into quarantine."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Prove a library against its receipts and its store, and against the archive if asked."""
    settings = start(quiet=quiet, verbose=verbose)
    wanted = [load_manifest(path) for path in manifests or ()]
    flags = parse_flags({"output": output, "state": state})
    decided = [decide_options(flags, settings, manifest) for manifest in wanted]
    options = decided[0] if decided else _options_of(output, state, settings)
    for others in decided:
        options = replace(options, secrets={**others.secrets, **options.secrets})
    archives = [address for manifest in wanted for address in manifest.archives]
    findings: list[Finding] = []

    def show(finding: Finding) -> None:
        if as_json:
            findings.append(finding)
        else:
            typer.echo(render_finding(finding))

    weakly_proven: list[WeakSeries] = []

    def show_weak(one: WeakSeries) -> None:
        if as_json:
            weakly_proven.append(one)
        elif weak:
            typer.echo(render_weak(one))

    clock = SystemClock()

    async def work() -> VerificationReport:
        async with open_verification(options, archives, deep=deep, upstream=upstream, repair=repair) as verifier:
            with open_count(clock, silent=quiet or as_json) as count:
                report = await verifier.verify(count, FindingListeners(finding=show, weak=show_weak))
            with open_progress(clock, silent=quiet or as_json) as progress:
                return await verifier.fetch(report, progress)

    report = run_async(work)
    if as_json:
        print_json(report.as_json(findings, weakly_proven))
    else:
        typer.echo(render_verification(report))
    return report.exit_code


def _retry(
    output: Output = None,
    state: State = None,
    manifest: Annotated[str | None, typer.Option("--manifest", metavar="NAME", help="Only what this manifest wants.")] = None,
    as_json: Json = False,
) -> int:
    """Put failed series back into the queue, with all their attempts; the next run fetches them."""
    settings = start()
    options = _options_of(output, state, settings)

    async def work() -> int:
        async with open_beside_run(options.output, options.state) as store:
            known = await store.manifests()
            if manifest is not None and manifest not in known:
                raise SettingsError(f"--manifest: the library knows no {manifest!r}; there are {', '.join(known) or 'none'}")
            failures = await store.failures(manifest)
            await store.retry(manifest)
        if as_json:
            print_json({"library": str(options.output), "put_back": len(failures), "series": [asdict(one) for one in failures]})
        else:
            again = "; the next run fetches them" if failures else ""
            typer.echo(f"{count_text(len(failures), 'series', 'series')} put back{again}")
        return 0

    return run_async(work)


def _adopt(
    tree: Annotated[
        Path, typer.Argument(metavar="DIR", parser=path_of, help="What another program downloaded; nothing in it is changed.")
    ],
    archive: ArchiveName = "tcia",
    api: Api = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", metavar="FILE", parser=path_of, help="Take archive and layout from it.")
    ] = None,
    output: Output = None,
    state: State = None,
    layout: Annotated[str | None, typer.Option("--layout", metavar="NAME", help="Layout of the library.")] = None,
    md5: Annotated[
        str, typer.Option("--md5", metavar="MODE", help="require: only with the archive's MD5s; auto: where it has some; off.")
    ] = "require",
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files even where the library could share them.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Take over series that other programs downloaded, once each is proven against the archive; downloads nothing."""
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


def _rebuild(output: Output = None, state: State = None, as_json: Json = False, quiet: Quiet = False) -> int:
    """Make the state store anew from the receipts of the library; the old one is kept aside."""
    settings = start(quiet=quiet)
    options = _options_of(output, state, settings)

    async def work() -> int:
        with open_count(SystemClock(), silent=quiet or as_json) as count:
            report = await rebuild_store(options, count)
        if as_json:
            print_json(report.as_json())
        else:
            typer.echo(render_rebuild(report))
        return report.exit_code

    return run_async(work)


def _options_of(output: Path | None, state: Path | None, settings: Settings) -> RunOptions:
    return resolve_options(parse_flags({"output": output, "state": state}), settings, {})
