"""Parses the rows of a JSON list as its bytes arrive; at most one incomplete row is buffered.

The standard library's scanner reads whole values: a value that is cut by the end of a chunk is read again with more data. This
takes a third of the time of an incremental parser (docs/decisions/0034-resolve.md).
"""

import codecs
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from downloader.archive.nbia.error_replies import quote_text
from downloader.errors import ArchiveFaultError

MOST_ROWS: Final = 5_000_000
"""Ten times the number of series of the largest archive; a longer list is an error."""
HELP_DESK: Final = "tell the archive's help desk if this persists"

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_HEAD_BYTES: Final = 2048
_ROW_CHARACTERS_MAX: Final = 4 * 1024 * 1024
_LONG_CHARACTERS: Final = 64 * 1024
_LARGEST_NUMBER: Final = 2**63 - 1
_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_COMMA: Final = re.compile(r"[ \t\r\n]*,[ \t\r\n]*")
_END: Final = re.compile(r"[ \t\r\n]*\]")
_CUT: Final = re.compile(r"|-|tr?u?|fa?l?s?|nu?l?|\.|[eE][+-]?")
"""What the scanner leaves unread if the end of a chunk cuts a literal or a number, or is between two tokens."""
_LONGEST_ESCAPE: Final = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One object of a reply's list; `number` counts from 1, including empty objects."""

    number: int
    attributes: Mapping[str, object]


class RowReader:
    """Parses the chunks of one reply to rows.

    Args:
        what: the endpoint, for messages.
        most_rows: the maximum number of rows.
    """

    def __init__(self, what: str, most_rows: int = MOST_ROWS) -> None:
        self._what = what
        self._most_rows = most_rows
        self._head = bytearray()
        self._blank_bytes = 0
        self._number = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._rest = ""
        # a long value that was cut is read again when the buffer has doubled: otherwise its cost would be quadratic
        self._enough_characters = 0
        self._has_begun = False
        self._is_after_value = False
        self._has_ended = False

    def feed(self, chunk: bytes) -> list[Row]:
        """The rows that this chunk completes; `{}` is not a row (docs/archives.md#json-replies).

        Raises:
            ArchiveFaultError: the reply is not a list of objects.
        """
        if self._has_begun:
            return self._read(chunk)
        self._head += chunk
        begin = bytes(self._head).removeprefix(_BYTE_ORDER_MARK).lstrip()
        if begin.startswith(b"["):
            self._has_begun = True
            self._head.clear()
            return self._read(begin[1:])
        if not begin:
            self._blank_bytes += len(self._head)
            self._head.clear()
            if self._blank_bytes > _ROW_CHARACTERS_MAX:
                raise self._broken(f"begins with more than {_ROW_CHARACTERS_MAX:,} spaces")
        elif len(self._head) > _HEAD_BYTES:
            raise self._refuse(begin)
        return []

    def finish(self) -> None:
        """End the body. A blank body is a list without rows (docs/archives.md#empty-replies).

        Raises:
            ArchiveFaultError: the list did not end, or there was none.
        """
        if not self._has_begun:
            if begin := bytes(self._head).removeprefix(_BYTE_ORDER_MARK).strip():
                raise self._refuse(begin)
        elif not self._has_ended:
            raise self._broken("is truncated")

    def _read(self, chunk: bytes) -> list[Row]:
        rows: list[Row] = []
        try:
            self._rest += self._decoder.decode(chunk)
            if len(self._rest) >= self._enough_characters or chunk.rstrip().endswith(b"]"):
                self._rest = self._rest[self._read_values(rows) :]
                self._enough_characters = 2 * len(self._rest) if len(self._rest) > _LONG_CHARACTERS else 0
        except RecursionError as error:
            raise self._broken("is nested too deeply") from error
        except ValueError as error:
            raise self._broken("is not valid JSON", f" ({_reason(error)})") from error
        if len(self._rest) > _ROW_CHARACTERS_MAX:
            raise self._broken(f"goes on for more than {_ROW_CHARACTERS_MAX:,} characters without another row")
        return rows

    def _read_values(self, rows: list[Row]) -> int:
        """Read all complete values; returns the number of characters read. Raises ValueError and RecursionError."""
        text, position = self._rest, 0
        while not self._has_ended:
            if (self._is_after_value or not self._number) and (end := _END.match(text, position)):
                self._has_ended = True
                position = end.end()
                break
            separator = (_COMMA if self._is_after_value else _BLANKS).match(text, position)
            if separator is None:
                break
            position, self._is_after_value = separator.end(), False
            try:
                value, value_end = _JSON.raw_decode(text, position)
            except json.JSONDecodeError as error:
                if _is_cut(error, text):
                    return position
                raise
            if value_end == len(text) and not isinstance(value, (dict, list, str)):
                return position  # the rest of a number may follow
            if "\\u" in text[position:value_end]:
                json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair cannot be encoded
            position, self._is_after_value = value_end, True
            self._take(value, rows)
        rest = _BLANKS.match(text, position)
        if rest is not None and rest.end() < len(text):
            raise ValueError("text after the end of the list" if self._has_ended else "a comma is missing")
        return len(text)

    def _take(self, value: object, rows: list[Row]) -> None:
        self._number += 1
        if self._number > self._most_rows:
            raise self._broken("does not end")
        if not isinstance(value, dict):
            raise ArchiveFaultError(f"{self._what}: row {self._number} is not an object", next_step=HELP_DESK)
        if value:
            rows.append(Row(self._number, value))

    def _broken(self, how: str, why: str = "") -> ArchiveFaultError:
        return ArchiveFaultError(f"{self._what}: the list of rows {how} after row {self._number}{why}", next_step=HELP_DESK)

    def _refuse(self, begin: bytes) -> ArchiveFaultError:
        kind = {b"<": "a web page", b"{": "an object"}.get(begin[:1], "a text")
        text = quote_text(begin[:_HEAD_BYTES].decode("utf-8", "replace"))
        return ArchiveFaultError(
            f"{self._what}: expected a list of rows, received {kind}: {text}", next_step="check base_url if this persists"
        )


def _whole(text: str) -> int:
    number = int(text[:20])
    if len(text) > 20 or abs(number) > _LARGEST_NUMBER:
        raise ValueError("a number is too large")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


_JSON: Final = json.JSONDecoder(parse_int=_whole, parse_float=_finite, parse_constant=_refuse_constant)


def _is_cut(error: json.JSONDecodeError, text: str) -> bool:
    """Whether the value may become valid with the data that follows."""
    if error.msg.startswith("Unterminated string"):
        return True
    if error.msg.startswith("Invalid \\u"):
        return len(text) - error.pos < _LONGEST_ESCAPE
    return _CUT.fullmatch(text, error.pos) is not None


def _reason(error: ValueError) -> str:
    """The problem, without any text of the reply."""
    if isinstance(error, UnicodeEncodeError):
        return "half a surrogate pair"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)
