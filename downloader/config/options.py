"""The options that flags, environment and manifest share, and the one place of their defaults."""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, TypedDict, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, WithJsonSchema

from downloader.config.bandwidth_schedule import NO_LIMIT, WINDOW_PATTERN, BandwidthPlan, parse_bandwidth
from downloader.config.layouts import LAYOUT_FIELDS, LAYOUTS
from downloader.config.messages import kind_of, quote, refuse_choice, suggest
from downloader.config.quantities import (
    DURATION_PATTERN,
    PERCENT_PATTERN,
    RATE_PATTERN,
    SIZE_PATTERN,
    parse_duration,
    parse_minimum_rate,
    parse_percent,
    parse_size,
)
from downloader.model import FetchOrder, Md5Mode

MOST_CONCURRENCY: Final = 64
MOST_ATTEMPTS: Final = 100
_NOT_IN_FOLDER_NAMES: Final = frozenset('<>:"\\|?*')


class StorageFormat(StrEnum):
    """Whether a completed series is a folder of images or one ZIP."""

    IMAGES = "images"
    ZIP = "zip"


DEFAULT_LAYOUT: Final = "classic"
DEFAULT_FORMAT: Final = StorageFormat.IMAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The credentials for an archive; None for those that the user did not give. Printed as asterisks.

    `environment_counts`: whether those of the environment apply to this archive. They do not apply to that of a single entry.
    """

    username: SecretStr | None = None
    password: SecretStr | None = None
    client_secret: SecretStr | None = None
    api_key: SecretStr | None = None
    environment_counts: bool = field(default=True, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """All options of a run, with the defaults of tciad.

    `state` is the store's file; None puts it into the library. `layout` and `format` None are those that the library has.
    `max_shrink_percent`: a catalogue that lost more series than this since the last resolve is rejected.
    `minimum_bytes_per_second`: a body that comes more slowly counts as stalled; 0 switches that off. `deadline_seconds`: how long
    the run may take in all; None is as long as it needs. `secrets` are by the archive's name: each is for that archive
    and for no other.
    """

    output: Path = Path("library")
    state: Path | None = None
    layout: str | None = None
    format: StorageFormat | None = None
    concurrency: int = 4
    bandwidth: BandwidthPlan = NO_LIMIT
    order: FetchOrder = FetchOrder.ARCHIVE
    attempts: int = 6
    md5: Md5Mode = Md5Mode.AUTO
    min_free_bytes: int = 2_000_000_000
    max_shrink_percent: float = 5.0
    connect_seconds: float = 30.0
    idle_seconds: float = 120.0
    minimum_bytes_per_second: int = 1000
    deadline_seconds: float | None = None
    secrets: Mapping[str, Secrets] = field(default_factory=dict, repr=False)


class OptionValues(TypedDict, total=False):
    """Some of the options, as one level (flags, environment, manifest) gives them. An absent key was not given."""

    output: Path
    state: Path
    layout: str
    format: StorageFormat
    concurrency: int
    bandwidth: BandwidthPlan
    order: FetchOrder
    attempts: int
    md5: Md5Mode
    min_free_bytes: int
    max_shrink_percent: float
    connect_seconds: float
    idle_seconds: float
    minimum_bytes_per_second: int
    deadline_seconds: float | None


def layer_options(*levels: OptionValues) -> RunOptions:
    """Lay the levels over the defaults; the first level that has an option decides it."""
    merged = OptionValues()
    for level in reversed(levels):
        merged.update(level)
    return RunOptions(**merged)


def check_layout(layout: str) -> str:
    """Return the layout if it is a built-in name or a template that gives each series a folder of its own in the library.

    Raises:
        ValueError: neither of the two.
    """
    if layout in LAYOUTS:
        return layout
    if "{" not in layout and "}" not in layout:
        raise ValueError(
            f"{refuse_choice(layout, tuple(LAYOUTS))}, nor a template such as {{collection}}/{{series_instance_uid}}"
        )
    try:
        parts = list(string.Formatter().parse(layout))
    except ValueError as error:
        raise ValueError(f"the braces of {quote(layout)} do not match") from error
    for literal, name, form, conversion in parts:
        _check_literal(literal)
        if name is not None:
            _check_field(name, bool(form or conversion))
    if "series_instance_uid" not in {name for _, name, _, _ in parts}:
        raise ValueError("two series could share a folder; add {series_instance_uid} to the template")
    if any(not folder or folder.startswith(".") for folder in layout.split("/")):
        raise ValueError("no folder of the template may be empty or begin with a dot")
    return layout


def _check_literal(literal: str) -> None:
    wrong = sorted(letter for letter in set(literal) if letter in _NOT_IN_FOLDER_NAMES or not letter.isprintable())
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not allowed in the name of a folder")


def _check_field(name: str, is_formatted: bool) -> None:
    if name not in LAYOUT_FIELDS:
        fields = ", ".join(f"{{{known}}}" for known in LAYOUT_FIELDS)
        raise ValueError(f"unknown field {{{name}}}{suggest(name, LAYOUT_FIELDS)}; the fields are {fields}")
    if is_formatted:
        raise ValueError(f"{{{name}}} does not accept a format")


Choice = TypeVar("Choice", bound=StrEnum)
Parsed = TypeVar("Parsed")


def choose(choices: type[Choice]) -> Callable[[object], Choice]:
    """A validator that takes the words of an enumeration."""
    words = [choice.value for choice in choices]

    def validate(value: object) -> Choice:
        if isinstance(value, str) and value in words:
            return choices(value)
        raise ValueError(refuse_choice(value, words))

    return validate


def from_text(parse: Callable[[str], Parsed], example: str) -> Callable[[object], Parsed]:
    """A validator that parses text, and refuses everything else by showing the example."""

    def validate(value: object) -> Parsed:
        if not isinstance(value, str):
            raise ValueError(f"expected a value such as {example}, not {kind_of(value)}")  # noqa: TRY004 - pydantic takes ValueError only
        return parse(value)

    return validate


def _md5_word(value: object) -> object:
    # YAML 1.1 reads a bare `off` as false
    return "off" if value is False else value


def _zero_as_text(value: object) -> object:
    return "0" if type(value) is int and value == 0 else value


def _folder(value: object) -> Path:
    if not isinstance(value, (str, Path)):
        raise ValueError(f"expected the path of a folder, not {kind_of(value)}")  # noqa: TRY004 - pydantic takes ValueError only
    if not str(value).strip() or "\0" in str(value):
        raise ValueError("a path must not be empty or contain NUL")
    return Path(value)


def _pattern(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


# The types of the options: manifest, environment and flags share them, so a value is right or wrong in all three alike.
Concurrency = Annotated[int, Field(ge=1, le=MOST_CONCURRENCY)]
Attempts = Annotated[int, Field(ge=1, le=MOST_ATTEMPTS)]
Order = Annotated[FetchOrder, BeforeValidator(choose(FetchOrder))]
Md5 = Annotated[
    Md5Mode,
    BeforeValidator(choose(Md5Mode)),
    BeforeValidator(_md5_word),
    WithJsonSchema({"enum": [*(mode.value for mode in Md5Mode), False]}),
]
Format = Annotated[StorageFormat, BeforeValidator(choose(StorageFormat))]
LayoutName = Annotated[
    str,
    BeforeValidator(from_text(check_layout, "classic")),
    WithJsonSchema(
        {"anyOf": [{"enum": list(LAYOUTS)}, {"type": "string", "pattern": r"\{series_instance_uid\}"}]},
    ),
]
PathName = Annotated[Path, BeforeValidator(_folder), WithJsonSchema({"type": "string", "minLength": 1})]
Size = Annotated[
    int,
    BeforeValidator(from_text(parse_size, "2GB")),
    BeforeValidator(_zero_as_text),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"const": 0}]}),
]
_RATE_SCHEMA = {"type": "string", "pattern": RATE_PATTERN}
Bandwidth = Annotated[
    BandwidthPlan,
    BeforeValidator(parse_bandwidth),
    WithJsonSchema(
        {
            "anyOf": [
                _RATE_SCHEMA,
                {
                    "type": "object",
                    "properties": {"default": _RATE_SCHEMA},
                    "patternProperties": {WINDOW_PATTERN: _RATE_SCHEMA},
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
MinimumRate = Annotated[int, BeforeValidator(from_text(parse_minimum_rate, "1kB/s")), BeforeValidator(_zero_as_text)]
Duration = Annotated[float, BeforeValidator(from_text(parse_duration, "6h")), _pattern(DURATION_PATTERN)]
Percent = Annotated[float, BeforeValidator(from_text(parse_percent, "5%")), _pattern(PERCENT_PATTERN)]
