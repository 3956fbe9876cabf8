"""All errors of a manifest are reported at once, with line and place."""

# ruff: noqa: E501 - a table reads best with one case on a line

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from downloader.errors import ManifestError
from downloader.manifest import load_manifest
from tests.manifest.conftest import Write

HEAD = "version: 1\n"
SELECT = "select:\n  - collection: A\n"


def refusal(path: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    return str(caught.value)


WHOLE = [
    ("version: 2\n" + SELECT, "m.yaml:1: version: this tciad reads version 1, not 2"),
    ("version: '1'\n" + SELECT, "m.yaml:1: version: expected the number 1, not text"),
    ("version: true\n" + SELECT, "m.yaml:1: version: expected the number 1, not a Boolean"),
    (SELECT, "m.yaml:1: version: is missing"),
    (HEAD, "m.yaml:1: select: is missing"),
    (HEAD + "selct: [{collection: A}]\n" + SELECT, "m.yaml:2: selct: unknown key (did you mean 'select'?)"),
    (
        HEAD + SELECT + "zzz: 1\n",
        "m.yaml:4: zzz: unknown key; the keys are version, name, archive, select, exclude, output, download, schedule, withdrawn, withdrawn_grace, max_shrink",
    ),
    (HEAD + "select: []\n", "m.yaml:2: select: the list is empty, so the manifest would select nothing"),
    (HEAD + "select: {collection: A}\n", "m.yaml:2: select: expected a list, not a mapping; each entry begins with '- '"),
    (HEAD + "select: [A]\n", "m.yaml:2: select[0]: expected a mapping of keys, not text"),
    (
        HEAD + "select: [{}]\n",
        "m.yaml:2: select[0]: an entry without keys would match the whole archive; set at least one key",
    ),
    (HEAD + SELECT + "exclude:\n", "m.yaml:4: exclude: has no value; give it one, or leave it out"),
    (HEAD + SELECT + SELECT, "m.yaml:4: select: duplicate key, first in line 2"),
    ("- version: 1\n", "m.yaml:1: a manifest is a mapping that begins with version: 1, not a list"),
    ("hello\n", "m.yaml:1: a manifest is a mapping that begins with version: 1, not text"),
    ("", "m.yaml:1: the file is empty; a manifest begins with version: 1"),
    ("# nothing\n", "m.yaml:1: the file is empty; a manifest begins with version: 1"),
    (HEAD + "select:\n\t- collection: A\n", "m.yaml:3:1: YAML must not be indented with tabs; use spaces"),
    (HEAD + "---\nversion: 1\n", "m.yaml:2:1: more than one document (---); a manifest must be a single one"),
    (HEAD + "<<: {name: x}\n" + SELECT, "m.yaml:2: merge keys (<<) are not allowed in manifests"),
    (
        HEAD + "name: !!python/name:os.system x\n" + SELECT,
        "m.yaml:2: name: the tag 'tag:yaml.org,2002:python/name:os.system' is not allowed in manifests",
    ),
    (HEAD + "[1]: x\n" + SELECT, "m.yaml:2: a key must be plain text"),
    (
        HEAD + "name: a/b\n" + SELECT,
        "m.yaml:2: name: the name of a manifest must be printable, without slashes, and not begin with a dot or space",
    ),
]
ENTRY = [
    ("colection: A", "select[0].colection: unknown key (did you mean 'collection'?)"),
    ("Modality: CT", "select[0].Modality: unknown key (did you mean 'modality'?)"),
    ("patient_id: 007", 'select[0].patient_id: expected text, but YAML reads 007 as a number; put it in quotes: "007"'),
    ("patient_id: [a, 1_2]", 'select[0].patient_id[1]: expected text, but YAML reads 1_2 as a number; put it in quotes: "1_2"'),
    (
        "patient_id: 2020-01-31",
        'select[0].patient_id: expected text, but YAML reads 2020-01-31 as a date; put it in quotes: "2020-01-31"',
    ),
    ("modality: NO", 'select[0].modality: expected text, but YAML reads NO as a Boolean; put it in quotes: "NO"'),
    ("modality: []", "select[0].modality: the list is empty; leave the key out to allow anything"),
    ("modality: [[CT]]", "select[0].modality[0]: expected text, not a list"),
    ("modality: {a: b}", "select[0].modality: expected one value or a list of values, not a mapping"),
    ("modality: ''", "select[0].modality: the text is empty"),
    ("modality: ~", "select[0].modality: has no value; give it one, or leave it out"),
    ("modality: [CT, ]\n    collection: [A, ~]", "select[0].collection[1]: has no value; give it one, or leave it out"),
    ("image_count: 20", "select[0].image_count: expected a mapping of keys, not a number"),
    ("image_count: {}", "select[0].image_count: set min, max or both"),
    ("image_count: {min: -1}", "select[0].image_count.min: -1 is too small (minimum 0)"),
    ("image_count: {min: 2.5}", "select[0].image_count.min: expected a whole number, not a number"),
    ("image_count: {min: '2'}", "select[0].image_count.min: expected a whole number, not '2'"),
    ("image_count: {mn: 2}", "select[0].image_count.mn: unknown key (did you mean 'min'?)"),
    ("image_count: {min: 9, max: 2}", "select[0].image_count: min 9 is more than max 2, so nothing could match"),
    (
        "study_date: {from: 2021-01-01, to: 2020-01-01}",
        "select[0].study_date: from 2021-01-01 is after to 2020-01-01, so nothing could match",
    ),
    (
        "study_date: {from: 2021-13-01}",
        "select[0].study_date.from: '2021-13-01' looks like a date but is not; correct it, or put it in quotes if it is text",
    ),
    ("study_date: {from: '2021-13-01'}", "select[0].study_date.from: expected a date such as 2024-01-31"),
    ("study_date: {from: 2021-01-01 10:00:00}", "select[0].study_date.from: expected a date such as 2024-01-31"),
    ("study_date: {from: 20210101}", "select[0].study_date.from: expected a date such as 2024-01-31"),
    (
        "study_instance_uid: abc",
        "select[0].study_instance_uid: 'abc' is not a UID, which is numbers joined by dots",
    ),
    (
        "series_instance_uid: [1.2.3, 1.2-3]",
        "select[0].series_instance_uid[1]: '1.2-3' is not a UID, which is numbers joined by dots",
    ),
    (
        "series_instance_uid: 1.2",
        'select[0].series_instance_uid: expected text, but YAML reads 1.2 as a number; put it in quotes: "1.2"',
    ),
    (
        "series_instance_uid: 1.2.*",
        "select[0].series_instance_uid: '1.2.*' is not a UID: UIDs cannot contain the wildcards * and ?",
    ),
    ("series_list: no.tcia", "select[0].series_list: no.tcia: no such file"),
    (
        "series_list: m.yaml",
        "select[0].series_list: m.yaml: is not a series list; the known extensions are .tcia, .csv, .tsv, .txt",
    ),
]
REST = [
    ("archive: tcai", "archive: 'tcai' is not tcia, nlst, sandbox, tcia-2013 or tcia-2013-test (did you mean 'tcia'?)"),
    ("archive: https://host/x", "archive: write an address as a mapping: {base_url: …, api: v4}"),
    ("archive: [tcia]", "archive: expected a mapping of keys, not a list"),
    ("archive: {api: v4}", "archive.base_url: is missing"),
    ("archive: {base_url: ftp://host/x}", "archive.base_url: 'ftp://host/x' is not an address that begins with http:// or https://"),
    ("archive: {base_url: host/x}", "archive.base_url: 'host/x' is not an address that begins with http:// or https://"),
    ("archive: {base_url: 'http://h:99999/x'}", "archive.base_url: 'http://h:99999/x' is not an address"),
    ("archive: {base_url: 'https://me:secret@host/x'}", "archive.base_url: an address must not contain a user name or password; use auth"),
    ("archive: {base_url: 'https://host/x?a=b'}", "archive.base_url: an address must not contain spaces, ? or #"),
    ("archive: {base_url: https://host/services/TCIA/TCIA/query}", "archive.base_url: remove /query from the address and set api: bindaas"),
    (
        "archive: {base_url: https://host, api: bindaas, auth: {api_key_in: query, api_key_header: x}}",
        "archive.auth: api_key_header cannot be combined with api_key_in: query; the query parameter is always api_key",
    ),
    ("archive: {base_url: https://host, api: bindaas, auth: {api_key_in: body}}", "archive.auth.api_key_in: 'body' is not header or query"),
    ("archive: {base_url: https://host/services/v4/}", "archive.base_url: remove /v4 from the address and set api: v4"),
    ("archive: {base_url: https://host/x, api: v5}", "archive.api: 'v5' is not v4, v2, v1 or bindaas"),
    ("archive: {base_url: https://host/x, auth: {password: hunter2}}", "archive.auth.password: a manifest must not contain secrets; name a file with password_file or api_key_file"),
    ("archive: {base_url: https://host/x, auth: {api_key_file: k}}", "archive: api v4 does not use auth.api_key_file; it uses client_id, client_secret_file, password_file, token_url, username"),
    ("archive: {base_url: https://host/x, api: v1, auth: {username: k}}", "archive: api v1 does not use auth.username; it uses no credentials"),
    ("archive: {base_url: https://host/x, api: bindaas, auth: {api_key_header: 'a b'}}", "archive.auth.api_key_header: 'a b' is not a valid name of an HTTP header"),
    ("output: ./library", "output: expected a mapping of keys, not text"),
    ("output: {directory: ''}", "output.directory: a path must not be empty or contain NUL"),
    ("output: {directory: 5}", "output.directory: expected the path of a folder, not a number"),
    ("output: {layout: clasic}", "output.layout: 'clasic' is not classic, descriptive, idc or flat (did you mean 'classic'?), nor a template such as {collection}/{series_instance_uid}"),
    ("output: {layout: '{collection}'}", "output.layout: two series could share a folder; add {series_instance_uid} to the template"),
    ("output: {layout: '/{series_instance_uid}'}", "output.layout: no folder of the template may be empty or begin with a dot"),
    ("output: {layout: '../{series_instance_uid}'}", "output.layout: no folder of the template may be empty or begin with a dot"),
    ("output: {layout: '{series_instance_uid'}", "output.layout: the braces of '{series_instance_uid' do not match"),
    ("output: {layout: '{series_instance_uid!r}'}", "output.layout: {series_instance_uid} does not accept a format"),
    ("output: {layout: 'a:b/{series_instance_uid}'}", "output.layout: ':' is not allowed in the name of a folder"),
    ("output: {format: tar}", "output.format: 'tar' is not images or zip"),
    ("download: {concurrency: 0}", "download.concurrency: 0 is too small (minimum 1)"),
    ("download: {concurrency: 65}", "download.concurrency: 65 is too large (maximum 64)"),
    ("download: {concurrency: four}", "download.concurrency: expected a whole number, not 'four'"),
    ("download: {concurrency: yes}", "download.concurrency: expected a whole number, not a Boolean"),
    ("download: {bandwidth: 40}", 'download.bandwidth: expected a value such as 40MB/s, or {default: 40MB/s, "08:00-18:00": 5MB/s}, not a number'),
    ("download: {bandwidth: {8-18: 5MB/s}}", "download.bandwidth: '8-18' is neither default nor a time range such as 08:00-18:00"),
    ("download: {bandwidth: {'08:00-25:00': 5MB/s}}", "download.bandwidth: '08:00-25:00' is not a valid time of day"),
    ("download: {bandwidth: {'08:00-08:00': 5MB/s}}", "download.bandwidth: '08:00-08:00' ends when it begins"),
    ("download: {bandwidth: {'22:00-06:00': 5MB/s, '05:00-07:00': 1MB/s}}", "download.bandwidth: two of the time ranges overlap"),
    ("download: {bandwidth: {default: 5}}", "download.bandwidth: default: expected a rate such as 5MB/s, not a number"),
    ("download: {bandwidth: 40MB}", "download.bandwidth: '40MB' is not a rate such as 40MB/s or 500kB/s, nor unlimited"),
    ("download: {bandwidth: 40mb/s}", "download.bandwidth: unknown unit 'mb' (did you mean 'MB'?); the units are kB MB GB TB KiB MiB GiB TiB"),
    ("download: {bandwidth: 0MB/s}", "download.bandwidth: 0MB/s would stop every download; use unlimited for no limit"),
    ("download: {order: smallest}", "download.order: 'smallest' is not archive, smallest-first, largest-first or balanced (did you mean 'smallest-first'?)"),
    ("download: {attempts: -1}", "download.attempts: -1 is too small (minimum 1)"),
    ("download: {md5: on}", "download.md5: a Boolean is not auto, require or off"),
    ("download: {min_free_space: -2GB}", "download.min_free_space: '-2GB' is not a size such as 2GB or 512MiB"),
    ("download: {min_free_space: 2}", "download.min_free_space: expected a value such as 2GB, not a number"),
    ("schedule: {}", "schedule: set either every or cron"),
    ("schedule: {every: 6h, cron: 0 3 * * *}", "schedule: set either every or cron"),
    ("schedule: {retry_after: 5m}", "schedule: set either every or cron"),
    ("schedule: {every: 6h, retry_after: 5}", "schedule.retry_after: expected a value such as 6h, not a number"),
    ("schedule: {every: 6}", "schedule.every: expected a value such as 6h, not a number"),
    ("schedule: {every: 0s}", "schedule.every: 0s is not a duration greater than zero"),
    ("schedule: {every: 6w}", "schedule.every: unknown unit 'w'; the units are s m h d"),
    ("schedule: {every: 9999d}", "schedule.every: 9999d is longer than a year"),
    ("schedule: {cron: 0 3 * *}", "schedule.cron: a cron expression has 5 fields (minute hour day month weekday), not 4"),
    ("schedule: {cron: 61 3 * * *}", "schedule.cron: not a cron expression: bad minute"),
    ("schedule: {cron: 0 0 31 2 *}", "schedule.cron: not a cron expression: bad day-of-month"),
    ("withdrawn: del", "withdrawn: 'del' is not keep, quarantine or delete (did you mean 'delete'?)"),
    ("max_shrink: 5", "max_shrink: expected a value such as 5%, not a number"),
    ("max_shrink: 101%", "max_shrink: 101% is more than 100%"),
    ("max_shrink: -5%", "max_shrink: '-5%' is not a percentage such as 5%"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WHOLE)
def test_a_wrong_manifest_says_what_is_wrong(write: Write, text: str, message: str) -> None:
    """Structure: keys, versions, lists and YAML itself."""
    assert refusal(write("m.yaml", text)) == message


@pytest.mark.parametrize(("entry", "message"), ENTRY)
def test_a_wrong_entry_says_what_is_wrong(write: Write, entry: str, message: str) -> None:
    """Selection: what YAML makes of identifiers, and ranges that match nothing."""
    line = 3 + entry.count("\n")
    assert refusal(write("m.yaml", f"{HEAD}select:\n  - {entry}\n")) == f"m.yaml:{line}: {message}"


@pytest.mark.parametrize(("rest", "message"), REST)
def test_a_wrong_value_says_what_is_wrong(write: Write, rest: str, message: str) -> None:
    """Everything beside the selection."""
    assert refusal(write("m.yaml", f"{HEAD}{SELECT}{rest}\n")) == f"m.yaml:4: {message}"


def test_all_problems_are_told_in_the_order_of_the_file(write: Write) -> None:
    """One round of corrections is enough, series lists included."""
    write("bad.txt", "1.2.3\nabc\n")
    text = "version: 1\nnam: x\nselect:\n  - series_list: bad.txt\n  - patient_id: 7\ndownload:\n  attempts: 0\n"
    assert refusal(write("m.yaml", text)).splitlines() == [
        "m.yaml:2: nam: unknown key (did you mean 'name'?)",
        'm.yaml:5: select[1].patient_id: expected text, but YAML reads 7 as a number; put it in quotes: "7"',
        "m.yaml:7: download.attempts: 0 is too small (minimum 1)",
        "bad.txt:2: 'abc' is not a UID, which is numbers joined by dots",
    ]


def test_every_mapping_knows_its_neighbours(write: Write) -> None:
    """The error for a misspelled key names the nearest key of its mapping."""
    text = """\
version: 1
archive: {base_ur: https://h/x, auth: {user_name: a}}
select: [{collection: A, study_date: {frm: 2020-01-01}}]
exclude: [{modalty: SEG}]
output: {dirctory: x}
download: {bandwith: 1MB/s}
schedule: {evry: 6h}
"""
    lines = refusal(write("m.yaml", text)).splitlines()
    near = [line.partition("did you mean ")[2] for line in lines if "did you mean" in line]
    assert near == ["'username'?)", "'base_url'?)", "'from'?)", "'modality'?)", "'directory'?)", "'bandwidth'?)", "'every'?)"]


@pytest.mark.parametrize(
    ("glob", "message"),
    [
        ("*", "m.yaml:3:18: text that begins with * or & must be in quotes"),
        ("*CT", "m.yaml:3:17: no anchor has that name; text that begins with * must be in quotes"),
        ("@x", "m.yaml:3:17: text that begins with this character must be in quotes"),
        ("a: b", "m.yaml:3:18: unexpected colon; put text that contains ': ' in quotes, and check the indentation"),
    ],
)
def test_text_that_yaml_takes_for_something_else_must_be_quoted(write: Write, glob: str, message: str) -> None:
    """What people write first when they want a glob."""
    assert refusal(write("m.yaml", f"{HEAD}select:\n  - collection: {glob}\n")) == message


def test_aliases_that_would_fill_the_memory_are_refused(write: Write) -> None:
    """A billion laughs, in nine lines."""
    lines = ["version: 1", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "more than 100000 values" in refusal(write("m.yaml", "\n".join(lines)))


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "[" * 30 + "]" * 30, "[" * 5000])
def test_nesting_without_end_is_refused(write: Write, text: str) -> None:
    """Aliases of themselves, and brackets beyond number."""
    assert "nested too deeply" in refusal(write("m.yaml", text))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('select:\n  - collection: "a\\ud800b"\n', "select[0].collection: 'a\\ud800b'"),
        ('select:\n  - series_list: "\\udfff.tcia"\n', "select[0].series_list: '\\udfff.tcia'"),
        ('select:\n  - "\\ud800": a\n', "select[0]: the key '\\ud800'"),
    ],
)
def test_half_of_a_surrogate_pair_is_refused(write: Write, text: str, place: str) -> None:
    """YAML can write it as an escape; nothing can send or store it."""
    assert f"{place} contains half of a surrogate pair" in refusal(write("m.yaml", f"{HEAD}{text}"))


def test_files_that_are_no_text_are_refused(write: Write) -> None:
    """Each says what it is, and the line where there is one."""
    assert refusal(Path("none.yaml")) == "none.yaml: no such file"
    Path("folder").mkdir()
    assert refusal(Path("folder")) == "folder: is a folder, not a file"
    assert refusal(Path("x" * 300)).endswith(": cannot be read: File name too long")
    assert refusal(write("big.yaml", b"#" * 1024**2 + b"#")) == "big.yaml: is larger than 1 MiB"
    assert refusal(write("l1.yaml", b"version: 1\nname: \xe9\n")) == (
        "l1.yaml:2: byte 0xE9 is not UTF-8 text; save the file as UTF-8"
    )
    assert refusal(write("nul.yaml", b"version: 1\n\0")) == ("nul.yaml:2: a NUL character; the file is not text, or not in UTF-8")
    assert refusal(write("bell.yaml", b"version: 1\n\a")) == "bell.yaml:2: a control character; the file is not plain text"
    assert refusal(write("m.zip", b"PK\x03\x04")) == "m.zip: is not text; save a workbook as .csv, and unpack an archive file"
    assert "is a workbook" in refusal(write("m.xlsx", b"PK\x03\x04"))
    assert "Imaging Data Commons" in refusal(write("m.s5cmd", "cp s3://idc/x/* .\n"))


def test_a_secret_in_the_wrong_place_is_not_repeated(write: Write) -> None:
    """Messages end in logs."""
    text = f"{HEAD}{SELECT}archive: {{base_url: 'https://me:hunter2@host/x', auth: {{password: hunter2}}}}\n"
    assert "hunter2" not in refusal(write("m.yaml", text))


fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates())
KEYS = ["version", "select", "exclude", "archive", "output", "download", "schedule", "collection", "auth", "min", "from", "1.2"]
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def survives(path: Path) -> None:
    with suppress(ManifestError):
        load_manifest(path)


@fuzz
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_a_manifest_error(write: Write, content: bytes) -> None:
    """Nothing else escapes, whatever the suffix."""
    for suffix in ("yaml", "tcia", "csv", "tsv", "txt"):
        survives(write(f"m.{suffix}", content))


@fuzz
@given(text=st.text(alphabet="ab1:-[]{}&*!|>%@'\"\\#?,. \n\t<~=U0xF", max_size=60))
def test_any_yaml_signs_are_a_manifest_or_a_manifest_error(write: Write, text: str) -> None:
    """The signs that mean something in YAML, in any order."""
    survives(write("m.yaml", text))
    survives(write("n.yaml", f"{HEAD}select:\n  - collection: {text}\n"))


@fuzz
@given(data=st.dictionaries(st.sampled_from(KEYS), trees, max_size=6))
def test_any_values_are_a_manifest_or_a_manifest_error(write: Write, data: dict[str, object]) -> None:
    """Values of every type in every place."""
    survives(write("m.yaml", yaml.safe_dump({"version": 1, **data}, allow_unicode=True)))
