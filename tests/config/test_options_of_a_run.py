"""What is decided before a run begins."""

from pathlib import Path

from pydantic import SecretStr

from downloader.config.options import Secrets
from downloader.config.settings import Settings
from downloader.engine.mirror import decide_options
from downloader.manifest import load_manifest

MANIFEST = """\
version: 1
archive: {base_url: "https://main/nbia-api/services", api: v2}
select:
  - collection: A
  - {collection: B, archive: {base_url: "https://other/nbia-api/services", api: v2}}
  - {collection: C, archive: {base_url: "https://third/services", api: bindaas, auth: {api_key_file: key}}}
"""


def test_secrets_of_the_environment_go_to_the_manifests_archive_only(tmp_path: Path) -> None:
    """Another archive that an entry names learns what its own files say, and nothing else."""
    (tmp_path / "m.yaml").write_text(MANIFEST)
    (tmp_path / "key").write_text("of the third")
    settings = Settings(username=SecretStr("me"), password=SecretStr("hush"), api_key=SecretStr("of the environment"))
    options = decide_options({}, settings, load_manifest(tmp_path / "m.yaml"))
    assert options.secrets == {
        "main": Secrets(username=SecretStr("me"), password=SecretStr("hush")),
        "other": Secrets(environment_counts=False),
        "third": Secrets(api_key=SecretStr("of the third"), environment_counts=False),
    }
