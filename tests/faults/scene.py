"""A run from manifest to report against a sandbox on a real socket, with pauses that cost nothing."""

import hashlib
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import anyio.lowlevel
from pydantic import SecretStr

from downloader.config.options import RunOptions, Secrets
from downloader.engine.mirror import open_mirror
from downloader.library.receipt import RECEIPT_NAME, decode_receipt
from downloader.manifest import ApiGeneration, ArchiveAddress, Manifest, Selection
from downloader.model import Receipt
from downloader.results.run import RunReport
from downloader.sandbox import (
    API_KEY,
    PASSWORD,
    USERNAME,
    Catalogue,
    Fault,
    FaultKind,
    Sandbox,
    catalogue_of,
    generated_series,
    serve_sandbox,
)
from downloader.sandbox.faults import Family
from downloader.scheduling.leases import HEARTBEAT_SECONDS
from downloader.ui.progress import SilentProgress
from tests.fakes.clock import FakeClock

ATTEMPTS = 3
OWN_FOLDER = ".tciad"
NO_SINGLE_IMAGES = Fault(kind=FaultKind.STATUS, status=500, endpoints=("getSingleImage",))
"""Where it stands beside a fault that never ends, the missing images cannot be had one by one either."""
_SECRETS = {
    ApiGeneration.BINDAAS: Secrets(api_key=SecretStr(API_KEY)),
    ApiGeneration.V2: Secrets(username=SecretStr(USERNAME), password=SecretStr(PASSWORD)),
}
STRIKE_DOWNLOADS = frozenset({Family.REPLY, Family.BODY, Family.ZIP})


class PauseClock(FakeClock):
    """Pauses pass as soon as they begin. Leases are not renewed: none of these attempts outlasts one."""

    async def sleep(self, seconds: float) -> None:
        """Let that much time pass at once."""
        if seconds == HEARTBEAT_SECONDS:
            await anyio.sleep_forever()
        self.slept.append(seconds)
        self.elapsed_seconds += seconds
        await anyio.lowlevel.checkpoint()


def small_catalogue() -> Catalogue:
    """Two series of 4 and 3 images; the faults strike the first, and the second must not notice."""
    return catalogue_of(
        [generated_series(seed=1, images=4, rows=64, columns=64), generated_series(seed=2, images=3, rows=64, columns=64)]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A sandbox and the folder in which a library is made of it."""

    root: Path
    sandbox: Sandbox
    base_url: str
    clock: PauseClock

    @property
    def library(self) -> Path:
        """The library of every run in this scene."""
        return self.root / "library"

    @property
    def victim(self) -> str:
        """The series that the faults are meant for: the first of the catalogue."""
        return next(iter(self.sandbox.catalogue.holdings))

    @property
    def neighbour(self) -> str:
        """The second series of the catalogue."""
        return list(self.sandbox.catalogue.holdings)[1]

    def manifest(self, api: ApiGeneration = ApiGeneration.V4, select: Sequence[Selection] = ()) -> Manifest:
        """A manifest that wants everything, unless told."""
        return Manifest(
            path=self.root / "m.yaml",
            name="m",
            archive=ArchiveAddress(base_url=self.sandbox.bindaas_url if api is ApiGeneration.BINDAAS else self.base_url, api=api),
            select=tuple(select) or (Selection(position="m.yaml:1", values={"collection": ("*",)}),),
        )

    async def run(
        self, api: ApiGeneration = ApiGeneration.V4, *, select: Sequence[Selection] = (), options: RunOptions | None = None
    ) -> RunReport:
        """One run, proven afterwards: whatever came of it, nothing wrong lies in the library."""
        options = replace(
            options or RunOptions(attempts=ATTEMPTS),
            secrets={self.manifest(api).archive.name: _SECRETS[api]} if api in _SECRETS else {},
            output=self.library,
            min_free_bytes=0,
            minimum_bytes_per_second=0,  # on a clock that jumps, everything is slow
        )
        async with open_mirror(self.manifest(api, select), options, SilentProgress(), self.clock) as run:
            report = await run.run()
        self.assert_nothing_wrong()
        return report

    async def complete_neighbour(self) -> None:
        """A run of the neighbour alone, so that the archive is known to send MD5 lists, whichever series would come first."""
        neighbour = Selection(position="m.yaml:1", series_instance_uids=(self.neighbour,))
        await self.run(select=[neighbour])

    def receipts(self) -> dict[str, tuple[Path, Receipt]]:
        """The series under their final names."""
        found = {}
        for path in self.library.rglob(RECEIPT_NAME):
            if self.library / OWN_FOLDER not in path.parents:
                receipt = decode_receipt(path.read_bytes())
                found[receipt.series.series_instance_uid] = (path.parent, receipt)
        return found

    def assert_nothing_wrong(self) -> None:
        """Every file under a final name belongs to a series that is, byte by byte, what the archive holds."""
        assert {path.name for path in self.root.iterdir()} <= {"library"}, "something was written outside of the library"
        proven = {self.library / "metadata.csv", self.library / "CITATION.txt"}
        for series_instance_uid, (folder, receipt) in self.receipts().items():
            held = {image.sop_instance_uid: self.sandbox.md5(image) for image in self.sandbox.images_of(series_instance_uid)}
            assert {image.sop_instance_uid: image.md5 for image in receipt.images} == held
            proven.add(folder / RECEIPT_NAME)
            if receipt.zip is not None:
                proven.add(folder / receipt.zip.name)
            for image in receipt.images:
                content = content_of(folder, receipt, image.name)
                assert hashlib.md5(content, usedforsecurity=False).hexdigest() == held[image.sop_instance_uid]
                proven.add(folder / image.name)  # where it is no file, the others show that nothing else is there
        files = {path for path in self.library.rglob("*") if path.is_file() and self.library / OWN_FOLDER not in path.parents}
        assert {path for path in files - proven if path.name != "LICENSE"} == set()

    def assert_complete(self, report: RunReport) -> None:
        """Everything that the sandbox holds is in the library, and the report says so."""
        assert (report.outcome, report.exit_code, report.failures) == ("complete", 0, ())
        assert self.receipts().keys() == self.sandbox.catalogue.holdings.keys()
        self.assert_nothing_staged()

    def assert_failed(self, report: RunReport, *errors: str, attempts: int = ATTEMPTS) -> str:
        """The victim failed with one of these errors and left nothing; the neighbour is complete. Returns the message."""
        assert (report.outcome, report.exit_code) == ("incomplete", 3)
        (failure,) = report.failures
        assert failure.series_instance_uid == self.victim
        assert failure.error in errors, failure
        assert failure.attempts == attempts
        assert self.receipts().keys() == {self.neighbour}
        return failure.message

    def assert_nothing_staged(self) -> None:
        """No half-made series is left behind."""
        assert list((self.library / OWN_FOLDER / "staging").iterdir()) == []


def content_of(folder: Path, receipt: Receipt, name: str) -> bytes:
    """The bytes of one image, which is a file or in a ZIP."""
    if receipt.zip is None:
        return (folder / name).read_bytes()
    with zipfile.ZipFile(folder / receipt.zip.name) as stored:
        return stored.read(name)


@asynccontextmanager
async def open_scene(
    root: Path, *faults: Fault, catalogue: Catalogue | None = None, include_md5: bool = True
) -> AsyncIterator[Scene]:
    """A scene with a script of faults. Those of downloads that name no series strike the victim alone."""
    catalogue = catalogue or small_catalogue()
    victim = next(iter(catalogue.holdings))
    script = [
        replace(fault, series_instance_uid=victim) if fault.family in STRIKE_DOWNLOADS and not fault.endpoints else fault
        for fault in faults
    ]
    async with serve_sandbox(catalogue, faults=script, include_md5=include_md5) as sandbox:
        yield Scene(root=root, sandbox=sandbox, base_url=sandbox.base_url, clock=PauseClock())
