"""A bad line between tciad and the archive: cut, reset, delayed, silent, or with single bytes changed."""

import errno
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from downloader.config.options import RunOptions
from downloader.errors import ArchiveUnreachableError, LibraryError, TciadError, UnexpectedReplyError
from downloader.manifest import ApiGeneration, Selection
from downloader.sandbox import Fault, FaultKind
from downloader.transport.errors import translate
from downloader.ui.run import render_run
from tests.faults.proxy import Harm, LineFault, Proxy, serve_proxy
from tests.faults.scene import ATTEMPTS, Scene, open_scene

pytestmark = pytest.mark.anyio
IN_THE_HEAD, IN_THE_FIRST_IMAGE, LATER = 100, 900, 12_000


@asynccontextmanager
async def open_line(root: Path, *faults: LineFault) -> AsyncIterator[tuple[Scene, Proxy]]:
    """A scene whose archive is reached through a proxy."""
    async with open_scene(root) as scene, serve_proxy(scene.base_url) as proxy:
        proxy.faults += faults
        yield replace(scene, base_url=proxy.base_url), proxy


@pytest.mark.parametrize(
    ("harm", "at_bytes"),
    [
        *((harm, place) for harm in (Harm.CUT, Harm.RESET, Harm.DELAY) for place in (IN_THE_HEAD, IN_THE_FIRST_IMAGE, LATER)),
        # silence in the head is measured in minutes; tests/transport has a shorter limit for it
        *((Harm.BLACKHOLE, place) for place in (IN_THE_FIRST_IMAGE, LATER)),
    ],
)
async def test_a_bad_line_costs_an_attempt_at_most(tmp_path: Path, harm: Harm, at_bytes: int) -> None:
    """In the head of the reply, before the first image is whole, and after it."""
    async with open_line(tmp_path, LineFault(harm, at_bytes)) as (scene, proxy):
        scene.assert_complete(await scene.run(options=RunOptions(attempts=ATTEMPTS, idle_seconds=0.2)))
        assert proxy.struck == 1


@pytest.mark.parametrize("request_for", [b"/getSeries", b"/getCollectionValues"])
@pytest.mark.parametrize("harm", [Harm.CUT, Harm.RESET])
async def test_a_listing_that_is_cut_is_asked_again(tmp_path: Path, harm: Harm, request_for: bytes) -> None:
    """What came of it before is not taken for all."""
    async with open_line(tmp_path, LineFault(harm, 260, request_for)) as (scene, proxy):
        scene.assert_complete(await scene.run())
        assert proxy.struck == 1


@pytest.mark.parametrize("seed", range(24))
async def test_a_changed_byte_never_reaches_the_library(tmp_path: Path, seed: int) -> None:
    """Anywhere in the replies, heads and chunk sizes included: the run completes, or some of it fails, with errors of ours."""
    dice = random.Random(seed)
    corrupted = [
        LineFault(Harm.CORRUPT, dice.randrange(19_000), b"/getImage?"),
        LineFault(Harm.CORRUPT, dice.randrange(1_500), dice.choice([b"/getSeries", b"/getCollectionValues"])),
    ]
    async with open_line(tmp_path, *corrupted) as (scene, proxy):
        told = ""
        try:
            told = render_run(await scene.run(options=RunOptions(attempts=ATTEMPTS, idle_seconds=0.2)))
        except TciadError as error:
            told = str(error)
            scene.assert_nothing_wrong()
        assert told.replace("\n", "").isprintable()
        proxy.faults.clear()
        # a series that was listed under a changed UID is not listed again; what is real is complete in the end
        report = await scene.run(options=RunOptions(attempts=ATTEMPTS, max_shrink_percent=100))
        assert report.tally.complete == 2
        assert scene.receipts().keys() == scene.sandbox.catalogue.holdings.keys()


async def test_an_archive_that_refuses_connections_for_a_while(tmp_path: Path) -> None:
    """No series loses its attempts to it: the queue waits, probes and goes on."""
    reset_all = [LineFault(Harm.RESET, 0, b"GET ")] * 12
    async with open_line(tmp_path) as (scene, proxy):
        proxy.rewrite = _after(proxy, b"/getPatientStudy", reset_all)
        scene.assert_complete(await scene.run(options=RunOptions(attempts=4)))
        assert proxy.struck == 12
        assert max(scene.clock.slept) >= 15


def _after(proxy: Proxy, request: bytes, faults: list[LineFault]) -> Callable[[bytes], bytes]:
    """Add the faults once this request has passed."""

    def rewrite(data: bytes) -> bytes:
        if request in data:
            proxy.faults += faults
            faults.clear()
        return data

    return rewrite


async def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    """A few questions, then exit 4."""
    async with open_line(tmp_path) as (scene, proxy):
        proxy.refusals = 100
        with pytest.raises(ArchiveUnreachableError) as caught:
            await scene.run()
        assert caught.value.exit_code == 4


async def test_a_filter_that_is_passed_over_is_noticed(tmp_path: Path) -> None:
    """Trap 10: v1 does not know the misspelled filter and gives everything."""
    wanted = Selection(position="m:1", values={"collection": ("Sandbox",), "patient_id": ("SB-0002",)})
    async with open_line(tmp_path) as (scene, proxy):
        proxy.rewrite = lambda data: data.replace(b"PatientID=", b"PatientId=")
        with pytest.raises(UnexpectedReplyError, match="ignored the filter PatientID"):
            await scene.run(ApiGeneration.V1, select=[wanted])
        assert scene.receipts() == {}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(tmp_path: Path, status: int) -> None:
    """To another host of the archive; tests/transport shows that no credentials go along, and none leads out of TLS."""
    async with open_scene(tmp_path) as scene, serve_proxy(scene.base_url) as proxy:
        location = f"{proxy.base_url}/v4/getImage?SeriesInstanceUID={scene.victim}&NewFileNames=Yes&IncludeMD5=Yes"
        scene.sandbox.faults.add(
            Fault(kind=FaultKind.REDIRECT, status=status, location=location, series_instance_uid=scene.victim, times=1)
        )
        scene.assert_complete(await scene.run(options=RunOptions(attempts=1)))


@pytest.mark.parametrize("location", ["", "file:///etc/passwd", "http://", "/nbia-api/services/v4/getImage"])
async def test_a_redirect_that_leads_nowhere(tmp_path: Path, location: str) -> None:
    """Given up, with a sentence."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.REDIRECT, location=location)) as scene:
        scene.assert_failed(await scene.run(options=RunOptions(attempts=1)), "UnexpectedReplyError", attempts=1)


async def test_a_redirect_to_an_address_that_is_not_there(tmp_path: Path) -> None:
    """The 404 behind it is a fault like any other 404 to a request for images, where MD5 lists came from the archive before."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.REDIRECT, location="::")) as scene:
        await scene.complete_neighbour()
        message = scene.assert_failed(await scene.run(options=RunOptions(attempts=1)), "ArchiveFaultError", attempts=1)
        assert "responded with 404" in message


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_are_no_fault_of_the_archive(number: int) -> None:
    """The run stops and says so, and no series pays for it."""
    error = translate(OSError(number, "Too many open files"), "http://archive/", body_began=False)
    assert isinstance(error, LibraryError)
    assert "ulimit -n" in str(error)
