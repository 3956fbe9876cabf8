"""A manifest is read as the user meant it."""

from datetime import date
from pathlib import Path

import pytest

from downloader.config.bandwidth_schedule import BandwidthPlan
from downloader.config.options import RunOptions, StorageFormat, layer_options
from downloader.errors import ManifestError
from downloader.manifest import PROFILES, SANDBOX_PORT, ApiGeneration, WithdrawnPolicy, load_manifest
from downloader.model import FetchOrder, Md5Mode, Series
from tests.manifest.conftest import Write

SMALLEST = "version: 1\nselect:\n  - collection: A\n"
EVERYTHING = """\
version: 1
name: lung-ct
archive: {base_url: https://host:8443/nbia-api/services/, api: v4, auth: {username: me, password_file: /run/secrets/nbia}}
select:
  - collection: LIDC-IDRI
    patient_id: [LIDC-IDRI-0001, "LIDC-IDRI-00[1-4]*"]
    modality: CT
    image_count: {min: 20}
    date_released: {from: 2020-01-31, to: "2021-01-31"}
    study_date: {to: 2019-12-31}
  - series_instance_uid: [1.3.6.1.4.1.14519.5.2.1.1]
  - series_list: cart.tcia
exclude:
  - modality: [SEG, RTSTRUCT]
output:
  directory: ./library
  layout: "{collection}/{patient_id}/{series_instance_uid}"
  format: zip
download:
  concurrency: 8
  bandwidth: 40MB/s
  order: smallest-first
  attempts: 3
  md5: off
  min_free_space: 1.5 GiB
schedule: {every: 6h}
withdrawn: quarantine
max_shrink: 2.5%
"""


def test_every_key_of_the_design_is_understood(write: Write) -> None:
    """One manifest with all keys gives all their values, in our units."""
    write("cart.tcia", "ListOfSeriesToDownload=\n1.2.3\n")
    manifest = load_manifest(write("m.yaml", EVERYTHING))
    assert manifest.name == "lung-ct"
    assert manifest.archive.base_url == "https://host:8443/nbia-api/services"
    assert manifest.archive.api is ApiGeneration.V4
    assert manifest.archive.name == "host:8443"
    assert manifest.archive.token_url == "https://host:8443/nbia-api/oauth/token"
    assert manifest.archive.password_file == Path("/run/secrets/nbia")
    first, second, third = manifest.select
    assert first.position == "m.yaml:5"
    assert first.image_count is not None
    assert (first.image_count.least, first.image_count.most) == (20, None)
    assert first.date_released is not None
    assert (first.date_released.first, first.date_released.last) == (date(2020, 1, 31), date(2021, 1, 31))
    assert second.series_instance_uids == ("1.3.6.1.4.1.14519.5.2.1.1",)
    assert third.series_instance_uids == ("1.2.3",)
    assert manifest.exclude[0].values == {"modality": ("SEG", "RTSTRUCT")}
    assert manifest.schedule is not None
    assert manifest.schedule.every_seconds == 21600
    assert manifest.withdrawn is WithdrawnPolicy.QUARANTINE
    assert layer_options(manifest.options) == RunOptions(
        output=Path("library"),
        layout="{collection}/{patient_id}/{series_instance_uid}",
        format=StorageFormat.ZIP,
        concurrency=8,
        bandwidth=BandwidthPlan(bytes_per_second=40_000_000),
        order=FetchOrder.SMALLEST_FIRST,
        attempts=3,
        md5=Md5Mode.OFF,
        min_free_bytes=1_610_612_736,
        max_shrink_percent=2.5,
    )


def test_what_a_manifest_does_not_say_is_left_to_others(write: Write) -> None:
    """Defaults are no statements: the environment could not win against them otherwise."""
    manifest = load_manifest(write("lung.yaml", SMALLEST))
    assert manifest.name == "lung"
    assert manifest.archive.name == "tcia"
    assert manifest.options == {}
    assert manifest.schedule is None
    assert manifest.withdrawn is WithdrawnPolicy.KEEP


def test_only_the_profile_is_the_sandbox(write: Write) -> None:
    """A server that somebody started on the sandbox's port is asked as it is; other addresses go by their profile's name."""

    def name_of(archive: str) -> str:
        return load_manifest(write("m.yaml", f"{SMALLEST}archive: {archive}\n")).archive.name

    assert name_of("sandbox") == "sandbox"
    assert name_of(f"{{base_url: {PROFILES['sandbox'].base_url}}}") == f"127.0.0.1:{SANDBOX_PORT}"
    assert name_of(f"{{base_url: {PROFILES['nlst'].base_url}}}") == "nlst"


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
def test_a_byte_order_mark_is_no_part_of_the_manifest(write: Write, mark: bytes) -> None:
    """Windows editors write one."""
    assert load_manifest(write("m.yaml", mark + SMALLEST.encode())).select


def test_a_utf_16_file_with_its_mark_is_read(write: Write) -> None:
    """Windows shells write them."""
    assert load_manifest(write("m.yaml", SMALLEST.encode("utf-16"))).select


def test_anchors_are_written_out(write: Write) -> None:
    """Entries that share values may share them in the file."""
    text = "version: 1\nselect:\n  - {collection: A, modality: &m [CT, PT]}\n  - {collection: B, modality: *m}\n"
    assert load_manifest(write("m.yaml", text)).select[1].exact("modality") == ("CT", "PT")


@pytest.mark.parametrize(
    ("auth", "api"),
    [
        ("{username: me, password_file: p, token_url: https://login/token}", "v2"),
        ("{api_key_file: key}", "bindaas"),
        ("{api_key_file: key, api_key_header: X-Key}", "bindaas"),
    ],
)
def test_each_generation_has_its_own_credentials(write: Write, auth: str, api: str) -> None:
    """Files of secrets are looked for beside the manifest."""
    text = f"version: 1\narchive: {{base_url: http://h/x, api: {api}, auth: {auth}}}\nselect: [{{collection: A}}]\n"
    Path("sub").mkdir()
    archive = load_manifest(write("sub/m.yaml", text)).archive
    assert archive.api == api
    assert archive.password_file == (Path("sub/p") if api == "v2" else None)
    assert archive.api_key_file == (Path("sub/key") if api == "bindaas" else None)


def test_a_series_is_wanted_when_selected_and_not_excluded(write: Write) -> None:
    """Any entry of select, no entry of exclude."""
    text = "version: 1\nselect: [{collection: A}, {collection: B}]\nexclude: [{modality: SEG}, {patient_id: 'x*'}]\n"
    manifest = load_manifest(write("m.yaml", text))

    def series(collection: str, modality: str, patient_id: str) -> Series:
        return Series(series_instance_uid="1.2", collection=collection, modality=modality, patient_id=patient_id)

    assert manifest.wants(series("a", "CT", "y1"))
    assert manifest.wants(series("B", "PT", "y1"))
    assert not manifest.wants(series("C", "CT", "y1"))
    assert not manifest.wants(series("A", "seg", "y1"))
    assert not manifest.wants(series("A", "CT", "X1"))
    assert manifest.excludes(series("C", "SEG", "y1"))


@pytest.mark.parametrize(
    ("url", "name", "base_url"),
    [
        ("", "tcia", "https://nbia.cancerimagingarchive.net/nbia-api/services"),
        ("https://public.cancerimagingarchive.net/nbia-download/servlet/DownloadServlet", "tcia", None),
        ("https://services.cancerimagingarchive.net/nbia-download/servlet/DownloadServlet", "tcia", None),
        ("https://nbia.cancerimagingarchive.net/nbia-download/servlet/DownloadServletV4", "tcia", None),
        (
            "https://nlst.cancerimagingarchive.net/nbia-download/servlet/DownloadServlet",
            "nlst",
            "https://nlst.cancerimagingarchive.net/nbia-api/services",
        ),
        (
            "http://pacs.example:8080/nbia-download/servlet/DownloadServlet",
            "pacs.example:8080",
            "http://pacs.example:8080/nbia-api/services",
        ),
        (
            "https://pacs.example/a/nbia-download/servlet/DownloadServletV3",
            "pacs.example",
            "https://pacs.example/a/nbia-api/services",
        ),
        ("https://pacs.example/other", "pacs.example", "https://pacs.example/nbia-api/services"),
    ],
)
def test_a_cart_stands_for_a_manifest_of_its_archive(write: Write, url: str, name: str, base_url: str | None) -> None:
    """The archive comes from downloadServerUrl (docs/archives.md#tcia-manifests), everything else from the defaults."""
    manifest = load_manifest(write("My cart (1).TCIA", f"downloadServerUrl={url}\nListOfSeriesToDownload=\n1.2.3\n1.2.4"))
    assert manifest.name == "My cart (1)"
    assert manifest.archive.name == name
    assert base_url in (None, manifest.archive.base_url)
    assert manifest.archive.api is ApiGeneration.V4
    assert [selection.series_instance_uids for selection in manifest.select] == [("1.2.3", "1.2.4")]
    assert manifest.options == {}
    assert manifest.wants(Series(series_instance_uid="1.2.4"))
    assert not manifest.wants(Series(series_instance_uid="1.2.5"))


NLST = "https://nlst.cancerimagingarchive.net/nbia-download/servlet/DownloadServlet"


def test_a_cart_names_the_archive_of_its_entry_unless_the_manifest_does(write: Write) -> None:
    """The entry's own word comes first, then the manifest's, then the cart's, then the default."""
    write("cart.tcia", f"downloadServerUrl={NLST}\nListOfSeriesToDownload=\n1.2.3\n")
    entries = "select:\n  - series_list: cart.tcia\n  - collection: A\n"

    def asked(text: str) -> list[str]:
        manifest = load_manifest(write("m.yaml", f"version: 1\n{text}"))
        return [manifest.archive_of(selection).name for selection in manifest.select]

    assert asked(entries) == ["nlst", "tcia"]
    assert asked(f"archive: sandbox\n{entries}") == ["sandbox", "sandbox"]
    assert asked("archive: sandbox\nselect:\n  - {series_list: cart.tcia, archive: tcia}\n") == ["tcia"]


def test_the_entries_of_a_manifest_may_lie_on_different_hosts(write: Write) -> None:
    """Each archive is asked once, however many entries name it."""
    entries = [
        "collection: A",
        "archive: nlst, collection: NLST",
        "archive: {base_url: 'http://h/s'}, modality: CT",
        "modality: MR",
    ]
    lines = [f"  - {{{entry}}}" for entry in entries]
    manifest = load_manifest(write("m.yaml", "\n".join(["version: 1", "select:", *lines])))
    assert [address.name for address in manifest.archives] == ["tcia", "nlst", "h"]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "series_list: [nlst.tcia, other.tcia]",
            "m.yaml:3: select[0].series_list: other.tcia comes from pacs.example, the carts before it from nlst; split the entry",
        ),
        ("archive: nlst", "m.yaml:3: select[0]: an entry without keys would match the whole archive; set at least one key"),
        (
            "{collection: A, archive: {base_url: 'http://h/s', api: v1}}\n  - {collection: B, archive: {base_url: 'http://h/s'}}",
            "m.yaml:4: select[1]: h has two different addresses in this manifest; move one of them to another manifest",
        ),
    ],
)
def test_archives_that_contradict_each_other_are_refused(write: Write, entry: str, problem: str) -> None:
    """With the entry, and what to do."""
    write("nlst.tcia", f"downloadServerUrl={NLST}\nListOfSeriesToDownload=\n1.2.3\n")
    write("other.tcia", "downloadServerUrl=http://pacs.example/x\nListOfSeriesToDownload=\n1.2.4\n")
    with pytest.raises(ManifestError) as caught:
        load_manifest(write("m.yaml", f"version: 1\nselect:\n  - {entry}\n"))
    assert str(caught.value) == problem
