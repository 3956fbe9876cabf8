"""Options from the environment (`TCIAD_*`) and from flags, and their precedence over the manifest."""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from downloader.config.messages import explain, suggest
from downloader.config.options import (
    Attempts,
    Bandwidth,
    Concurrency,
    Duration,
    Format,
    LayoutName,
    Md5,
    MinimumRate,
    OptionValues,
    Order,
    PathName,
    Percent,
    RunOptions,
    Size,
    choose,
    layer_options,
)
from downloader.errors import SettingsError

__all__ = [
    "LogFormat",
    "LogLevel",
    "OptionValues",
    "RunOptions",
    "Settings",
    "load_settings",
    "parse_flags",
    "read_secret",
    "resolve_options",
]

PREFIX: Final = "TCIAD_"
LONGEST_SECRET_BYTES: Final = 65_536
# What users call an option, where RunOptions names its unit as well.
_FIELD_OF: Final = {
    "min_free_space": "min_free_bytes",
    "max_shrink": "max_shrink_percent",
    "connect_timeout": "connect_seconds",
    "idle_timeout": "idle_seconds",
    "minimum_rate": "minimum_bytes_per_second",
    "deadline": "deadline_seconds",
}
SECRET_NAMES: Final = ("api_key", "username", "password")
"""Secrets for an archive."""


class LogFormat(StrEnum):
    """How log lines look; `auto` is `console` on a terminal and `json` elsewhere."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least serious log line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class _OptionFields(BaseModel):
    """The options under the names that flags and variables share. Options that the user did not give are not set."""

    output: PathName | None = None
    state: PathName | None = None
    layout: LayoutName | None = None
    format: Format | None = None
    concurrency: Concurrency | None = None
    bandwidth: Bandwidth | None = None
    order: Order | None = None
    attempts: Attempts | None = None
    md5: Md5 | None = None
    min_free_space: Size | None = None
    max_shrink: Percent | None = None
    connect_timeout: Duration | None = None
    idle_timeout: Duration | None = None
    minimum_rate: MinimumRate | None = None

    def option_values(self) -> OptionValues:
        """The options that were given, under the names of RunOptions."""
        said = {_FIELD_OF.get(name, name): getattr(self, name) for name in self.model_fields_set}
        return cast("OptionValues", {name: value for name, value in said.items() if name in OptionValues.__annotations__})


class _Flags(_OptionFields):
    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline: Duration | None = None


class Settings(BaseSettings, _OptionFields):
    """The options in the environment. Secrets are printed as asterisks."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    log_format: Annotated[LogFormat, BeforeValidator(choose(LogFormat))] = LogFormat.AUTO
    log_level: Annotated[LogLevel, BeforeValidator(choose(LogLevel))] = LogLevel.INFO
    api_key: SecretStr | None = Field(default=None, repr=False)
    api_key_file: PathName | None = None
    username: SecretStr | None = Field(default=None, repr=False)
    username_file: PathName | None = None
    password: SecretStr | None = Field(default=None, repr=False)
    password_file: PathName | None = None
    listen: str | None = None
    serve_token: SecretStr | None = Field(default=None, repr=False)
    serve_token_file: PathName | None = None


def load_settings() -> Settings:
    """Read the environment, and the secrets' files that it names.

    Raises:
        SettingsError: a `TCIAD_` variable that tciad does not know, or an invalid value; all are named.
    """
    problems = _find_unknown(os.environ)
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [f"{_variable_of(detail)}: {explain(detail)}" for detail in error.errors()]
        raise SettingsError("\n".join(problems)) from error
    if problems:
        raise SettingsError("\n".join(problems))
    return settings.model_copy(update=_read_secrets(settings))


def parse_flags(flags: Mapping[str, object], *, named: str = "--{}") -> OptionValues:
    """Check the options that were given as flags; those that are None were not given.

    Args:
        flags: by the flag's name without dashes and with underscores, such as `min_free_space`; values as text or parsed.
        named: how the user writes an option's name.

    Raises:
        SettingsError: an invalid value; all are named.
    """
    try:
        return _Flags.model_validate({name: value for name, value in flags.items() if value is not None}).option_values()
    except ValidationError as error:
        problems = [f"{_spell(str(detail['loc'][0]), named)}: {_explain_flag(detail)}" for detail in error.errors()]
        raise SettingsError("\n".join(problems)) from error


def _explain_flag(detail: ErrorDetails) -> str:
    if detail["type"] != "extra_forbidden":
        return explain(detail)
    known = list(_Flags.model_fields)
    return f"unknown option{suggest(str(detail['loc'][0]), known)}; the options are {', '.join(known)}"


def _spell(option: str, named: str) -> str:
    return named.format(option.replace("_", "-") if named.startswith("-") else option)


def resolve_options(flags: OptionValues, settings: Settings, manifest: OptionValues) -> RunOptions:
    """Decide each option: flag before environment before manifest before default."""
    return layer_options(flags, settings.option_values(), manifest)


def read_secret(path: Path, named_by: str) -> SecretStr:
    """Read a secret from its file; a line break at its end is removed.

    Args:
        path: the file.
        named_by: the variable or the key of the manifest that names the file, for the message.

    Raises:
        SettingsError: the file cannot be read, is empty, or is too large to be a secret.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_SECRET_BYTES + 1)
        text = content.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingsError(f"{named_by}: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        # the cause may show the secret
        raise SettingsError(f"{named_by}: {path} is not UTF-8 text") from error
    if len(content) > LONGEST_SECRET_BYTES:
        raise SettingsError(f"{named_by}: {path} is too large to be a secret")
    if not text:
        raise SettingsError(f"{named_by}: {path} is empty")
    return SecretStr(text)


def _read_secrets(settings: Settings) -> dict[str, SecretStr]:
    secrets = {}
    for name in (*SECRET_NAMES, "serve_token"):
        path: Path | None = getattr(settings, f"{name}_file")
        if path is None:
            continue
        variable = f"{PREFIX}{name.upper()}"
        if getattr(settings, name) is not None:
            raise SettingsError(f"{variable} and {variable}_FILE are both set", next_step="unset one of them")
        secrets[name] = read_secret(path, f"{variable}_FILE")
    return secrets


def _find_unknown(environment: Mapping[str, str]) -> list[str]:
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    found = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return [f"{name}: unknown variable{suggest(name, known)}" for name in found]


def _variable_of(detail: ErrorDetails) -> str:
    return f"{PREFIX}{str(detail['loc'][0]).upper()}"
