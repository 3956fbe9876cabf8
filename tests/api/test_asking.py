"""Queries and verification from Python."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from downloader import api as tciad
from downloader.sandbox import API_KEY, PASSWORD, USERNAME, Access, catalogue_of, generated_series
from tests.acceptance.archives import ServedArchive, serve_archive, small_catalogue
from tests.fakes.scripted_archive import ScriptedReply, serve_script
from tests.tools import import_package

SERIES = 4
pd, pl = import_package("pandas"), import_package("polars")


@pytest.fixture
def archive() -> Iterator[ServedArchive]:
    with serve_archive(small_catalogue(SERIES)) as served:
        yield served


@pytest.mark.extras
@pytest.mark.needs("pandas", "polars")
def test_a_query_goes_straight_into_data_frames(archive: ServedArchive) -> None:
    """By rows or by columns, under the archive's own names."""
    result = tciad.query("series", archive=archive.sandbox.base_url, api="v1", modality="CT")

    assert len(result) == SERIES
    for frame in (pd.DataFrame(result.columns), pl.DataFrame(result.columns)):
        assert list(frame.columns) == list(result.attributes)
        assert sorted(frame["SeriesInstanceUID"]) == sorted(archive.public_series())
    assert len(pd.DataFrame(result.rows)) == SERIES
    assert tciad.query("series", archive=archive.sandbox.base_url, collection="none such").rows == ()


@pytest.mark.extras
@pytest.mark.needs("pandas", "polars")
def test_values_that_come_late_or_never_have_their_column(tmp_path: Path) -> None:
    """Hundreds of rows without a value come first: no data frame may pass over what comes behind them."""
    bare = [
        generated_series(seed=seed, images=1, rows=8, columns=8, manufacturer=None, body_part_examined=None)
        for seed in range(1, 121)
    ]
    full = generated_series(seed=500, images=1, rows=8, columns=8, manufacturer="Maker", body_part_examined="HEAD")
    with serve_archive(catalogue_of([*bare, full])) as archive:
        result = tciad.query("series", archive=archive.sandbox.base_url)

    assert all(row.keys() == dict.fromkeys(result.attributes).keys() for row in result.rows)
    for frame in (pd.DataFrame(result.rows), pd.DataFrame(result.columns), pl.DataFrame(result.columns)):
        assert list(frame.columns) == list(result.attributes)
        assert [value for value in frame["Manufacturer"] if isinstance(value, str)] == ["Maker"]
        assert len(frame) == 121
    assert pl.DataFrame(result.rows, infer_schema_length=None).to_dict(as_series=False) == result.columns


def test_a_column_has_one_type() -> None:
    """A number of one row is text where another row has text: no data frame takes both in one column."""
    rows = [{"SeriesNumber": 1, "ImageCount": 3}, {"ImageCount": 4}, {"SeriesNumber": "1a", "ImageCount": 5}]
    script = ScriptedReply(body=json.dumps(rows).encode(), content_type="application/json")

    async def ask() -> tciad.QueryResult:
        async with serve_script(lambda _request: script) as server:
            return await tciad.query_async("series", archive=server.base_url, api="v1")

    result = anyio.run(ask)
    assert result.columns == {"SeriesNumber": ["1", None, "1a"], "ImageCount": [3, 4, 5]}


@pytest.mark.parametrize(
    "many",
    [
        tuple,
        list,
        set,
        pytest.param("Series", id="pandas", marks=[pytest.mark.extras, pytest.mark.needs("pandas")]),
    ],
)
def test_series_are_one_uid_or_several(archive: ServedArchive, many: Callable[[list[str]], Any] | str) -> None:
    """Text is one UID, not its characters; whatever can be gone through is several."""
    first, second = sorted(archive.public_series())[:2]
    base_url = archive.sandbox.base_url

    assert tciad.query("series", archive=base_url, series_instance_uids=first).columns["SeriesInstanceUID"] == [first]
    several = pd.Series([first, second]) if isinstance(many, str) else many([first, second])
    found = tciad.query("series", archive=base_url, series_instance_uids=several)
    assert sorted(row["SeriesInstanceUID"] or "" for row in found.rows) == [first, second]


def test_series_without_rows_are_told(archive: ServedArchive) -> None:
    """The archive says nothing of those that it does not know."""
    known = min(archive.public_series())
    result = tciad.query("series-size", archive=archive.sandbox.base_url, series_instance_uids=[known, "1.2.3"])
    assert result.columns["SeriesInstanceUID"] == [known]
    assert result.unlisted == ("1.2.3",)


@pytest.mark.parametrize("day", ["2000-01-01", date(2000, 1, 1), datetime(2000, 1, 1, tzinfo=UTC)])
def test_a_day_is_text_or_a_date(archive: ServedArchive, day: date | str) -> None:
    """In the order of the one who writes it."""
    assert len(tciad.query("updated-series", archive=archive.sandbox.base_url, since=day)) == SERIES


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"modalty": "CT"}, "modalty: unknown filter .did you mean 'modality'"),
        ({"series_instance_uid": "1.2.3"}, "did you mean 'series_instance_uids'"),
        ({"series_instance_uids": "1.2.x"}, "series_instance_uids: '1.2.x' is not a UID"),
        ({"series_instance_uids": ["1.2.3", 4]}, "series_instance_uids: expected text, not a number"),
        ({"series_instance_uids": []}, "series_instance_uids: the list is empty; leave the filter out to select all"),
        ({"study_instance_uid": "x"}, "study_instance_uid: 'x' is not a UID"),
        ({"collection": ""}, "collection: the text is empty; leave the filter out to select all"),
        ({"collection": 7}, "collection: expected text, not a number"),
        ({"since": "yesterday"}, "since: 'yesterday' is not a date such as 2026-01-31"),
        ({"since": 7}, "since: a number is not a date such as 2026-01-31"),
    ],
)
def test_a_wrong_filter_is_refused(archive: ServedArchive, filters: dict[str, Any], said: str) -> None:
    """Before anything is asked: an empty one would ask for the whole archive."""
    with pytest.raises(tciad.UsageError, match=said):
        tciad.query("series", archive=archive.sandbox.base_url, **filters)
    assert archive.sandbox.requests == []


def test_a_wrong_option_of_a_run_is_refused(tmp_path: Path) -> None:
    """With the one that was meant."""
    wrong: Any = {"concurency": 3}
    for function in (tciad.plan, tciad.run):
        with pytest.raises(tciad.UsageError, match=r"concurency: unknown option .did you mean 'concurrency'"):
            function({"select": [{"collection": "*"}]}, output=tmp_path, **wrong)


def test_an_archive_is_told_as_in_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, generation, and all that a manifest can say of signing in; secrets from files or from the environment."""
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "key").write_text(f"{API_KEY}\n")
    with serve_archive(access=Access(api_key_header="X-Key")) as archive:
        sandbox = archive.sandbox
        account = {"username": USERNAME, "password_file": str(tmp_path / "password")}
        keycloak = {**account, "token_url": sandbox.keycloak_url}
        key = {"api_key_file": tmp_path / "key", "api_key_header": "X-Key"}
        told: list[dict[str, Any]] = [
            {"base_url": sandbox.base_url},
            {"base_url": sandbox.base_url, "api": "v2", "auth": account},
            {"base_url": sandbox.base_url, "api": "v4", "auth": keycloak},
            {"base_url": sandbox.bindaas_url, "api": "bindaas", "auth": key},
            {
                "base_url": sandbox.bindaas_url,
                "api": "bindaas",
                "auth": {"api_key_file": tmp_path / "key", "api_key_in": "query"},
            },
        ]
        found = [tciad.query("collections", archive=one).rows for one in told]
        assert sandbox.tokens.grants == ["password", "password"]
        monkeypatch.setenv("TCIAD_API_KEY", API_KEY)
        by_environment = {"base_url": sandbox.bindaas_url, "api": "bindaas", "auth": {"api_key_header": "X-Key"}}
        found.append(tciad.query("collections", archive=by_environment).rows)
    assert found[0]
    assert found == [found[0]] * len(found)


@pytest.mark.parametrize(
    ("told", "api", "said"),
    [
        ({"base_ulr": "http://x"}, None, "archive.base_ulr: unknown key .did you mean 'base_url'"),
        ({"base_url": "http://x", "auth": {"password": "p"}}, None, "a manifest must not contain secrets"),
        ({"base_url": "http://x"}, "v1", "archive: the mapping says which api"),
        (7, None, "archive: expected a mapping of keys, not a number"),
    ],
)
def test_a_wrong_archive_is_refused(told: dict[str, object] | int, api: str | None, said: str) -> None:
    """In the words that a manifest is refused with."""
    with pytest.raises(tciad.UsageError, match=said):
        tciad.query("collections", archive=told, api=api)  # type: ignore[arg-type]  # a number is what some pass


@pytest.mark.anyio
async def test_both_twins_work_in_a_loop(archive: ServedArchive) -> None:
    """As in a notebook's cell."""
    base_url = archive.sandbox.base_url
    assert await tciad.query_async("collections", archive=base_url) == tciad.query("collections", archive=base_url)


@pytest.mark.parametrize(
    ("what", "archive", "api", "said"),
    [
        ("serie", "tcia", None, "did you mean 'series'"),
        ("series", "tciaa", None, "did you mean 'tcia'"),
        ("series", "tcia", "bindaas", "tcia has the API v4, v2 or v1, not 'bindaas'"),
        ("series", "tcia-2013", "v1", "tcia-2013 has the API bindaas, not 'v1'"),
        ("series", "http://127.0.0.1:1/x", "v3", "archive: "),
        ("images", "sandbox", None, "needs the filter series_instance_uid"),
    ],
)
def test_a_wrong_question_is_refused(what: str, archive: str, api: str | None, said: str) -> None:
    """With what would have been right."""
    with pytest.raises(tciad.SettingsError, match=said):
        tciad.query(what, archive=archive, api=api)


def test_a_library_is_verified_and_repaired(archive: ServedArchive, tmp_path: Path) -> None:
    """Findings are rows; a repair needs a manifest that says where the archive is."""
    wanted = {"archive": {"base_url": archive.sandbox.base_url}, "select": [{"collection": "*"}]}
    tciad.run(wanted, output=tmp_path, progress=False)
    assert tciad.verify(tmp_path, deep=True, progress=False).is_sound
    min(tmp_path.rglob("*.dcm")).unlink()

    found = tciad.verify(tmp_path, progress=False)

    assert (found.outcome, found.is_sound) == ("unsound", False)
    assert [finding.kind for finding in found.findings] == ["missing-image"]
    assert tciad.verify(tmp_path, manifests=[wanted], repair=True, progress=False).outcome == "mended"
    assert tciad.verify(tmp_path, deep=True, progress=False).outcome == "sound"


def test_a_library_that_is_none_is_refused(tmp_path: Path) -> None:
    """With the next step."""
    with pytest.raises(tciad.StoreError, match="run a manifest first"):
        tciad.verify(tmp_path / "nothing", progress=False)
