"""How deep JSON nests, told from its bytes, however they are cut."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from downloader.archive.nbia.json_depth import NestingWatch

DEEPEST = 8
VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\\\,:a/', max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[{"\\\\}]', max_size=3), inner, max_size=3),
    max_leaves=30,
)


def depth_of(value: object) -> int:
    match value:
        case dict():
            return 1 + max(map(depth_of, value.values()), default=0)
        case list():
            return 1 + max(map(depth_of, value), default=0)
        case _:
            return 0


def is_too_deep(text: bytes, chunk_bytes: int) -> bool:
    watch = NestingWatch(DEEPEST)
    return any(watch.is_too_deep(text[start : start + chunk_bytes]) for start in range(0, len(text), chunk_bytes))


@given(st.lists(VALUES, max_size=4), st.integers(min_value=1, max_value=40))
def test_what_is_flat_enough_passes(rows: list[object], chunk_bytes: int) -> None:
    """Brackets, quotes and backslashes within strings and keys do not count, wherever the text is cut."""
    if depth_of(rows) <= DEEPEST:
        assert not is_too_deep(json.dumps(rows, ensure_ascii=False).encode(), chunk_bytes)


@example(["object", "list"] * (3 * DEEPEST // 2), "", 115)
@given(
    st.lists(st.sampled_from(["list", "object"]), min_size=3 * DEEPEST, max_size=60),
    st.text(alphabet='[]{}"\\\\', max_size=8),
    st.integers(min_value=1, max_value=90),
)
def test_what_is_too_deep_is_found(kinds: list[str], key: str, chunk_bytes: int) -> None:
    """Whatever it nests, and whatever its keys pretend to close."""
    value: object = 1
    for kind in kinds:
        value = [value] if kind == "list" else {key: value}
    assert is_too_deep(json.dumps([value]).encode(), chunk_bytes)


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1 << 16])
def test_a_long_list_of_rows_is_not_deep(chunk_bytes: int) -> None:
    """However many there are."""
    text = json.dumps([{"a": "}{", "b": [], "c": '\\\\"'}] * 2_000).encode()
    assert not is_too_deep(text, chunk_bytes)
