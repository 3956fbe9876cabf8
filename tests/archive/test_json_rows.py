"""A list of rows in JSON, read while it arrives, as a reader of the whole would read it."""

import json
import sys
from collections import Counter
from types import FrameType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from downloader.archive.nbia.json_rows import RowReader
from downloader.errors import ArchiveFaultError

NUMBERS = st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(alphabet='[]{}"\\,:\u00e9\U0001f600 \n/a0.-e', max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)
ROWS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=5)


def read(chunks: list[bytes]) -> list[dict[str, object]]:
    reader = RowReader("x")
    rows = [dict(row.attributes) for chunk in chunks for row in reader.feed(chunk)]
    reader.finish()
    return rows


def cut(text: bytes, chunk_bytes: int) -> list[bytes]:
    return [text[start : start + chunk_bytes] for start in range(0, len(text), chunk_bytes)]


@given(ROWS, st.integers(min_value=1, max_value=40), st.booleans(), st.sampled_from([None, 1]))
@example([{"a": 12.5e3}, {"b": -1}, {"c": True}, {"d": None}], 1, True, None)
@example([{"\u00e9": "\U0001f600\\\\"}], 1, False, 1)
def test_rows_are_those_of_the_whole_text(
    rows: list[dict[str, object]], chunk_bytes: int, is_ascii: bool, indent: int | None
) -> None:
    """Wherever chunks end: in a number, a literal, an escape, a surrogate pair, or a character of several bytes."""
    body = json.dumps(rows, ensure_ascii=is_ascii, indent=indent).encode()
    assert read(cut(body, chunk_bytes)) == [row for row in json.loads(body) if row]


@given(ROWS, st.integers(min_value=1, max_value=40), st.data())
def test_a_text_that_is_cut_is_a_fault(rows: list[dict[str, object]], chunk_bytes: int, data: st.DataObject) -> None:
    """However much of it has come."""
    body = json.dumps(rows).encode()
    end = data.draw(st.integers(min_value=1, max_value=len(body) - 1))
    with pytest.raises(ArchiveFaultError, match="is truncated"):
        read(cut(body[:end], chunk_bytes))


@given(ROWS, st.data())
def test_a_spoiled_text_gives_the_rows_of_a_strict_reader_or_a_fault(rows: list[dict[str, object]], data: st.DataObject) -> None:
    """One byte is another one."""
    body = bytearray(json.dumps(rows).encode())
    at = data.draw(st.integers(min_value=1, max_value=len(body) - 1))
    body[at] = data.draw(st.sampled_from(b'"{}[]:,\\ x0-.eu\xff\x00'))
    try:
        found = read(cut(bytes(body), 7))
    except ArchiveFaultError:
        return
    assert found == [row for row in json.loads(bytes(body)) if row]


@pytest.mark.parametrize(
    "broken", [b'[{"a":1} {"b":2}', b'[{"a" 1}', b'[{"a":tru}', b"[{}, x", b'[{"a":"\x01"}', b'[{"a":"\\x"}', b"[]]", b"[{}],"]
)
def test_what_can_become_no_list_is_refused_at_once(broken: bytes) -> None:
    """The end of the reply is not awaited."""
    reader = RowReader("x")
    with pytest.raises(ArchiveFaultError, match="is not valid JSON after row"):
        _ = [reader.feed(chunk) for chunk in cut(broken, 3)]


def test_a_long_row_in_many_small_chunks_is_not_read_again_with_each() -> None:
    """The work grows with its length, not with its square."""
    text = json.dumps([{"a": "x" * 2_000_000}, {"b": "y" * 300_000}, {"c": 1}], indent=1).encode() + b"\n \n"
    scanned = Counter[str]()

    def count(frame: FrameType, event: str, argument: object) -> None:
        scanned[event] += event == "call" and frame.f_code.co_name == "raw_decode"

    sys.setprofile(count)
    try:
        found = read(cut(text, 512))
    finally:
        sys.setprofile(None)
    assert [len(str(value)) for row in found for value in row.values()] == [2_000_000, 300_000, 1]
    assert scanned["call"] < 2 * 64 * 1024 / 512 + 20
