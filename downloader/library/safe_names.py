"""Names for folders that every common file system accepts, made from whatever text the archive sends."""

import hashlib
import re
import unicodedata
from functools import lru_cache

from pathvalidate import sanitize_filename

LONGEST_NAME_BYTES = 120
NOTHING = "NA"

_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
# safe wherever there are files: no name that Windows keeps for itself has a hyphen or a low line
_PLAIN = re.compile(r"[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)+")
_LOOKS_MARKED = re.compile(r"~[0-9a-f]{8}\Z")
_REPLACEMENT = "_"
# the series of a study come one after the other
_REMEMBERED_NAMES = 1024
_DIGEST_DIGITS = 8
# control, format (such as bidirectional overrides), surrogate, line and paragraph separator
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# files that tciad itself puts beside the folders of patients and collections
_TAKEN = frozenset({"license", "metadata.csv", "citation.txt"})


@lru_cache(maxsize=_REMEMBERED_NAMES)
def safe_name(text: str) -> str:
    """Make one folder name of `text`, the same every time.

    Text that is safe stays as it is. Any other has its unsafe characters replaced and is marked with `~` and eight digits of
    its SHA-256, so that `a/b` and `a_b` do not meet; text that already looks so marked is marked again. Empty text becomes
    `NA`, the archive's own word for it. The case is kept: `A` and `a` are one folder where the file system says so.
    """
    if not text:
        return NOTHING
    if len(text) <= LONGEST_NAME_BYTES and (_NUMBERS.fullmatch(text) or _PLAIN.fullmatch(text)):
        return text  # most names, and cleaning takes as long as inflating a small image
    cleaned = _clean(text)
    if cleaned == text and len(text.encode()) <= LONGEST_NAME_BYTES and not _LOOKS_MARKED.search(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_DIGITS]
    return f"{cut_name(cleaned, LONGEST_NAME_BYTES - 1 - _DIGEST_DIGITS)}~{digest}"


def cut_name(name: str, longest_bytes: int) -> str:
    """The beginning of `name` in at most that many bytes of UTF-8, ending in no dot or blank."""
    return name.encode()[:longest_bytes].decode("utf-8", "ignore").rstrip(" .")


def _clean(text: str) -> str:
    visible = "".join(_REPLACEMENT if unicodedata.category(letter) in _INVISIBLE else letter for letter in text)
    cleaned = sanitize_filename(visible, platform="universal", replacement_text=_REPLACEMENT)
    cleaned = cleaned.strip().rstrip(" .")
    if cleaned.startswith("."):
        cleaned = _REPLACEMENT + cleaned.lstrip(".")
    if not cleaned or cleaned.lower() in _TAKEN:
        cleaned += _REPLACEMENT
    return cleaned
