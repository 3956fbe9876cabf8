"""Query parameters of requests, checked, so that a misspelled filter is not ignored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from downloader.config.messages import refuse_choice, suggest
from downloader.errors import SettingsError
from downloader.model import SeriesState
from downloader.service.port import MOST_ROWS, SeriesFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One query parameter, as in the OpenAPI document."""

    name: str
    description: str
    schema: Mapping[str, object]


_TEXT: Final[Mapping[str, object]] = {"type": "string"}
MANIFEST: Final = Parameter(name="manifest", description="Only series and records of this manifest.", schema=_TEXT)
SERIES: Final = Parameter(name="series_instance_uid", description="Only this series.", schema=_TEXT)
AFTER: Final = Parameter(name="after", description="Start after a page: its next_after.", schema=_TEXT)
BEFORE: Final = Parameter(name="before", description="Start before a page: its next_before.", schema=_TEXT)
LIMIT: Final = Parameter(
    name="limit", description="Maximum number of rows.", schema={"type": "integer", "minimum": 1, "maximum": MOST_ROWS}
)
COLLECTION: Final = Parameter(name="collection", description="Only this collection.", schema=_TEXT)
ERROR: Final = Parameter(name="error", description="Only failures with this error, such as CutTransferError.", schema=_TEXT)
TEXT: Final = Parameter(
    name="text",
    description="Only series with this text in an identifier, patient, collection, modality, description or error.",
    schema=_TEXT,
)
STATE: Final = Parameter(
    name="state",
    description="Only series in this state.",
    schema={"type": "string", "enum": [state.value for state in SeriesState]},
)


def check_names(request: web.Request, allowed: tuple[Parameter, ...]) -> None:
    """Refuse parameters that the endpoint does not have, and duplicates.

    Raises:
        SettingsError: there is such a parameter.
    """
    names = [parameter.name for parameter in allowed]
    for name in request.query:
        if name not in names:
            raise SettingsError(
                f"{request.path} has no parameter {name!r}{suggest(name, names)}", next_step=f"its parameters are {_list(names)}"
            )
        if len(request.query.getall(name)) > 1:
            raise SettingsError(f"{name} is given twice")


def read_limit(request: web.Request, default: int) -> int:
    """The `limit`.

    Raises:
        SettingsError: it is not one.
    """
    text = request.query.get(LIMIT.name, str(default))
    is_short = len(text) <= len(str(MOST_ROWS))
    if not (is_short and text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_ROWS):
        raise SettingsError(f"limit: {text!r} is not a number from 1 to {MOST_ROWS}")
    return int(text)


def read_filter(request: web.Request) -> SeriesFilter:
    """The filter of series.

    Raises:
        SettingsError: there is no such state.
    """
    state = request.query.get(STATE.name)
    known = [each.value for each in SeriesState]
    if state is not None and state not in known:
        raise SettingsError(f"state: {refuse_choice(state, known)}")
    return SeriesFilter(
        state=SeriesState(state) if state else None,
        manifest=request.query.get(MANIFEST.name),
        collection=request.query.get(COLLECTION.name),
        text=request.query.get(TEXT.name, ""),
    )


def read_failure_filter(request: web.Request) -> SeriesFilter:
    """The filter of failures."""
    return SeriesFilter(
        state=SeriesState.FAILED,
        manifest=request.query.get(MANIFEST.name),
        collection=request.query.get(COLLECTION.name),
        error=request.query.get(ERROR.name),
    )


def _list(names: list[str]) -> str:
    return ", ".join(names) or "nothing"
