"""Names of images and folders: safe on every file system, and always the same for the same images. Pure."""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from pathvalidate import sanitize_filename

from downloader.model import Identity, Image, StagedImage

LONGEST_NAME_BYTES = 120
NOTHING = "NA"

_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
# safe on all systems: no reserved name of Windows has a hyphen or an underscore
_PLAIN = re.compile(r"[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)+")
_LOOKS_MARKED = re.compile(r"~[0-9a-f]{8}\Z")
_REPLACEMENT = "_"
# the series of a study are processed in sequence
_REMEMBERED_NAMES = 1024
_DIGEST_DIGITS = 8
# control, format (such as bidirectional overrides), surrogate, line and paragraph separator
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# files that tciad itself creates next to the folders of patients and collections
_TAKEN = frozenset({"license", "metadata.csv", "citation.txt"})


@lru_cache(maxsize=_REMEMBERED_NAMES)
def safe_name(text: str) -> str:
    """Convert `text` to a folder name, always the same.

    Safe text is unchanged. In other text, unsafe characters are replaced and `~` and eight digits of its SHA-256 are appended, so
    that `a/b` and `a_b` differ; text that already has such an ending gets another one. Empty text becomes `NA`, as in the
    archive. The case is kept: on some file systems `A` and `a` are the same folder.
    """
    if not text:
        return NOTHING
    if len(text) <= LONGEST_NAME_BYTES and (_NUMBERS.fullmatch(text) or _PLAIN.fullmatch(text)):
        return text  # most names; cleaning takes as long as inflating a small image
    cleaned = _clean(text)
    if cleaned == text and len(text.encode()) <= LONGEST_NAME_BYTES and not _LOOKS_MARKED.search(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_DIGITS]
    return f"{cut_name(cleaned, LONGEST_NAME_BYTES - 1 - _DIGEST_DIGITS)}~{digest}"


def cut_name(name: str, longest_bytes: int) -> str:
    """The beginning of `name` in at most that many bytes of UTF-8, without a trailing dot or blank."""
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


# the archive's names of images with NewFileNames (docs/archives.md#image-endpoints)
_ARCHIVE_NAME = re.compile(r"[0-9]{1,9}-[0-9]{1,9}\.dcm")


def name_images(images: Sequence[StagedImage]) -> dict[str, StagedImage]:
    """Give every image its file name; sorted by name.

    The archive's own names `<acquisition>-<instance>.dcm` are kept if all images have such names and they are unique. Otherwise
    names of that form are generated: the rank of the acquisition number in the series, and the rank of the image in the
    acquisition by instance number, then SOP instance UID. Images without a number come last.
    """
    by_member_name = {image.member_name: image for image in images}
    if len(by_member_name) == len(images) and all(map(_ARCHIVE_NAME.fullmatch, by_member_name)):
        return dict(sorted(by_member_name.items()))
    acquisitions: dict[tuple[bool, int], list[StagedImage]] = defaultdict(list)
    for image in images:
        acquisitions[_numbers_first(image.acquisition_number)].append(image)
    acquisition_digits = len(str(len(acquisitions)))
    instance_digits = len(str(max(map(len, acquisitions.values()), default=0)))
    named = {}
    for acquisition_rank, number in enumerate(sorted(acquisitions), start=1):
        in_order = sorted(
            acquisitions[number],
            key=lambda image: (_numbers_first(image.instance_number), image.sop_instance_uid),
        )
        for instance_rank, image in enumerate(in_order, start=1):
            named[f"{acquisition_rank:0{acquisition_digits}d}-{instance_rank:0{instance_digits}d}.dcm"] = image
    return named


def receipt_image(name: str, staged: StagedImage) -> Image:
    """The receipt's entry for a staged image with the file name `name`."""
    return Image(
        name=name,
        sop_instance_uid=staged.sop_instance_uid if staged.identity is Identity.READ else "",
        size_bytes=staged.size_bytes,
        md5=staged.md5,
        sop_class_uid=staged.sop_class_uid,
        identity=staged.identity,
    )


def _numbers_first(number: int | None) -> tuple[bool, int]:
    return (number is None, number or 0)
