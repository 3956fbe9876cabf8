"""HTML that people wrote, as plain text: what the archive says of a collection."""

import re
from html import unescape
from typing import Final

MOST_READ_CHARACTERS: Final = 256 * 1024
MOST_TOLD_CHARACTERS: Final = 4_000
_UNSEEN: Final = re.compile(r"<!--.*?(?:-->|\Z)|<(style|script|head|title)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_BREAKS: Final = re.compile(r"<(?:/?(?:p|div|li|ul|ol|tr|table|h[1-6]|section|blockquote)|br)\b[^>]*(?:>|\Z)", re.IGNORECASE)
_TAGS: Final = re.compile(r"</?[a-z!?][^>]*(?:>|\Z)", re.IGNORECASE)


def plain_text(html: str) -> str:
    """The words of the text, a line for each of its blocks; none that a terminal would obey, and cut where it goes on and on.

    Entities are resolved last and once, so that what was meant to be read as a tag is read, and nothing becomes one.
    """
    text = " ".join(html[:MOST_READ_CHARACTERS].split())
    text = _TAGS.sub("", _BREAKS.sub("\n", _UNSEEN.sub(" ", text)))
    shown = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in unescape(text))
    told = "\n".join(line for line in (" ".join(line.split()) for line in shown.split("\n")) if line)
    if len(told) <= MOST_TOLD_CHARACTERS:
        return told
    return told[:MOST_TOLD_CHARACTERS].rpartition(" ")[0] + " …"
