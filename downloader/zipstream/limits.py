"""Limits on the size of one ZIP, against decompression bombs."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_GIB = 1024**3

LICENSE_MEMBER: Final = "LICENSE"
MD5_LIST_MEMBER: Final = "md5hashes.csv"
# a list has about 50 bytes for each image
LONGEST_TEXT_BYTES: Final[Mapping[str, int]] = MappingProxyType({LICENSE_MEMBER: 1024 * 1024, MD5_LIST_MEMBER: 64 * 1024 * 1024})
"""The members of an archive's ZIP that are not images (docs/archives.md), and the maximum size of each in bytes."""


@dataclass(frozen=True, slots=True)
class ZipLimits:
    """Limits of one ZIP, compared with the bytes that were inflated, not with the sizes in the headers.

    The defaults are about twice the images (91,980), twenty times the largest image (1.4 GB) and ten times the bytes (9.1 GB) of
    the largest series in the public collections. Callers that know the size of the series pass lower limits.
    """

    member_count: int = 200_000
    member_bytes: int = 32 * _GIB
    total_bytes: int = 96 * _GIB
