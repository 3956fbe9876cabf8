"""`tciad verify`: prove a library, and repair it if asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from downloader.cli.command import library_options, print_json, run_async, start
from downloader.cli.flags import Json, Output, Quiet, State, Verbose, path_of
from downloader.clock import SystemClock
from downloader.config.options import RunOptions
from downloader.config.settings import Settings, parse_flags
from downloader.engine.maintenance import open_verification
from downloader.engine.mirror import decide_options
from downloader.maintenance.verification import FindingListeners
from downloader.manifest import ArchiveAddress, Manifest, load_manifest
from downloader.results.findings import Finding
from downloader.results.verification import VerificationReport, WeakSeries
from downloader.ui.counting import open_count
from downloader.ui.maintenance import render_finding, render_verification, render_weak
from downloader.ui.progress import open_progress

Manifests = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[MANIFEST…]", parser=path_of, help="Manifests that name the archives of the library's series."),
]
Deep = Annotated[bool, typer.Option("--deep", help="Read every image, and compare its MD5 with the receipt.")]
Upstream = Annotated[bool, typer.Option("--upstream", help="Compare with the archive's own digests; downloads no images.")]
Weak = Annotated[bool, typer.Option("--weak", help="List the series for which the archive's MD5 does not match every image.")]
Repair = Annotated[
    bool,
    typer.Option("--repair", help="Keep good copies, fetch damaged series again, and move what is wrong into quarantine."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verification:
    """What to verify, and how."""

    options: RunOptions
    archives: Sequence[ArchiveAddress]
    deep: bool
    upstream: bool
    repair: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Findings:
    """Prints each finding at once, or collects all of them for the JSON document."""

    as_json: bool
    list_weak: bool
    findings: list[Finding] = field(default_factory=list)
    weak: list[WeakSeries] = field(default_factory=list)

    def show(self, finding: Finding) -> None:
        if self.as_json:
            self.findings.append(finding)
        else:
            typer.echo(render_finding(finding))

    def show_weak(self, series: WeakSeries) -> None:
        if self.as_json:
            self.weak.append(series)
        elif self.list_weak:
            typer.echo(render_weak(series))


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("verify")(_verify)


def _verify(
    manifests: Manifests = None,
    output: Output = None,
    state: State = None,
    deep: Deep = False,
    upstream: Upstream = False,
    weak: Weak = False,
    repair: Repair = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Prove a library against its receipts and its state store. With --upstream, also against the archive."""
    settings = start(quiet=quiet, verbose=verbose)
    wanted = [load_manifest(path) for path in manifests or ()]
    verification = _Verification(
        options=_options_of(wanted, output, state, settings),
        archives=[address for manifest in wanted for address in manifest.archives],
        deep=deep,
        upstream=upstream,
        repair=repair,
    )
    findings = _Findings(as_json=as_json, list_weak=weak)
    report = run_async(partial(_work, verification, findings, silent=quiet or as_json))
    if as_json:
        print_json(report.as_json(findings.findings, findings.weak))
    else:
        typer.echo(render_verification(report))
    return report.exit_code


async def _work(wanted: _Verification, findings: _Findings, *, silent: bool) -> VerificationReport:
    clock = SystemClock()
    async with open_verification(
        wanted.options, wanted.archives, deep=wanted.deep, upstream=wanted.upstream, repair=wanted.repair
    ) as verifier:
        with open_count(clock, silent=silent) as count:
            report = await verifier.verify(count, FindingListeners(finding=findings.show, weak=findings.show_weak))
        with open_progress(clock, silent=silent) as progress:
            return await verifier.fetch(report, progress)


def _options_of(wanted: Sequence[Manifest], output: Path | None, state: Path | None, settings: Settings) -> RunOptions:
    """The options of the first manifest, with the credentials for the archives of all."""
    if not wanted:
        return library_options(output, state, settings)
    flags = parse_flags({"output": output, "state": state})
    decided = [decide_options(flags, settings, manifest) for manifest in wanted]
    options = decided[0]
    for others in decided[1:]:
        options = replace(options, secrets={**others.secrets, **options.secrets})
    return options
