"""Every fault of the script does what docs/sandbox.md says, as often as it should, and nothing else."""

import json
from datetime import UTC, datetime
from hashlib import md5
from io import BytesIO

import aiohttp
import anyio
import pydicom
import pytest

from downloader.errors import SettingsError
from downloader.sandbox import (
    DOWNLOADS,
    EVERY,
    LISTINGS,
    Catalogue,
    Fault,
    FaultKind,
    catalogue_of,
    generated_series,
    serve_sandbox,
)
from downloader.sandbox.faults import RULES, Family, fault_kind
from tests.sandbox.conftest import Client, Received, first_uid

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


async def _download(client: Client, catalogue: Catalogue, fault: Fault, **parameters: str) -> Received:
    async with serve_sandbox(catalogue, faults=[fault]) as sandbox:
        asked = {"SeriesInstanceUID": first_uid(catalogue), "IncludeMD5": "Yes", **parameters}
        return await client.get(sandbox, "v4/getImage", **asked)


async def _whole(client: Client, catalogue: Catalogue) -> Received:
    async with serve_sandbox(catalogue) as sandbox:
        return await client.get(sandbox, "v4/getImage", SeriesInstanceUID=first_uid(catalogue), IncludeMD5="Yes")


def _images(reply: Received) -> list[str]:
    return [name for name in reply.zip.namelist() if name not in {"LICENSE", "md5hashes.csv"}]


def _hashes(reply: Received) -> dict[str, tuple[str, str]]:
    """For each image the listed hash and the true one."""
    rows = (row.split(",") for row in reply.zip.read("md5hashes.csv").decode().splitlines()[1:])
    return {name: (listed, md5(reply.zip.read(name), usedforsecurity=False).hexdigest()) for name, listed in rows}


# The whole reply


@pytest.mark.parametrize("status", [400, 401, 403, 404, 406, 422, 429, 500, 502, 503, 504])
async def test_a_status_is_an_html_page(client: Client, small: Catalogue, status: int) -> None:
    """With Retry-After where the script says so."""
    reply = await _download(client, small, Fault(kind=FaultKind.STATUS, status=status, retry_after_seconds=7))
    assert (reply.status, reply.headers["Content-Type"], reply.headers["Retry-After"]) == (status, "text/html", "7")
    assert reply.text.startswith("<html>")


async def test_a_redirect_leads_elsewhere(client: Client, small: Catalogue) -> None:
    """To another host, which may be one that does not exist."""
    reply = await _download(client, small, Fault(kind=FaultKind.REDIRECT, location="http://other.invalid/x"))
    assert (reply.status, reply.headers["Location"]) == (302, "http://other.invalid/x")


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "beginning"),
    [
        (FaultKind.DENIED, 400, "application/json", "The user has not been granted"),
        (FaultKind.HTML, 200, "text/html", "<html>"),
        (FaultKind.JSON_TEXT, 200, "application/json", '{"errorMessage":'),
        (FaultKind.EMPTY, 200, None, ""),
    ],
)
async def test_something_else_instead_of_a_zip(
    client: Client, small: Catalogue, kind: FaultKind, status: int, content_type: str | None, beginning: str
) -> None:
    """Status, label and text of a reply that is no ZIP."""
    reply = await _download(client, small, Fault(kind=kind))
    assert (reply.status, reply.headers.get("Content-Type")) == (status, content_type)
    assert reply.text.startswith(beginning)
    assert bool(reply.body) is bool(beginning)


async def test_unmappable_is_a_reply_to_queries(client: Client, small: Catalogue) -> None:
    """200, labelled JSON, and a text."""
    async with serve_sandbox(small, faults=[Fault(kind=FaultKind.UNMAPPABLE)]) as sandbox:
        reply = await client.get(sandbox, "v4/getSeries")
    assert (reply.status, reply.headers["Content-Type"], reply.text) == (200, "application/json", "Unable to map to JSON")


# The bytes of the body


async def _read(sandbox_url: str, uid: str, session: aiohttp.ClientSession) -> tuple[bytes, bool]:
    """What arrives, and whether the body ended as HTTP says it must."""
    received = b""
    try:
        async with session.get(f"{sandbox_url}/v4/getImage?SeriesInstanceUID={uid}") as reply:
            async for chunk in reply.content.iter_any():
                received += chunk
    except aiohttp.ClientPayloadError:
        return received, False
    return received, True


@pytest.mark.parametrize("at_bytes", [0, 1, 100, 5000, 300_000, 1_000_000])
@pytest.mark.parametrize(("kind", "ends_well"), [(FaultKind.CUT, False), (FaultKind.CLEAN_CUT, True)])
async def test_a_cut_comes_at_its_very_byte(client: Client, kind: FaultKind, at_bytes: int, *, ends_well: bool) -> None:
    """Exactly this many bytes arrive; then the line is dead, or the body ends as if all were well."""
    catalogue = catalogue_of([generated_series(seed=1, images=5, rows=512, columns=512)])
    async with serve_sandbox(catalogue, faults=[Fault(kind=kind, at_bytes=at_bytes)]) as sandbox:
        received, ended = await _read(sandbox.base_url, first_uid(catalogue), client.session)
    assert (len(received), ended) == (at_bytes, ends_well)


async def test_a_cut_beyond_the_end_cuts_nothing(client: Client, small: Catalogue) -> None:
    """The ZIP is whole."""
    reply = await _download(client, small, Fault(kind=FaultKind.CUT, at_bytes=10_000_000))
    assert reply.zip.testzip() is None


async def test_a_flipped_byte_is_one_byte(client: Client, small: Catalogue) -> None:
    """Everything else is as it would have been."""
    bodies = []
    for faults in ((), (Fault(kind=FaultKind.FLIPPED_BYTE, at_bytes=3000),)):
        async with serve_sandbox(small, faults=faults, clock=lambda: NOON) as sandbox:
            bodies.append((await client.get(sandbox, "v4/getImage", SeriesInstanceUID=first_uid(small))).body)
    honest, flipped = bodies
    assert [place for place, pair in enumerate(zip(honest, flipped, strict=True)) if pair[0] != pair[1]] == [3000]


async def test_a_stall_before_the_first_byte_lasts_until_released(client: Client, small: Catalogue) -> None:
    """Not even headers come; after that the reply is whole."""
    async with serve_sandbox(small, faults=[Fault(kind=FaultKind.STALL)]) as sandbox:
        replies: list[bool] = []

        async def ask() -> None:
            reply = await client.get(sandbox, "v4/getImage", SeriesInstanceUID=first_uid(small))
            replies.append(reply.zip.testzip() is None)

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await sandbox.wait_for_stall()
            assert not replies
            sandbox.release()
        assert replies == [True]


async def test_a_stall_in_the_middle_sends_what_comes_before(client: Client, small: Catalogue) -> None:
    """This many bytes, then nothing; a client that leaves ends it."""
    uid = first_uid(small)
    async with serve_sandbox(small, faults=[Fault(kind=FaultKind.STALL, at_bytes=1000, times=1)]) as sandbox:
        async with client.session.get(f"{sandbox.base_url}/v4/getImage?SeriesInstanceUID={uid}") as reply:
            assert len(await reply.content.readexactly(1000)) == 1000
            await sandbox.wait_for_stall()
            assert sandbox.running_downloads == 1
        again = await client.get(sandbox, "v4/getImage", SeriesInstanceUID=uid)
    assert again.zip.testzip() is None


async def test_a_drip_brings_everything_in_drops(client: Client, small: Catalogue) -> None:
    """Slowly, but whole."""
    reply = await _download(client, small, Fault(kind=FaultKind.DRIP, size_bytes=2000, delay_seconds=0))
    assert reply.zip.testzip() is None
    assert len(_images(reply)) == 5


# The members of the ZIP


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        (Fault(kind=FaultKind.SHORT_ZIP, images=2), ["LICENSE", "00000001.dcm", "00000002.dcm"]),
        (Fault(kind=FaultKind.LICENSE_ONLY), ["LICENSE"]),
        (Fault(kind=FaultKind.EMPTY_LICENSE), ["LICENSE"]),
        (Fault(kind=FaultKind.EMPTY_ZIP), []),
    ],
)
async def test_short_zips_are_sound(client: Client, small: Catalogue, fault: Fault, names: list[str]) -> None:
    """Status 200, a whole directory, every CRC in order, and no hash list: only the count gives them away."""
    reply = await _download(client, small, fault)
    assert (reply.status, reply.zip.testzip(), reply.zip.namelist()) == (200, None, names)
    if fault.kind is FaultKind.EMPTY_ZIP:
        assert len(reply.body) == 22
    if fault.kind is FaultKind.EMPTY_LICENSE:
        assert reply.zip.read("LICENSE") == b""


async def test_half_an_image_has_a_valid_crc(client: Client, small: Catalogue) -> None:
    """The last image that came is cut, the ZIP around it is sound."""
    reply = await _download(client, small, Fault(kind=FaultKind.HALF_IMAGE, images=3))
    sizes = [member.file_size for member in reply.zip.infolist()[1:]]
    assert reply.zip.testzip() is None
    assert sizes[2] == sizes[0] // 2
    assert len(sizes) == 3


async def test_the_hash_list_can_be_missing(client: Client, small: Catalogue) -> None:
    """All images came, and no proof that the archive's loop ended."""
    reply = await _download(client, small, Fault(kind=FaultKind.NO_MD5_LIST))
    assert len(_images(reply)) == 5
    assert "md5hashes.csv" not in reply.zip.namelist()


@pytest.mark.parametrize("kind", [FaultKind.WRONG_HASH, FaultKind.BLANK_HASH])
async def test_one_hash_can_be_wrong_or_blank(client: Client, small: Catalogue, kind: FaultKind) -> None:
    """One image's, the others hold."""
    (listed, true), *others = sorted(
        _hashes(await _download(client, small, Fault(kind=kind))).values(), key=lambda pair: pair[0] == pair[1]
    )
    assert listed != true
    assert len(listed) == (0 if kind is FaultKind.BLANK_HASH else 32)
    assert all(listed == true for listed, true in others)


async def test_hashes_can_lack_leading_zeros(client: Client) -> None:
    """As those that the archive stored before 2021 do; padded they hold."""
    catalogue = catalogue_of([generated_series(seed=1, images=100, rows=8, columns=8)])
    hashes = _hashes(await _download(client, catalogue, Fault(kind=FaultKind.SHORT_HASH)))
    assert any(len(listed) < 32 for listed, _ in hashes.values())
    assert all(listed.rjust(32, "0") == true for listed, true in hashes.values())


@pytest.mark.filterwarnings("ignore:Duplicate name")
async def test_a_name_can_come_twice(client: Client, small: Catalogue) -> None:
    """Two members of one name, with the same image."""
    names = _images(await _download(client, small, Fault(kind=FaultKind.DUPLICATE_MEMBER)))
    assert len(names) == 6
    assert len(set(names)) == 5


async def test_an_image_can_come_twice(client: Client, small: Catalogue) -> None:
    """Under two names, with one SOP Instance UID."""
    reply = await _download(client, small, Fault(kind=FaultKind.DUPLICATE_IMAGE))
    uids = [pydicom.dcmread(BytesIO(reply.zip.read(name))).SOPInstanceUID for name in _images(reply)]
    assert (len(uids), len(set(uids))) == (6, 5)


@pytest.mark.parametrize("name", ["../x.dcm", "/etc/x.dcm", "C:\\x.dcm", "a\0b.dcm", "CON", "00000001.5/IMG1", "a\udcff.dcm"])
async def test_names_can_be_unsafe(client: Client, small: Catalogue, name: str) -> None:
    """The name goes out as it is, in local header and directory."""
    reply = await _download(client, small, Fault(kind=FaultKind.UNSAFE_NAME, text=name))
    assert reply.body.count(name.encode("utf-8", "surrogateescape")) >= 2


async def test_names_can_differ_in_case_only(client: Client, small: Catalogue) -> None:
    """Two files on one disk, one on another."""
    assert _images(await _download(client, small, Fault(kind=FaultKind.CASE_COLLISION)))[:2] == ["image.dcm", "IMAGE.DCM"]


async def test_images_can_be_of_another_series(client: Client, small: Catalogue) -> None:
    """Sound images, under the right names, that were not requested."""
    reply = await _download(client, small, Fault(kind=FaultKind.WRONG_SERIES))
    series = {pydicom.dcmread(BytesIO(reply.zip.read(name))).SeriesInstanceUID for name in _images(reply)}
    assert series == {list(small.holdings)[1]}


async def test_there_can_be_an_image_too_many(client: Client, small: Catalogue) -> None:
    """Of the right series, with a UID of its own."""
    reply = await _download(client, small, Fault(kind=FaultKind.EXTRA_IMAGE))
    datasets = [pydicom.dcmread(BytesIO(reply.zip.read(name))) for name in _images(reply)]
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == 6
    assert {dataset.SeriesInstanceUID for dataset in datasets} == {first_uid(small)}


async def test_an_image_can_be_no_dicom(client: Client, small: Catalogue) -> None:
    """A text under an image's name."""
    reply = await _download(client, small, Fault(kind=FaultKind.NOT_DICOM))
    assert reply.zip.read("00000001.dcm") == b"This is no DICOM file.\n"


async def test_an_image_can_differ_from_its_hash_under_a_valid_crc(client: Client, small: Catalogue) -> None:
    """One byte of the first image is another, and the list says what it should be."""
    reply = await _download(client, small, Fault(kind=FaultKind.CHANGED_IMAGE))
    assert reply.zip.testzip() is None
    assert [name for name, (listed, true) in _hashes(reply).items() if listed != true] == ["00000001.dcm"]


async def test_a_changed_image_can_come_in_a_short_zip(client: Client, small: Catalogue) -> None:
    """Nothing in such a ZIP tells that the image is wrong."""
    reply = await _download(client, small, Fault(kind=FaultKind.CHANGED_IMAGE, images=2))
    assert reply.zip.namelist() == ["LICENSE", "00000001.dcm", "00000002.dcm"]


async def test_a_bomb_inflates_to_its_size(client: Client, small: Catalogue) -> None:
    """Some kilobytes on the wire, hundreds of megabytes in the directory's word."""
    reply = await _download(client, small, Fault(kind=FaultKind.BOMB, size_bytes=300_000_000))
    assert reply.zip.getinfo("00000001.dcm").file_size == 300_000_000
    assert len(reply.body) < 3_000_000


@pytest.mark.parametrize("kind", [FaultKind.WRONG_CRC, FaultKind.WRONG_SIZE])
async def test_descriptors_can_lie(client: Client, small: Catalogue, kind: FaultKind) -> None:
    """Directory and descriptor agree, the data does not."""
    honest = await _whole(client, small)
    reply = await _download(client, small, Fault(kind=kind))
    size = honest.zip.infolist()[1].file_size
    assert reply.zip.infolist()[1].file_size == size + (2 if kind is FaultKind.WRONG_SIZE else 0)
    if kind is FaultKind.WRONG_CRC:
        assert reply.zip.testzip() == "00000001.dcm"


# Rows and tables


async def _rows(client: Client, catalogue: Catalogue, fault: Fault, path: str = "v4/getSeries", **asked: str) -> Received:
    async with serve_sandbox(catalogue, faults=[fault]) as sandbox:
        return await client.get(sandbox, path, **asked)


async def test_rows_can_be_empty_or_few(client: Client, small: Catalogue) -> None:
    """`[{}]`, and a valid list that is silently short."""
    assert (await _rows(client, small, Fault(kind=FaultKind.EMPTY_ROWS))).text == "[{}]"
    short = json.loads((await _rows(client, small, Fault(kind=FaultKind.SHORT_LIST, rows=1))).body)
    assert [row["SeriesInstanceUID"] for row in short] == [first_uid(small)]


async def test_lists_can_be_cut(client: Client, small: Catalogue) -> None:
    """JSON that ends in the middle, XML without its last tag; both with status 200."""
    cut = await _rows(client, small, Fault(kind=FaultKind.CUT_LIST))
    unclosed = await _rows(client, small, Fault(kind=FaultKind.UNCLOSED_XML), format="xml")
    assert (cut.status, unclosed.status) == (200, 200)
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut.body)
    assert unclosed.text.endswith("</Row>")


async def test_numbers_can_be_texts(client: Client, small: Catalogue) -> None:
    """With decimals, as one generation sends them."""
    rows = json.loads((await _rows(client, small, Fault(kind=FaultKind.NUMBERS_AS_TEXT))).body)
    assert rows[0]["ImageCount"] == "5.000000"


async def test_more_images_can_be_listed_than_sent(client: Client, small: Catalogue) -> None:
    """The image list knows no visibility."""
    fault = Fault(kind=FaultKind.HIDDEN_IMAGES, rows=2)
    rows = json.loads((await _rows(client, small, fault, "v4/getSOPInstanceUIDs", SeriesInstanceUID=first_uid(small))).body)
    assert len(rows) == 7


@pytest.mark.parametrize("count", [2, 9])
async def test_a_series_can_be_recounted_between_two_calls(client: Client, small: Catalogue, count: int) -> None:
    """The first listing tells another count and size, the second the true ones."""
    fault = Fault(kind=FaultKind.RECOUNTED, series_instance_uid=first_uid(small), images=count, times=1)
    async with serve_sandbox(small, faults=[fault]) as sandbox:
        first, second = [json.loads((await client.get(sandbox, "v4/getSeries")).body) for _ in range(2)]
    assert [row["ImageCount"] for row in first] == [count, 3]
    assert [row["ImageCount"] for row in second] == [5, 3]
    assert first[0]["FileSize"] * 5 == second[0]["FileSize"] * count
    assert first[1] == second[1]


async def test_a_series_can_be_withdrawn_after_it_was_listed(client: Client, small: Catalogue) -> None:
    """Then no query finds it any more."""
    uid = first_uid(small)
    fault = Fault(kind=FaultKind.WITHDRAWN, series_instance_uid=uid, after=1)
    async with serve_sandbox(small, faults=[fault]) as sandbox:
        listings = [json.loads((await client.get(sandbox, "v4/getSeries")).body) for _ in range(2)]
        assert [len(rows) for rows in listings] == [2, 1]
        assert (await client.get(sandbox, "v4/getImage", SeriesInstanceUID=uid)).status == 400
        assert (await client.get(sandbox, "v4/getSOPInstanceUIDs", SeriesInstanceUID=uid)).body == b""


async def test_texts_of_rows_can_be_hostile(client: Client, small: Catalogue) -> None:
    """A UID that is a path, a description that speaks to the terminal."""
    bad = json.loads((await _rows(client, small, Fault(kind=FaultKind.BAD_UID))).body)
    escape = json.loads((await _rows(client, small, Fault(kind=FaultKind.ESCAPE_TEXT, text="\x1b[2J"))).body)
    assert bad[0]["SeriesInstanceUID"] == "../../../etc/passwd"
    assert escape[0]["SeriesDescription"] == "\x1b[2J"


# How often, and to whom


async def test_a_script_plays_in_order(client: Client, small: Catalogue) -> None:
    """Two storms, one short ZIP, then health; another series is never touched."""
    uid, other = small.holdings
    script = [
        Fault(kind=FaultKind.STATUS, status=503, times=2, series_instance_uid=uid),
        Fault(kind=FaultKind.SHORT_ZIP, images=1, times=1, series_instance_uid=uid),
    ]
    async with serve_sandbox(small, faults=script) as sandbox:
        replies = [await client.get(sandbox, "v4/getImage", SeriesInstanceUID=uid) for _ in range(4)]
        healthy = await client.get(sandbox, "v4/getImage", SeriesInstanceUID=other)
    assert [reply.status for reply in replies] == [503, 503, 200, 200]
    assert [len(_images(reply)) for reply in (*replies[2:], healthy)] == [1, 5, 3]


async def test_faults_can_be_added_and_cleared(client: Client, small: Catalogue) -> None:
    """While the sandbox runs."""
    async with serve_sandbox(small) as sandbox:
        sandbox.faults.add(Fault(kind=FaultKind.STATUS, endpoints=("getSeries",)))
        assert (await client.get(sandbox, "v1/getSeries")).status == 503
        assert (await client.get(sandbox, "v1/getPatient")).status == 200
        sandbox.faults.clear()
        assert (await client.get(sandbox, "v1/getSeries")).status == 200


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_knows_where_it_strikes(kind: FaultKind) -> None:
    """Downloads, listings, or both with `*`."""
    fault = Fault(kind=kind)
    struck = {name for name in (*DOWNLOADS, *LISTINGS) if fault.concerns(name, "1.2")}
    assert struck in (set(DOWNLOADS), set(LISTINGS), set(DOWNLOADS) | set(LISTINGS), set())
    assert Fault(kind=kind, endpoints=(EVERY,)).concerns("getPatient", None)
    assert not Fault(kind=kind, series_instance_uid="1.3").concerns(next(iter(struck), "getImage"), "1.2")
    assert RULES[kind].family in Family


def test_figures_that_a_kind_does_not_take_are_refused() -> None:
    """And impossible ones too."""
    with pytest.raises(SettingsError, match="fault 'html' has no parameter at_bytes; its parameters are text"):
        Fault(kind=FaultKind.HTML, at_bytes=3)
    with pytest.raises(SettingsError, match="at_bytes must not be negative"):
        Fault(kind=FaultKind.CUT, at_bytes=-1)
    with pytest.raises(SettingsError, match="the minimum of times is 1"):
        Fault(kind=FaultKind.CUT, times=0)


def test_unknown_kinds_are_refused() -> None:
    """With the nearest that there is."""
    with pytest.raises(SettingsError, match=r"unknown fault 'shortzip'; did you mean 'short-zip'\?"):
        fault_kind("shortzip")
