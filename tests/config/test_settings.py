"""Flags win over the environment, it wins over the manifest, and all are checked alike."""

import os
from dataclasses import fields
from pathlib import Path

import pytest

from downloader.config.bandwidth_schedule import BandwidthPlan
from downloader.config.layouts import LAYOUT_FIELDS, LAYOUTS
from downloader.config.options import OptionValues, RunOptions, StorageFormat, check_layout
from downloader.config.settings import LogFormat, LogLevel, load_settings, parse_flags, read_secret, resolve_options
from downloader.errors import SettingsError
from downloader.library.layout import parse_layout
from downloader.model import FetchOrder, Md5Mode


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without any variable of tciad."""
    for name in [name for name in os.environ if name.startswith("TCIAD_")]:
        monkeypatch.delenv(name)


def set_all(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"TCIAD_{name}", value)


def test_nothing_said_means_the_defaults() -> None:
    """On all three levels."""
    settings = load_settings()
    assert settings.option_values() == {}
    assert settings.password is None
    assert (settings.log_format, settings.log_level) == (LogFormat.AUTO, LogLevel.INFO)
    assert resolve_options({}, settings, {}) == RunOptions()


def test_every_option_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the name of the manifest's key or the flag."""
    set_all(
        monkeypatch, OUTPUT="/data", STATE="/state/s.db", LAYOUT="flat", FORMAT="zip", CONCURRENCY="8", BANDWIDTH="1MB/s",
        ORDER="largest-first", ATTEMPTS="2", MD5="off", MIN_FREE_SPACE="1GB", MAX_SHRINK="10%", CONNECT_TIMEOUT="5s",
        IDLE_TIMEOUT="3m", MINIMUM_RATE="0", LOG_FORMAT="json", LOG_LEVEL="debug",
    )  # fmt: skip
    settings = load_settings()
    assert resolve_options({}, settings, {}) == RunOptions(
        output=Path("/data"),
        state=Path("/state/s.db"),
        layout="flat",
        format=StorageFormat.ZIP,
        concurrency=8,
        bandwidth=BandwidthPlan(bytes_per_second=1_000_000),
        order=FetchOrder.LARGEST_FIRST,
        attempts=2,
        md5=Md5Mode.OFF,
        min_free_bytes=10**9,
        max_shrink_percent=10.0,
        connect_seconds=5.0,
        idle_seconds=180.0,
        minimum_bytes_per_second=0,
    )
    assert (settings.log_format, settings.log_level) == (LogFormat.JSON, LogLevel.DEBUG)
    of_one_run = {"deadline_seconds", "secrets"}
    assert set(settings.option_values()) == {field.name for field in fields(RunOptions)} - of_one_run


def test_flag_before_environment_before_manifest_before_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option is decided by the first level that says something of it."""
    set_all(monkeypatch, ATTEMPTS="3", CONCURRENCY="3")
    manifest = OptionValues(
        attempts=4, concurrency=4, order=FetchOrder.SMALLEST_FIRST, bandwidth=BandwidthPlan(bytes_per_second=5)
    )
    flags = parse_flags({"concurrency": 2, "bandwidth": "unlimited", "output": None})
    options = resolve_options(flags, load_settings(), manifest)
    assert (options.concurrency, options.attempts, options.order) == (2, 3, FetchOrder.SMALLEST_FIRST)
    assert options.bandwidth == BandwidthPlan()
    assert options.md5 is Md5Mode.AUTO


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files pass on variables that are not set."""
    set_all(monkeypatch, CONCURRENCY="", PASSWORD="", PASSWORD_FILE="")
    assert load_settings().option_values() == {}


def test_every_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is wrong, and the near name where one is misspelled."""
    set_all(monkeypatch, CONCURENCY="1", ATTEMPTS="many", MD5="atuo", BANDWIDTH="40MB", LOG_LEVEL="warn", LAYOUT="{modality}")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert sorted(str(caught.value).splitlines()) == [
        "TCIAD_ATTEMPTS: expected a whole number, not 'many'",
        "TCIAD_BANDWIDTH: '40MB' is not a rate such as 40MB/s or 500kB/s, nor unlimited",
        "TCIAD_CONCURENCY: unknown variable (did you mean 'TCIAD_CONCURRENCY'?)",
        "TCIAD_LAYOUT: two series could share a folder; add {series_instance_uid} to the template",
        "TCIAD_LOG_LEVEL: 'warn' is not debug, info, warning or error (did you mean 'warning'?)",
        "TCIAD_MD5: 'atuo' is not auto, require or off (did you mean 'auto'?)",
    ]


def test_an_unknown_variable_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that is silently without effect costs more than the refusal."""
    set_all(monkeypatch, OUPUT="/data")
    with pytest.raises(SettingsError, match=r"TCIAD_OUPUT: .*did you mean 'TCIAD_OUTPUT'"):
        load_settings()


def test_every_wrong_flag_is_named() -> None:
    """As it was typed."""
    with pytest.raises(SettingsError) as caught:
        parse_flags({"concurrency": 0, "min_free_space": "2"})
    assert str(caught.value).splitlines() == [
        "--concurrency: 0 is too small (minimum 1)",
        "--min-free-space: '2' is not a size such as 2GB or 512MiB",
    ]


def test_secrets_come_from_variables_or_files_and_are_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not even where settings are printed; the line break at the end of a file is no part of the secret."""
    (tmp_path / "password").write_text("hunter2 \n")
    set_all(monkeypatch, USERNAME="me", API_KEY="k-123", PASSWORD_FILE=str(tmp_path / "password"))
    settings = load_settings()
    assert settings.username is not None
    assert settings.username.get_secret_value() == "me"
    assert settings.api_key is not None
    assert settings.password is not None
    assert settings.password.get_secret_value() == "hunter2 "
    for shown in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())):
        assert "hunter2" not in shown
        assert "k-123" not in shown


def test_a_secret_is_given_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two places would leave open which one counts."""
    set_all(monkeypatch, PASSWORD="hunter2", PASSWORD_FILE=str(tmp_path / "none"))
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == "TCIAD_PASSWORD and TCIAD_PASSWORD_FILE are both set; unset one of them"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"hunter\xff", "is not UTF-8 text"),
        (b"x" * 70_000, "is too large to be a secret"),
    ],
)
def test_a_secret_that_cannot_be_read_names_who_asked_for_it(tmp_path: Path, content: bytes | None, message: str) -> None:
    """And says nothing of what the file holds."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        read_secret(path, "TCIAD_API_KEY_FILE")
    assert str(caught.value) == f"TCIAD_API_KEY_FILE: {path} {message}"


def test_settings_cannot_be_changed() -> None:
    """They are read once."""
    with pytest.raises(ValueError, match="frozen"):
        load_settings().concurrency = 3


def test_a_template_may_hold_every_field() -> None:
    """And the names of layouts pass as they are."""
    template = "/".join(f"{{{name}}}" for name in LAYOUT_FIELDS)
    assert check_layout(template) == template
    assert check_layout("descriptive") == "descriptive"


@pytest.mark.parametrize("layout", [*LAYOUTS, "/".join(f"{{{name}}}" for name in LAYOUT_FIELDS)])
def test_the_library_understands_every_layout_that_passes(layout: str) -> None:
    """It would refuse later, and could not say the line."""
    assert parse_layout(check_layout(layout)).levels
