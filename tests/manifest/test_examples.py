"""Examples, documentation and JSON Schema say the same as the loader."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from downloader.errors import ManifestError
from downloader.manifest import load_manifest, manifest_schema
from tests.manifest.conftest import Write
from tests.manifest.test_loading import EVERYTHING

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "manifests").iterdir())
DOCUMENT = ROOT / "docs" / "manifest.md"
FULL_SAMPLE = """\
version: 1
name: lung-ct                       # default: the file's stem
archive: tcia                       # built in: tcia, nlst, sandbox; or a mapping:
select:                             # a series is wanted when any entry matches it
  - collection: LIDC-IDRI
    patient_id: [LIDC-IDRI-0001, "LIDC-IDRI-00[1-4]*"]
    modality: CT
    image_count: {min: 20}
  - series_instance_uid: [1.3.6.1.4.1.14519.5.2.1.1]
  - series_list: cart.tcia
exclude:
  - modality: [SEG, RTSTRUCT]
output:
  directory: ./library
  layout: classic
  format: images
download:
  concurrency: 4
  bandwidth: 40MB/s
  order: archive
  attempts: 6
  md5: auto
  min_free_space: 2GB
schedule: {every: 6h}
withdrawn: keep
max_shrink: 5%
"""


def as_json(text: str) -> object:
    """What an editor sees: YAML 1.1 as PyYAML reads it, dates as text."""
    seen: object = json.loads(json.dumps(yaml.safe_load(text), default=str))
    return seen


def is_valid(text: str) -> bool:
    return jsonschema.Draft202012Validator(manifest_schema()).is_valid(as_json(text))


def keys_of(schema: Mapping[str, Any]) -> Iterator[str]:
    for node in [schema, *schema["$defs"].values()]:
        yield from node.get("properties", ())


def test_the_schema_is_one() -> None:
    """By the dialect that it names."""
    schema = manifest_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]


def test_every_key_has_a_description_in_the_schema() -> None:
    """Editors show it."""
    schema = manifest_schema()
    for node in [schema, *schema["$defs"].values()]:
        for name, key in node.get("properties", {}).items():
            assert key.get("description"), name


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_a_manifest(path: Path) -> None:
    """For the loader, and for the schema where it is YAML."""
    assert load_manifest(path).select
    if path.suffix == ".yaml":
        assert is_valid(path.read_text())


def test_the_sample_of_the_design_is_a_manifest(write: Write) -> None:
    """It is what users were promised."""
    write("cart.tcia", "ListOfSeriesToDownload=\n1.2.3\n")
    assert is_valid(FULL_SAMPLE)
    manifest = load_manifest(write("m.yaml", FULL_SAMPLE))
    assert manifest.select[0].globs("patient_id") == ("LIDC-IDRI-00[1-4]*",)
    assert is_valid(EVERYTHING)


@pytest.mark.parametrize(
    "line",
    [
        "version: 2", "archive: tcai", "archive: {api: v4}", "archive: {base_url: ftp://x}", "select: []", "select: [{}]",
        "select: {collection: A}", "select: [{collection: []}]", "select: [{collection: 1}]", "select: [{collection: null}]",
        "select: [{modality: NO}]", "select: [{series_instance_uid: abc}]", "select: [{image_count: {}}]", "unknown: 1",
        "output: {layout: clasic}", "output: {format: tar}", "download: {concurrency: 0}", "download: {md5: on}",
        "download: {bandwidth: 40}", "download: {bandwidth: {'8-18': 5MB/s}}", "download: {min_free_space: 2}", "schedule: {}",
        "schedule: {every: 6h, cron: '0 3 * * *'}",
        "schedule: {every: 6}", "withdrawn: no", "max_shrink: 5", "exclude: null", "name: null",
    ],
)  # fmt: skip
def test_what_the_schema_refuses_the_loader_refuses(write: Write, line: str) -> None:
    """An editor never underlines what would run."""
    key = line.partition(":")[0]
    rest = "\n".join(kept for kept in ("version: 1", "select: [{collection: A}]") if not kept.startswith(f"{key}:"))
    text = f"{rest}\n{line}\n"
    assert not is_valid(text)
    with pytest.raises(ManifestError):
        load_manifest(write("m.yaml", text))


@pytest.mark.parametrize(
    "line",
    [
        "download: {md5: off}",
        "download: {min_free_space: 0}",
        "download: {bandwidth: unlimited}",
        "download: {bandwidth: {default: 40MB/s, '08:00-18:00': 5MB/s}}",
    ],
)
def test_what_is_written_unlike_it_looks_is_fine_for_both(write: Write, line: str) -> None:
    """YAML reads `off` as false, and 0 needs no unit."""
    text = f"version: 1\nselect: [{{collection: A}}]\n{line}\n"
    assert is_valid(text)
    assert load_manifest(write("m.yaml", text)).options


def test_every_key_is_documented() -> None:
    """A key that is not in docs/manifest.md does not exist for users."""
    text = DOCUMENT.read_text()
    missing = sorted({key for key in keys_of(manifest_schema()) if f"`{key}`" not in text})
    assert missing == []


def test_every_example_of_the_documentation_is_a_manifest(write: Write) -> None:
    """The blocks of YAML in docs/manifest.md, put into a whole manifest where they are parts."""
    write("cart.tcia", "ListOfSeriesToDownload=\n1.2.3\n")
    blocks = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        text = block if "version:" in block else f"version: 1\n{block}"
        text = text if "select:" in block else f"{text}\nselect: [{{collection: A}}]\n"
        load_manifest(write("m.yaml", text))
        assert is_valid(text)
