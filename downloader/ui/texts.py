"""Texts from outside, escaped for a terminal."""

import json
import unicodedata
from typing import Any


def printable(text: str) -> str:
    """Text from outside with control and format characters as visible escapes, so that no terminal obeys them."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii") if _is_obeyed(character) else character for character in text
    )


def json_text(document: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """The document as JSON, in which everything that a terminal would obey, or UTF-8 cannot hold, is an escape."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        json.dumps(character)[1:-1] if character != "\n" and _is_obeyed(character) else character for character in text
    )


def _is_obeyed(character: str) -> bool:
    return unicodedata.category(character).startswith("C")
