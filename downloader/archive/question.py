"""From what somebody wants to know, as flags or keywords, to the question that an archive is asked."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final

from downloader.archive.port import SERIES_NAMES, Attributes, Question, Topic
from downloader.config.messages import kind_of, quote, refuse_choice, suggest
from downloader.errors import SettingsError
from downloader.manifest import check_uid

FILTERS: Final = tuple(name for name in Question.__dataclass_fields__ if name != "topic")
"""What a question can be narrowed by."""


def make_question(what: str, filters: Mapping[str, object], *, named: str = "{}") -> Question:
    """The question for these filters; those that are None were not given.

    A filter that is empty is refused: it would ask for everything, which nobody means who gave one (a variable of the shell that
    is not set, a selection that found nothing).

    Args:
        what: one of Topic's words.
        filters: by their names in Question; the series are one UID or several, and the day is a date or ISO text.
        named: how the user writes a filter's name.

    Raises:
        SettingsError: no such topic or filter, or a value that cannot be.
    """
    if what not in list(Topic):
        shown = "WHAT" if named.startswith("-") else "what"
        raise SettingsError(f"{shown}: {refuse_choice(what, [topic.value for topic in Topic])}")
    given = {name: value for name, value in filters.items() if value is not None}
    for name in given.keys() - set(FILTERS):
        raise SettingsError(f"{name}: there is no such filter{suggest(name, FILTERS)}; there are {', '.join(FILTERS)}")
    values: dict[str, object] = {}
    for name, value in given.items():
        try:
            values[name] = _read(name, value)
        except ValueError as error:
            raise SettingsError(f"{_spell(name, named)}: {error}") from error
    return Question(topic=Topic(what), **values)  # type: ignore[arg-type]  # each was read for its filter


class UnlistedSeries:
    """Which of the series that were asked for no row was about.

    Args:
        question: what is asked.
    """

    def __init__(self, question: Question) -> None:
        self._left = dict.fromkeys(question.series_instance_uids)

    def note(self, row: Attributes) -> None:
        """A row came."""
        for name in SERIES_NAMES:
            self._left.pop(str(row.get(name)), None)

    @property
    def left(self) -> tuple[str, ...]:
        """Those that are still without a row, in the order of the question."""
        return tuple(self._left)


def _spell(name: str, named: str) -> str:
    """The filter's name as the user writes it: a flag is given once for each series."""
    if not named.startswith("-"):
        return named.format(name)
    return named.format("series-instance-uid" if name == "series_instance_uids" else name.replace("_", "-"))


def _read(name: str, value: object) -> object:
    match name:
        case "series_instance_uids":
            return _read_series(value)
        case "since":
            return _read_day(value)
        case _:
            text = _read_text(value)
            return check_uid(text) if name == "study_instance_uid" else text


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"text is wanted, not {kind_of(value)}")  # noqa: TRY004 - told as a value that cannot be
    if not value.strip():
        raise ValueError("the text is empty; leave it out to ask for any")
    return value


def _read_series(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        value = (value,)
    series = tuple(check_uid(_read_text(one)) for one in value)
    if not series:
        raise ValueError("the list is empty; leave it out to ask for any")
    return series


def _read_day(value: object) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(_read_text(value))
    except ValueError as error:
        shown = quote(value) if isinstance(value, str) else kind_of(value)
        raise ValueError(f"{shown} is not a day like 2026-01-31") from error
