"""How deep brackets nest in a JSON text, seen from its bytes before a parser sees them.

The parser keeps, for every bracket that is open, the whole path that leads to it: 200,000 of them in half a megabyte of text
would take gigabytes. The rows of an archive are flat, so nobody needs to be deep.
"""

import re
from typing import Final

_ESCAPED_BACKSLASH: Final = b"\\\\"
_ESCAPED_QUOTE: Final = b'\\"'
_NO_STRUCTURE: Final = bytes(sorted(set(range(256)).difference(b'"[]{}')))
_STRING: Final = re.compile(rb'"[^"]*"')


class NestingWatch:
    """Takes the chunks of one text, cut anywhere. What it says of a text that is no JSON means nothing.

    Args:
        deepest: up to this depth nothing is refused; more than three times as deep always is.
    """

    def __init__(self, deepest: int) -> None:
        self._deepest = deepest
        self._open = b""
        self._in_string = False
        self._escape = b""

    def is_too_deep(self, chunk: bytes) -> bool:
        """Note the next chunk; true when something in it, with what was open before, is nested too deeply."""
        brackets = self._open + self._brackets_of(chunk)
        # a round closes one level or two, so what is closed within one chunk may have been twice as deep as this looks
        for _ in range(self._deepest):
            rest = brackets.replace(b"{}", b"").replace(b"[]", b"")
            if len(rest) == len(brackets):
                break
            brackets = rest
        self._open = brackets
        return len(brackets) > self._deepest

    def _brackets_of(self, chunk: bytes) -> bytes:
        """The brackets of the text that are not within its strings."""
        text = (self._escape + chunk).replace(_ESCAPED_BACKSLASH, b"")
        # a backslash at the end escapes what the next chunk begins with
        self._escape = b"\\" if text.endswith(b"\\") else b""
        signs = text.replace(_ESCAPED_QUOTE, b"").translate(None, _NO_STRUCTURE)
        # most strings hold no brackets; without the two quotes of one, everything else is as much inside or outside as before
        signs = signs.replace(b'""', b"")
        outside = _STRING.sub(b"", b'"' + signs if self._in_string else signs)
        brackets, quote, _ = outside.partition(b'"')
        self._in_string = bool(quote)
        return brackets
