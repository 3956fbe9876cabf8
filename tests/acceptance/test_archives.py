"""Series on different hosts: in manifests that share a library, in one manifest, in carts; and each series fetched once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from downloader.sandbox import catalogue_of
from tests.acceptance.archives import (
    ServedArchive,
    assert_nothing_staged,
    assert_series_whole,
    receipts_of,
    serve_archive,
    small_series,
    write_manifest,
)
from tests.acceptance.command import Ended, run_command

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

Hosts = tuple[ServedArchive, ServedArchive]


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Two archives with a collection each."""
    main = catalogue_of(small_series(3), collection="Main")
    other = catalogue_of(small_series(2, first_seed=10), collection="Other")
    with serve_archive(main) as one, serve_archive(other) as two:
        yield one, two


def name_of(archive: ServedArchive) -> str:
    return urlsplit(archive.sandbox.base_url).netloc


def assert_holds_both(library: Path, hosts: Hosts) -> None:
    """Every series of both archives is there, whole, and its receipt says where it came from."""
    receipts = receipts_of(library)
    assert sorted(receipts) == sorted(name for archive in hosts for name in archive.public_series())
    for archive in hosts:
        for series_instance_uid in archive.public_series():
            folder, receipt = receipts[series_instance_uid]
            assert receipt["archive"] == name_of(archive)
            assert_series_whole(archive, series_instance_uid, folder, receipt)
    assert_nothing_staged(library)


def test_manifests_of_two_archives_share_a_library(hosts: Hosts, tmp_path: Path) -> None:
    """One after the other, in one command; a second one has nothing to do; none takes the other's series for withdrawn."""
    library = tmp_path / "library"
    manifests = [write_manifest(tmp_path / f"{name_of(archive)}.yaml", archive.sandbox.base_url) for archive in hosts]

    first = run_command("run", *manifests, "-o", library, "--json")
    second = run_command("run", *manifests, "-o", library, "--json")

    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert [report["series"]["completed"] for report in first.document] == [3, 2]
    assert [report["series"]["already_complete"] for report in second.document] == [3, 2]
    assert [report["series"]["withdrawn"] for report in second.document] == [0, 0]
    assert [archive.downloads for archive in hosts] == [3, 2]
    assert_holds_both(library, hosts)


def test_one_manifest_may_ask_two_archives(hosts: Hosts, tmp_path: Path) -> None:
    """An entry names its own archive; a cart is asked for where it comes from."""
    main, other = hosts
    library = tmp_path / "library"
    manifest = write_manifest(
        tmp_path / "both.yaml",
        main.sandbox.base_url,
        "  - collection: Other",
        f"    archive: {{base_url: {other.sandbox.base_url!r}}}",
        collection="Main",
    )

    planned = run_command("plan", manifest, "-o", library, "--json")
    ended = run_command("run", manifest, "-o", library, "--json")

    assert [(entry["archive"], entry["matched"]) for entry in planned.document["entries"]] == [
        (name_of(main), 3),
        (name_of(other), 2),
    ]
    assert ended.exit_code == 0, ended.stderr
    assert ended.document["series"]["completed"] == 5
    assert_holds_both(library, hosts)


def test_a_cart_is_asked_of_the_archive_that_it_comes_from(hosts: Hosts, tmp_path: Path) -> None:
    """By its downloadServerUrl, whether it stands alone or in a manifest that names no archive."""
    main, _ = hosts
    header = f"downloadServerUrl=http://{name_of(main)}/nbia-download/servlet/DownloadServlet\nmanifestVersion=3.0\n"
    cart = tmp_path / "cart.tcia"
    cart.write_text(f"{header}ListOfSeriesToDownload=\n" + "\n".join(main.public_series()[:2]))
    manifest = tmp_path / "m.yaml"
    manifest.write_text("version: 1\nselect:\n  - series_list: cart.tcia\n")

    alone = run_command("run", cart, "-o", tmp_path / "a", "--json")
    within = run_command("run", manifest, "-o", tmp_path / "b", "--json")

    assert (alone.exit_code, within.exit_code) == (0, 0), alone.stderr + within.stderr
    assert sorted(receipts_of(tmp_path / "a")) == sorted(receipts_of(tmp_path / "b")) == sorted(main.public_series()[:2])


def test_a_list_is_asked_of_the_archive_that_the_command_line_names(hosts: Hosts, tmp_path: Path) -> None:
    """A cart's own host in another generation, or another host; a bare list wherever one likes."""
    main, other = hosts
    wanted = other.public_series()[0]
    cart, listed = tmp_path / "cart.tcia", tmp_path / "list.csv"
    header = f"downloadServerUrl=http://{name_of(other)}/nbia-download/servlet/DownloadServlet\n"
    cart.write_text(f"{header}ListOfSeriesToDownload=\n{wanted}\n")
    listed.write_text(f"SeriesInstanceUID\n{main.public_series()[0]}\n")

    by_api = run_command("run", cart, "--api", "v1", "-o", tmp_path / "a", "--json")
    by_address = run_command("run", listed, "--archive", main.sandbox.base_url, "--api", "v2", "-o", tmp_path / "b", "--json")
    planned = run_command("plan", cart, "--archive", main.sandbox.base_url, "--json")

    assert (by_api.exit_code, by_address.exit_code) == (0, 0), by_api.stdout + by_address.stdout
    for library, generation in ((tmp_path / "a", "v1"), (tmp_path / "b", "v2")):
        assert {receipt["generation"] for _, receipt in receipts_of(library).values()} == {generation}
    (entry,) = planned.document["entries"]
    assert (entry["archive"], entry["unlisted"]) == (name_of(main), 1)


@pytest.mark.parametrize(
    ("name", "flags", "why"),
    [
        ("m.yaml", ["--archive", "nlst"], "m.yaml is a manifest, which names its own archive; leave them out"),
        ("list.csv", ["--archive", "tcai"], "--archive: 'tcai' is not tcia, nlst"),
        ("list.csv", ["--archive", "nlst", "--api", "bindaas"], "--archive: nlst has the API v4, v2 or v1, not 'bindaas'"),
        ("list.csv", ["--api", "bindaas"], "--api: tcia has the API v4, v2 or v1, not 'bindaas'"),
        ("list.csv", ["--archive", "http://host/api", "--api", "v9"], "--archive: 'v9' is not v4, v2, v1 or bindaas"),
    ],
)
def test_an_archive_that_cannot_be_meant_is_refused(tmp_path: Path, name: str, flags: list[str], why: str) -> None:
    """Before anything is asked, and with what to do."""
    (tmp_path / "m.yaml").write_text("version: 1\nselect: [{collection: X}]\n")
    (tmp_path / "list.csv").write_text("SeriesInstanceUID\n1.2.3\n")
    for verb in ("run", "plan"):
        ended = run_command(verb, name, *flags, directory=tmp_path)
        assert (ended.exit_code, why in ended.stderr) == (2, True), ended.stderr


def test_a_cart_of_a_host_that_speaks_no_v4_names_what_can_be_done(hosts: Hosts, tmp_path: Path) -> None:
    """There is no base_url and no api in a cart that somebody could check."""
    main, _ = hosts
    cart = tmp_path / "cart.tcia"
    cart.write_text(
        f"downloadServerUrl=http://{name_of(main)}/old/nbia-download/servlet/DownloadServlet\nListOfSeriesToDownload=\n1.2.3\n"
    )
    ended = run_command("run", cart, "-o", tmp_path / "library")
    assert ended.exit_code == 3
    assert "`tciad doctor --archive URL` finds out which API it has" in ended.stdout + ended.stderr
    assert "--archive and --api" in ended.stdout + ended.stderr


def test_a_series_that_several_entries_want_is_fetched_once(hosts: Hosts, tmp_path: Path) -> None:
    """By collection, by name and in a list: the plan counts it once, the run asks for it once."""
    main, _ = hosts
    wanted = main.public_series()[0]
    (tmp_path / "list.txt").write_text(f"{wanted}\n{wanted}\n")
    manifest = write_manifest(
        tmp_path / "m.yaml",
        main.sandbox.base_url,
        f"  - series_instance_uid: {wanted}",
        "  - series_list: list.txt",
        collection="Main",
    )

    planned = run_command("plan", manifest, "-o", tmp_path / "library", "--json")
    ended = run_command("run", manifest, "-o", tmp_path / "library", "--json")

    assert planned.document["series"]["selected"] == 3
    assert [entry["matched"] for entry in planned.document["entries"]] == [3, 1, 1]
    assert ended.exit_code == 0, ended.stderr
    assert (ended.document["series"]["selected"], main.downloads) == (3, 3)


def test_a_plan_explains_what_each_entry_matched_and_what_not(hosts: Hosts, tmp_path: Path) -> None:
    """For programs and for people; an entry that matches nothing is a warning, and does not change the rest of the plan."""
    main, _ = hosts
    present, absent = main.public_series()[0], "1.2.3.4"
    manifest = write_manifest(
        tmp_path / "m.yaml",
        main.sandbox.base_url,
        "    patient_id: [SB-0001, SB-0002, 'X*']",
        f"  - series_instance_uid: [{present}, {absent}]",
        "  - {collection: Main, modality: PT}",
        "exclude:",
        f"  - series_instance_uid: {main.public_series()[1]}",
        collection="Main",
    )

    planned = run_command("plan", manifest, "-o", tmp_path / "library", "--json")
    told = run_command("plan", manifest, "-o", tmp_path / "library")

    assert planned.exit_code == told.exit_code == 0, planned.stderr
    by_patient, by_name, by_modality = planned.document["entries"]
    assert (by_patient["listed"], by_patient["matched"], by_patient["excluded"]) == (3, 2, 1)
    assert by_patient["unmatched"] == {"patient_id": ["SB-0002", "X*"]}
    assert by_patient["position"] == f"{manifest}:4"
    assert (by_name["matched"], by_name["unlisted"], planned.document["series"]["unlisted"]) == (1, 1, [absent])
    assert (by_modality["matched"], by_modality["excluded"]) == (0, 0)
    assert by_modality["reason"] == "the archive lists no series with collection Main, modality PT"
    assert planned.document["warnings"] == [
        f"no series match collection Main, modality PT: {by_modality['reason']}",
        f"{name_of(main)} does not list 1 of the series that the manifest names",
    ]
    assert "no matching series has patient_id SB-0002 or X*" in told.stdout
    assert "warning: no series match collection Main, modality PT" in told.stdout


def test_a_host_without_carts_says_so(tmp_path: Path) -> None:
    """It speaks v4 only: the address is right, and the cart must come in another way."""
    manifest = tmp_path / "m.yaml"
    with serve_archive(catalogue_of(small_series(1)), apis=["v4"]) as archive:
        manifest.write_text(
            f"version: 1\narchive: {{base_url: {archive.sandbox.base_url!r}}}\nselect: [{{shared_cart: nbia-1}}]\n"
        )
        ended = run_command("run", manifest, "-o", tmp_path / "library")
    assert ended.exit_code == 3
    assert "this host does not offer shared carts (v1/getContentsByName)" in ended.stdout
    assert "export the cart as a series list" in ended.stdout
    assert "check base_url" not in ended.stdout


def test_a_shared_cart_is_mirrored_by_its_name(tmp_path: Path) -> None:
    """What joins the cart joins the library; what leaves it is no longer wanted, and is neither removed nor withdrawn."""
    series = small_series(4)
    names = [one.series_instance_uid for one in series]
    manifest = tmp_path / "m.yaml"

    def run(cart: list[str], *arguments: str | Path) -> Ended:
        catalogue = replace(catalogue_of(series), shared_carts={"nbia-1": tuple(cart)})
        with serve_archive(catalogue) as archive:
            manifest.write_text(
                f"version: 1\narchive: {{base_url: {archive.sandbox.base_url!r}}}\nselect:\n  - shared_cart: nbia-1\n"
            )
            return run_command(*arguments, "-o", tmp_path / "library", "--json")

    planned = run(names[:2], "plan", manifest)
    first = run(names[:2], "run", manifest)
    second = run(names[1:3], "run", manifest)
    none = run([], "run", manifest)

    assert planned.document["entries"][0]["entry"] == "shared_cart nbia-1"
    assert planned.document["series"]["new"] == 2
    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert first.document["series"]["completed"] == 2
    counts = second.document["series"]
    assert (counts["selected"], counts["completed"], counts["withdrawn"]) == (2, 1, 0)
    assert sorted(receipts_of(tmp_path / "library")) == sorted(names[:3])
    assert none.exit_code == 2
    assert "has no cart 'nbia-1'" in none.document["error"]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("cart.s5cmd", "cp s3://idc-open-data/x/* .\n", "objects of the Imaging Data Commons"),
        ("cart.tcia", "ListOfSeriesToDownload=\ncp s3://idc-open-data/x/* .\n", "another kind of archive"),
        ("files.csv", "File ID,drs_uri\n1,drs://nci-crdc.datacommons.io/x\n", "by DRS address"),
        ("files.txt", "drs://nci-crdc.datacommons.io/x\n", "another kind of archive"),
    ],
)
def test_lists_of_other_kinds_of_archives_are_refused_with_the_reason(tmp_path: Path, name: str, content: str, why: str) -> None:
    """Whether they stand alone or in a manifest, before any archive is asked."""
    (tmp_path / name).write_text(content)
    manifest = tmp_path / "m.yaml"
    manifest.write_text(f"version: 1\nselect:\n  - series_list: {name}\n")
    for given in (tmp_path / name, manifest):
        ended = run_command("run", given, "-o", tmp_path / "library")
        assert (ended.exit_code, why in ended.stderr) == (2, True), ended.stderr
    assert not (tmp_path / "library").exists()


def test_the_environment_signs_in_at_the_archive_of_the_manifest_only(hosts: Hosts, tmp_path: Path) -> None:
    """Another one that wants an account must name it itself, and the error says whose it is."""
    main, other = hosts
    manifest = write_manifest(
        tmp_path / "both.yaml",
        main.sandbox.base_url,
        "  - collection: Other",
        f"    archive: {{base_url: {other.sandbox.base_url!r}, api: v2, auth: {{}}}}",
        collection="Main",
    )
    ended = run_command("plan", manifest, environment={"TCIAD_USERNAME": "me", "TCIAD_PASSWORD": "p"})

    assert ended.exit_code == 2
    assert f"{name_of(other)}: archive.auth: the user name is missing" in ended.stderr
    assert "the environment applies to the manifest's own archive only" in ended.stderr
