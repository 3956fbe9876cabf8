"""An archive for the command to mirror, and the comparison of a library with it."""

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from downloader.sandbox import (
    PUBLIC,
    Access,
    Catalogue,
    Fault,
    Sandbox,
    SandboxSeries,
    catalogue_of,
    generated_series,
    serve_sandbox,
)
from tests.library.series_streams import md5_of

IMAGE_NAME = re.compile(r"[0-9]+-[0-9]+\.dcm")
RECEIPT_NAME = ".receipt.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedArchive:
    """A sandbox on a loop in a thread of this process, so that a test may look into it while the command talks to it."""

    sandbox: Sandbox
    portal: BlockingPortal

    def wait_for_stall(self) -> None:
        """Return as soon as a reply stands still."""
        self.portal.call(self.sandbox.wait_for_stall)

    def release(self) -> None:
        """Let stalled replies go on."""
        self.portal.call(self.sandbox.release)

    def replace(self, catalogue: Catalogue) -> None:
        """Serve another catalogue from now on, at the same address."""
        self.portal.call(self.sandbox.replace_catalogue, catalogue)

    def holds(self, series_instance_uid: str, receipt: dict[str, Any]) -> bool:
        """Whether the receipt is of the series as it is now."""
        held = {(image.sop_instance_uid, self.sandbox.md5(image)) for image in self.sandbox.images_of(series_instance_uid)}
        return {(image["sop_instance_uid"], image["md5"]) for image in receipt["images"]} == held

    @property
    def downloads(self) -> int:
        """How many getImage came."""
        return self.sandbox.count("getImage")

    def public_series(self) -> list[str]:
        """The series that a mirror of everything holds."""
        holdings = self.sandbox.catalogue.holdings.values()
        return [holding.series.series_instance_uid for holding in holdings if holding.series.visibility == PUBLIC]


@contextmanager
def serve_archive(
    catalogue: Catalogue | None = None,
    faults: Sequence[Fault] = (),
    access: Access | None = None,
    apis: Collection[str] | None = None,
) -> Iterator[ServedArchive]:
    """Serve a catalogue, the built-in one unless given, in all generations of the API unless told otherwise."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve_sandbox(catalogue, faults=faults, access=access, apis=apis)) as sandbox,
    ):
        yield ServedArchive(sandbox=sandbox, portal=portal)


def small_series(count: int, *, images: int = 2, side: int = 16, first_seed: int = 1) -> list[SandboxSeries]:
    """Series of a few kilobytes each."""
    return [generated_series(seed=seed, images=images, rows=side, columns=side) for seed in range(first_seed, first_seed + count)]


def small_catalogue(count: int, *, images: int = 2, side: int = 16) -> Catalogue:
    """One collection, called Sandbox, of small series."""
    return catalogue_of(small_series(count, images=images, side=side))


def write_manifest(path: Path, base_url: str, *more: str, collection: str = "*") -> Path:
    """A manifest that wants a collection of the archive, everything unless told; `more` are further lines."""
    lines = [
        "version: 1",
        f"archive: {{base_url: {base_url!r}, api: v4}}",
        "select:",
        f"  - collection: {json.dumps(collection)}",
        *more,
    ]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def receipts_of(library: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Every series under its final name: folder and receipt by Series Instance UID.

    A run may be at it: staging, where folders come and go, is not looked into.
    """
    found = {}
    for folder, below, names in os.walk(library):
        below[:] = [name for name in below if name != ".tciad"]
        if RECEIPT_NAME in names:
            receipt = json.loads((Path(folder) / RECEIPT_NAME).read_bytes())
            found[receipt["series"]["series_instance_uid"]] = (Path(folder), receipt)
    return found


def assert_series_whole(archive: ServedArchive, series_instance_uid: str, folder: Path, receipt: dict[str, Any]) -> None:
    """Folder, receipt and archive agree on every image of the series, byte by byte."""
    held = {
        image.sop_instance_uid: (image.size_bytes, archive.sandbox.md5(image))
        for image in archive.sandbox.images_of(series_instance_uid)
    }
    assert {image["sop_instance_uid"]: (image["size_bytes"], image["md5"]) for image in receipt["images"]} == held
    assert {path.name for path in folder.iterdir()} == {RECEIPT_NAME, *(image["name"] for image in receipt["images"])}
    for image in receipt["images"]:
        assert IMAGE_NAME.fullmatch(image["name"])
        content = (folder / image["name"]).read_bytes()
        assert (len(content), hashlib.md5(content, usedforsecurity=False).hexdigest()) == held[image["sop_instance_uid"]]


def assert_mirrors(library: Path, archive: ServedArchive) -> None:
    """The library holds every public series of the archive, whole, and no other; staging is empty."""
    receipts = receipts_of(library)
    assert sorted(receipts) == sorted(archive.public_series())
    for series_instance_uid, (folder, receipt) in receipts.items():
        assert_series_whole(archive, series_instance_uid, folder, receipt)
    assert_nothing_staged(library)


def assert_mirrors_as_zips(library: Path, archive: ServedArchive) -> None:
    """Every series of the archive is there as one ZIP with all its images, and nothing else is."""
    receipts = receipts_of(library)
    assert sorted(receipts) == sorted(archive.public_series())
    for series_instance_uid, (folder, receipt) in receipts.items():
        path = folder / f"{series_instance_uid}.zip"
        assert {child.name for child in folder.iterdir()} == {path.name, ".receipt.json"}
        told = receipt["zip"]
        assert told["name"] == path.name
        assert (told["size_bytes"], told["md5"]) == (path.stat().st_size, md5_of(path.read_bytes()))
        with zipfile.ZipFile(path) as stored:
            assert stored.namelist()[0] == "LICENSE"
            assert stored.namelist()[-1] == "md5hashes.csv"
            md5s = {md5_of(stored.read(image["name"])) for image in receipt["images"]}
        assert md5s == {archive.sandbox.md5(image) for image in archive.sandbox.images_of(series_instance_uid)}
    assert_nothing_staged(library)


def assert_nothing_staged(library: Path) -> None:
    """No half-made series is left behind."""
    assert list((library / ".tciad" / "staging").iterdir()) == []
