"""What a manifest file can say: one model per mapping, with the keys, their values and their defaults."""

from datetime import UTC, date, datetime
from typing import Annotated, Final, Self, cast

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from downloader.config.messages import kind_of
from downloader.config.options import (
    DEFAULT_FORMAT,
    DEFAULT_LAYOUT,
    Attempts,
    Bandwidth,
    Concurrency,
    Duration,
    Format,
    LayoutName,
    Md5,
    OptionValues,
    Order,
    PathName,
    Percent,
    RunOptions,
    Size,
    choose,
)
from downloader.config.quantities import format_size
from downloader.errors import ManifestError
from downloader.manifest.archives import DEFAULT_PROFILE, PROFILES, ProfileOrAddress
from downloader.manifest.keys import Keys, OneOrList, Text, Uid, check_text, folder_of
from downloader.manifest.problems import SourceError
from downloader.manifest.series_list import SeriesList, read_series_list
from downloader.model import WithdrawnPolicy

SERIES_LIST_PROBLEMS: Final = "series_list_problems"
LONGEST_NAME_CHARACTERS: Final = 255
WITHDRAWN_GRACE_SECONDS: Final = 30 * 86_400.0
_DEFAULTS: Final = RunOptions()
_ANY_DAY: Final = datetime(2024, 1, 1, tzinfo=UTC)


def check_name(name: str) -> str:
    """Return the name if it can stand in logs, metrics and file names.

    Raises:
        ValueError: it cannot.
    """
    if len(name) > LONGEST_NAME_CHARACTERS:
        raise ValueError(f"the name of a manifest must not have more than {LONGEST_NAME_CHARACTERS} characters")
    if not name.isprintable() or "/" in name or "\\" in name or name != name.strip() or name.startswith("."):
        raise ValueError("the name of a manifest must be printable, without slashes, and not begin with a dot or space")
    return name


def _check_version(value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"expected the number 1, not {kind_of(value)}")
    if value != 1:
        raise ValueError(f"this tciad reads version 1, not {value}")
    return value


def _check_day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) and len(value) == len("2024-01-31") else "")
    except ValueError as error:
        raise ValueError("expected a date such as 2024-01-31") from error


def _check_cron(expression: str) -> str:
    fields = len(expression.split())
    if fields != 5:
        raise ValueError(f"a cron expression has 5 fields (minute hour day month weekday), not {fields}")
    try:
        next(CronSim(expression, _ANY_DAY))
    except CronSimError as error:
        raise ValueError(f"not a cron expression: {str(error).lower()}") from error
    except StopIteration as error:
        raise ValueError("this date never occurs") from error
    return expression


def _read_list(value: object, info: ValidationInfo) -> SeriesList:
    path = folder_of(info) / check_text(value)
    try:
        return read_series_list(path)
    except SourceError as error:
        raise ValueError(f"{path}: {error}") from error
    except ManifestError as error:
        raise PydanticCustomError(SERIES_LIST_PROBLEMS, "{problems}", {"problems": error.what}) from error


def _want_list(value: object) -> object:
    if not isinstance(value, list):
        raise ValueError(f"expected a list, not {kind_of(value)}; each entry begins with '- '")  # noqa: TRY004 - pydantic takes ValueError only
    return tuple(value)


def _want_entries(value: object) -> object:
    entries = _want_list(value)
    if not entries:
        raise ValueError("the list is empty, so the manifest would select nothing")
    return entries


Day = Annotated[date, BeforeValidator(_check_day), WithJsonSchema({"type": "string", "format": "date"})]
Count = Annotated[int, Field(ge=0, le=2**31)]
SeriesListFile = Annotated[SeriesList, BeforeValidator(_read_list), WithJsonSchema({"type": "string", "pattern": r"\S"})]


class CountRange(Keys):
    """How many images a series may have."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    least: Count | None = Field(default=None, alias="min", description="Minimum.")
    most: Count | None = Field(default=None, alias="max", description="Maximum.")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.least is None and self.most is None:
            raise ValueError("set min, max or both")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"min {self.least} is more than max {self.most}, so nothing could match")
        return self

    def contains(self, count: int | None) -> bool:
        """Whether the count is in the range, inclusive. An unknown count is not."""
        return count is not None and (self.least is None or count >= self.least) and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        return _show_range(self.least, self.most)


class DayRange(Keys):
    """Days from one to another, both included."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    first: Day | None = Field(default=None, alias="from", description="First day.")
    last: Day | None = Field(default=None, alias="to", description="Last day.")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.first is None and self.last is None:
            raise ValueError("set from, to or both")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ValueError(f"from {self.first} is after to {self.last}, so nothing could match")
        return self

    def contains(self, day: date | None) -> bool:
        """Whether the day is in the range, inclusive. An unknown day is not."""
        return day is not None and (self.first is None or day >= self.first) and (self.last is None or day <= self.last)

    def __str__(self) -> str:
        return _show_range(self.first, self.last)


def _show_range(first: object, last: object) -> str:
    if last is None:
        return f"{first} or more"
    return f"{first} to {last}" if first is not None else f"up to {last}"


TextPatterns = OneOrList[Text]


class SelectionKeys(Keys):
    """One entry of select or exclude: it matches the series that fit all of its keys."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    collection: TextPatterns | None = Field(default=None, description="Collection. * and ? are wildcards; case is ignored.")
    patient_id: TextPatterns | None = Field(default=None, description="Patient ID. * and ? are wildcards.")
    study_instance_uid: OneOrList[Uid] | None = Field(default=None, description="Study Instance UIDs, without wildcards.")
    series_instance_uid: OneOrList[Uid] | None = Field(default=None, description="Series Instance UIDs, without wildcards.")
    series_list: OneOrList[SeriesListFile] | None = Field(
        default=None, description="Files that list series: .tcia, .csv, .tsv or .txt, relative to the manifest."
    )
    modality: TextPatterns | None = Field(default=None, description="Modality, such as CT, MR or SEG.")
    body_part_examined: TextPatterns | None = Field(default=None, description="Body part, such as CHEST.")
    manufacturer: TextPatterns | None = Field(default=None, description="Manufacturer of the device.")
    manufacturer_model_name: TextPatterns | None = Field(default=None, description="Model of the device.")
    series_description: TextPatterns | None = Field(default=None, description="Series description.")
    license: TextPatterns | None = Field(default=None, description="Name or address of the licence.")
    image_count: CountRange | None = Field(default=None, description="Number of images, inclusive.")
    date_released: DayRange | None = Field(default=None, description="Date when the archive released the series, inclusive.")
    study_date: DayRange | None = Field(default=None, description="Date of the study, inclusive.")

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if not self.model_fields_set - {"archive"}:
            raise ValueError("an entry without keys would match the whole archive; set at least one key")
        return self


class WantedKeys(SelectionKeys):
    """One entry of select: it matches the series of one archive that fit all of its keys."""

    shared_cart: OneOrList[Text] | None = Field(
        default=None, description="Names of shared carts at the archive, such as nbia-49121659384603347; read at each run."
    )

    archive: ProfileOrAddress | None = Field(
        default=None, description="Archive of this entry; default: that of the manifest or the cart."
    )


class OutputKeys(Keys):
    """Directory and structure of the library."""

    output: PathName = Field(
        default=_DEFAULTS.output, alias="directory", description="Folder of the library, relative to the working directory."
    )
    layout: LayoutName = Field(
        default=DEFAULT_LAYOUT,
        description="Built-in layout, or a template with {series_instance_uid}; an existing library keeps its own.",
    )
    format: Format = Field(
        default=DEFAULT_FORMAT,
        description="The images of each series as files, or in one ZIP; an existing library keeps its own.",
    )


class DownloadKeys(Keys):
    """How series are fetched."""

    concurrency: Concurrency = Field(default=_DEFAULTS.concurrency, description="Maximum number of series at once.")
    bandwidth: Bandwidth = Field(
        default=_DEFAULTS.bandwidth,
        description='Limit for all downloads, such as 40MB/s, or by time of day: {default: 40MB/s, "08:00-18:00": 5MB/s}.',
        json_schema_extra={"default": "unlimited"},
    )
    order: Order = Field(default=_DEFAULTS.order, description="Order in which series are fetched.")
    attempts: Attempts = Field(default=_DEFAULTS.attempts, description="Attempts per series before it counts as failed.")
    md5: Md5 = Field(default=_DEFAULTS.md5, description="Whether to request the archive's MD5 list.")
    min_free_bytes: Size = Field(
        default=_DEFAULTS.min_free_bytes,
        alias="min_free_space",
        description="Disk space that stays unused.",
        json_schema_extra={"default": format_size(_DEFAULTS.min_free_bytes)},
    )


FIRST_RETRY_SECONDS: Final = 300.0
LONGEST_RETRY_SECONDS: Final = 3_600.0


class Schedule(Keys):
    """When the service runs the manifest, by exactly one of `every` and `cron`, and when again after a cycle that failed."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["every"]}, {"required": ["cron"]}]})

    every_seconds: Duration | None = Field(
        default=None, alias="every", description="Interval between the starts of two runs, such as 6h."
    )
    cron: Annotated[Text, AfterValidator(_check_cron)] | None = Field(
        default=None, description="Cron expression of five fields: minute hour day month weekday."
    )
    retry_after_seconds: Duration = Field(
        default=FIRST_RETRY_SECONDS,
        alias="retry_after",
        description="Pause before a failed cycle is retried; it doubles with each consecutive failure.",
        json_schema_extra={"default": "5m"},
    )
    max_retry_after_seconds: Duration = Field(
        default=LONGEST_RETRY_SECONDS,
        alias="max_retry_after",
        description="The longest of these pauses, and the first one where only a person can correct the cause.",
        json_schema_extra={"default": "1h"},
    )

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.every_seconds is None) == (self.cron is None):
            raise ValueError("set either every or cron")
        return self


class ManifestDocument(Keys):
    """A manifest: which series are wanted, from which archive, and how to fetch and keep them."""

    version: Annotated[int, BeforeValidator(_check_version), WithJsonSchema({"const": 1})] = Field(
        description="Version of this format: 1."
    )
    name: Annotated[Text, AfterValidator(check_name)] | None = Field(
        default=None, description="Name in logs and reports; default: the name of the file without its extension."
    )
    archive: ProfileOrAddress = Field(
        default=PROFILES[DEFAULT_PROFILE],
        description="A built-in archive, or the address of one.",
        json_schema_extra={"default": DEFAULT_PROFILE},
    )
    select: Annotated[tuple[WantedKeys, ...], BeforeValidator(_want_entries)] = Field(
        description="A series is selected if any of these entries matches it.", json_schema_extra={"minItems": 1}
    )
    exclude: Annotated[tuple[SelectionKeys, ...], BeforeValidator(_want_list)] = Field(
        default=(), description="A series is not selected if any of these entries matches it."
    )
    output: OutputKeys | None = Field(default=None, description="Directory and structure of the library.")
    download: DownloadKeys | None = Field(default=None, description="How series are fetched.")
    schedule: Schedule | None = Field(default=None, description="When `tciad serve` runs the manifest.")
    withdrawn: Annotated[WithdrawnPolicy, BeforeValidator(choose(WithdrawnPolicy))] = Field(
        default=WithdrawnPolicy.KEEP, description="Keep, quarantine or delete series that the archive no longer lists."
    )
    withdrawn_grace_seconds: Duration = Field(
        default=WITHDRAWN_GRACE_SECONDS,
        alias="withdrawn_grace",
        description="Time before a withdrawn series is quarantined or deleted.",
        json_schema_extra={"default": "30d"},
    )
    max_shrink_percent: Percent = Field(
        default=_DEFAULTS.max_shrink_percent,
        alias="max_shrink",
        description="Reject a catalogue that shrank by more than this since the last run.",
        json_schema_extra={"default": f"{_DEFAULTS.max_shrink_percent:g}%"},
    )

    def option_values(self) -> OptionValues:
        """The options that the manifest says, and only those, under the names of RunOptions."""
        said = {
            name: getattr(keys, name)
            for keys in (self.output, self.download, self)
            if keys is not None
            for name in keys.model_fields_set & OptionValues.__annotations__.keys()
            if not isinstance(getattr(keys, name), Keys)
        }
        return cast("OptionValues", said)
