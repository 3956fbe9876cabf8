"""Everything that the sandbox can do wrong, as data: the traps of docs/faults.md. docs/sandbox.md explains it."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from downloader.errors import SettingsError

DOWNLOADS: Final = ("getImage", "getImageWithMD5Hash", "getDCMImage")
LISTINGS: Final = ("getSeries", "getUpdatedSeries", "getSeriesMetaData", "getSeriesMetadata", "getContentsByName")
EVERY: Final = "*"


class Family(StrEnum):
    """Where a fault strikes: who may ask, the whole reply, its bytes, the ZIP's members, a table, or one series' row."""

    TOKENS = "tokens"
    REPLY = "reply"
    BODY = "body"
    ZIP = "zip"
    TABLE = "table"
    ROW = "row"


class FaultKind(StrEnum):
    """What goes wrong."""

    FORGOTTEN_TOKENS = "forgotten-tokens"
    STATUS = "status"
    REDIRECT = "redirect"
    DENIED = "denied"
    EMPTY = "empty"
    HTML = "html"
    JSON_TEXT = "json-text"
    UNMAPPABLE = "unmappable"
    CUT = "cut"
    CLEAN_CUT = "clean-cut"
    STALL = "stall"
    DRIP = "drip"
    FLIPPED_BYTE = "flipped-byte"
    SHORT_ZIP = "short-zip"
    HALF_IMAGE = "half-image"
    NO_MD5_LIST = "no-md5-list"
    WRONG_HASH = "wrong-hash"
    BLANK_HASH = "blank-hash"
    SHORT_HASH = "short-hash"
    DUPLICATE_MEMBER = "duplicate-member"
    DUPLICATE_IMAGE = "duplicate-image"
    UNSAFE_NAME = "unsafe-name"
    CASE_COLLISION = "case-collision"
    LICENSE_ONLY = "license-only"
    EMPTY_LICENSE = "empty-license"
    EMPTY_ZIP = "empty-zip"
    WRONG_SERIES = "wrong-series"
    EXTRA_IMAGE = "extra-image"
    NOT_DICOM = "not-dicom"
    CHANGED_IMAGE = "changed-image"
    BOMB = "bomb"
    WRONG_CRC = "wrong-crc"
    WRONG_SIZE = "wrong-size"
    EMPTY_ROWS = "empty-rows"
    SHORT_LIST = "short-list"
    CUT_LIST = "cut-list"
    UNCLOSED_XML = "unclosed-xml"
    NUMBERS_AS_TEXT = "numbers-as-text"
    HIDDEN_IMAGES = "hidden-images"
    RECOUNTED = "recounted"
    WITHDRAWN = "withdrawn"
    BAD_UID = "bad-uid"
    ESCAPE_TEXT = "escape-text"


@dataclass(frozen=True, slots=True)
class FaultRule:
    """Where a kind belongs: its family, the figures it takes with their defaults, the endpoints it strikes unless told."""

    family: Family
    takes: Mapping[str, object]
    endpoints: tuple[str, ...] = DOWNLOADS


def _reply(**takes: object) -> FaultRule:
    return FaultRule(Family.REPLY, takes)


def _body(**takes: object) -> FaultRule:
    return FaultRule(Family.BODY, takes)


def _zip(**takes: object) -> FaultRule:
    return FaultRule(Family.ZIP, takes)


def _table(*endpoints: str, **takes: object) -> FaultRule:
    return FaultRule(Family.TABLE, takes, endpoints or LISTINGS)


def _row(*endpoints: str, **takes: object) -> FaultRule:
    return FaultRule(Family.ROW, takes, endpoints or LISTINGS)


# A figure of 0 or "" that stands for "the fault chooses" is explained in docs/sandbox.md.
RULES: Final[Mapping[FaultKind, FaultRule]] = {
    FaultKind.FORGOTTEN_TOKENS: FaultRule(Family.TOKENS, {}, (EVERY,)),
    FaultKind.STATUS: _reply(status=503, retry_after_seconds=None, text=""),
    FaultKind.REDIRECT: _reply(status=302, location="http://elsewhere.invalid/"),
    FaultKind.DENIED: _reply(),
    FaultKind.EMPTY: _reply(),
    FaultKind.HTML: _reply(text=""),
    FaultKind.JSON_TEXT: _reply(text=""),
    FaultKind.UNMAPPABLE: FaultRule(Family.REPLY, {}, LISTINGS),
    FaultKind.CUT: _body(at_bytes=0),
    FaultKind.CLEAN_CUT: _body(at_bytes=0),
    FaultKind.STALL: _body(at_bytes=None),
    FaultKind.DRIP: _body(size_bytes=1024, delay_seconds=1.0),
    FaultKind.FLIPPED_BYTE: _body(at_bytes=0),
    FaultKind.SHORT_ZIP: _zip(images=1),
    FaultKind.HALF_IMAGE: _zip(images=1),
    FaultKind.NO_MD5_LIST: _zip(),
    FaultKind.WRONG_HASH: _zip(),
    FaultKind.BLANK_HASH: _zip(),
    FaultKind.SHORT_HASH: _zip(),
    FaultKind.DUPLICATE_MEMBER: _zip(),
    FaultKind.DUPLICATE_IMAGE: _zip(),
    FaultKind.UNSAFE_NAME: _zip(text="../../escaped.dcm"),
    FaultKind.CASE_COLLISION: _zip(),
    FaultKind.LICENSE_ONLY: _zip(),
    FaultKind.EMPTY_LICENSE: _zip(),
    FaultKind.EMPTY_ZIP: _zip(),
    FaultKind.WRONG_SERIES: _zip(),
    FaultKind.EXTRA_IMAGE: _zip(),
    FaultKind.NOT_DICOM: _zip(text="This is no DICOM file.\n"),
    FaultKind.CHANGED_IMAGE: _zip(images=0),
    FaultKind.BOMB: _zip(size_bytes=10_000_000_000),
    FaultKind.WRONG_CRC: _zip(),
    FaultKind.WRONG_SIZE: _zip(),
    FaultKind.EMPTY_ROWS: _table(),
    FaultKind.SHORT_LIST: _table(rows=1),
    FaultKind.CUT_LIST: _table(),
    FaultKind.UNCLOSED_XML: _table(),
    FaultKind.NUMBERS_AS_TEXT: _table(),
    FaultKind.HIDDEN_IMAGES: _table("getSOPInstanceUIDs", rows=1),
    FaultKind.RECOUNTED: _row(images=1),
    FaultKind.WITHDRAWN: _row(EVERY),
    FaultKind.BAD_UID: _row(text="../../../etc/passwd"),
    FaultKind.ESCAPE_TEXT: _row(text="\x1b]0;owned\x07\x1b[2Jcleared\u202e"),
}
_FIGURES: Final = (
    "at_bytes",
    "images",
    "rows",
    "status",
    "retry_after_seconds",
    "location",
    "text",
    "size_bytes",
    "delay_seconds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of the script. docs/sandbox.md says for each kind which figures it takes and what they mean.

    It strikes `times` matching requests (None: all) after it let `after` of them pass. It matches requests to `endpoints`
    (empty: those that the kind is about; `*`: all) that ask for `series_instance_uid` (None: any).

    Raises:
        SettingsError: a figure that this kind does not take, or an impossible one.
    """

    kind: FaultKind
    series_instance_uid: str | None = None
    endpoints: tuple[str, ...] = ()
    times: int | None = None
    after: int = 0
    at_bytes: int | None = None
    images: int | None = None
    rows: int | None = None
    status: int | None = None
    retry_after_seconds: int | None = None
    location: str | None = None
    text: str | None = None
    size_bytes: int | None = None
    delay_seconds: float | None = None

    def __post_init__(self) -> None:
        takes = RULES[self.kind].takes
        for name in _FIGURES:
            value = getattr(self, name)
            if value is None and name in takes:
                object.__setattr__(self, name, takes[name])
            elif value is not None and name not in takes:
                known = f"its parameters are {', '.join(takes)}" if takes else "it has no parameters"
                raise SettingsError(f"fault '{self.kind}' has no parameter {name}", next_step=known)
            elif isinstance(value, int | float) and value < 0:
                raise SettingsError(f"fault '{self.kind}': {name} must not be negative")
        if (self.times is not None and self.times < 1) or self.after < 0:
            raise SettingsError(f"fault '{self.kind}': the minimum of times is 1, that of after is 0")

    @property
    def family(self) -> Family:
        """Where this fault strikes."""
        return RULES[self.kind].family

    def concerns(self, endpoint: str, series_instance_uid: str | None) -> bool:
        """Whether a request to this endpoint, for this series, is one that the fault is about."""
        endpoints = self.endpoints or RULES[self.kind].endpoints
        if endpoint not in endpoints and EVERY not in endpoints:
            return False
        return self.series_instance_uid in {None, series_instance_uid}


def fault_kind(name: str) -> FaultKind:
    """The kind of that name.

    Raises:
        SettingsError: no such fault.
    """
    try:
        return FaultKind(name)
    except ValueError as error:
        near = get_close_matches(name, [kind.value for kind in FaultKind], n=1)
        step = f"did you mean '{near[0]}'?" if near else f"the faults are {', '.join(FaultKind)}"
        raise SettingsError(f"unknown fault '{name}'", next_step=step) from error
