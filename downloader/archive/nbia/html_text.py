"""Converts HTML that people wrote, such as descriptions of collections, to plain text."""

import re
from html import unescape
from typing import Final

MOST_READ_CHARACTERS: Final = 256 * 1024
MOST_TOLD_CHARACTERS: Final = 4_000
_UNSEEN: Final = re.compile(r"<!--.*?(?:-->|\Z)|<(style|script|head|title)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_BREAKS: Final = re.compile(r"<(?:/?(?:p|div|li|ul|ol|tr|table|h[1-6]|section|blockquote)|br)\b[^>]*(?:>|\Z)", re.IGNORECASE)
_TAGS: Final = re.compile(r"</?[a-z!?][^>]*(?:>|\Z)", re.IGNORECASE)


def plain_text(html: str) -> str:
    """The text, one line per block, without characters that terminals interpret, and cut at a maximum length.

    Entities are resolved last and once, so that escaped tags stay visible as text, and nothing becomes a tag.
    """
    text = " ".join(html[:MOST_READ_CHARACTERS].split())
    text = _TAGS.sub("", _BREAKS.sub("\n", _UNSEEN.sub(" ", text)))
    shown = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in unescape(text))
    told = "\n".join(line for line in (" ".join(line.split()) for line in shown.split("\n")) if line)
    if len(told) <= MOST_TOLD_CHARACTERS:
        return told
    return told[:MOST_TOLD_CHARACTERS].rpartition(" ")[0] + " …"
