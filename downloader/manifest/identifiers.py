"""UIDs as people write them: in manifests, series lists, carts and commands."""

from typing import Final

from downloader.config.messages import quote
from downloader.model import LONGEST_UID_CHARACTERS, is_dicom_uid

UID_PATTERN: Final = r"^[0-9]+(\.[0-9]+)+$"
"""For the JSON Schema: what `check_uid` takes, but for the length."""


def check_uid(text: str) -> str:
    """Return the text if it is a UID by the rule for rows of the catalogue, so that what comes with a collection can be named.

    A number without any dot is refused besides: in a list it is a count, or the identifier of a patient.

    Raises:
        ValueError: the text is not a UID.
    """
    if is_dicom_uid(text) and "." in text:
        return text
    if "*" in text or "?" in text:
        raise ValueError(f"{quote(text)} is not a UID: UIDs cannot contain the wildcards * and ?")
    if len(text) > LONGEST_UID_CHARACTERS and set(text) <= set("0123456789."):
        raise ValueError(f"{quote(text)} is not a UID: it is longer than {LONGEST_UID_CHARACTERS} characters")
    raise ValueError(f"{quote(text)} is not a UID, which is numbers joined by dots")
