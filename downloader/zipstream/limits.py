"""How much one ZIP may hold before it is taken for a bomb."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_GIB = 1024**3

LICENSE_MEMBER: Final = "LICENSE"
MD5_LIST_MEMBER: Final = "md5hashes.csv"
# a list has about 50 bytes for each image
LONGEST_TEXT_BYTES: Final[Mapping[str, int]] = MappingProxyType({LICENSE_MEMBER: 1024 * 1024, MD5_LIST_MEMBER: 64 * 1024 * 1024})
"""The members of an archive's ZIP that are no images (docs/archives.md), and how long each may be."""


@dataclass(frozen=True, slots=True)
class ZipLimits:
    """Ceilings of one ZIP, compared with what is really inflated and not with what headers announce.

    The defaults are absolute: about twice the images (91,980), twenty times the image (1.4 GB) and ten times the series
    (9.1 GB) that are the largest in the public collections. Who knows the series passes tighter ones.
    """

    member_count: int = 200_000
    member_bytes: int = 32 * _GIB
    total_bytes: int = 96 * _GIB
