"""How much one ZIP may hold before it is taken for a bomb."""

from dataclasses import dataclass

_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class ZipLimits:
    """Ceilings of one ZIP, compared with what is really inflated and not with what headers announce.

    The defaults are absolute: about twice the images (91,980), twenty times the image (1.4 GB) and ten times the series
    (9.1 GB) that are the largest in the public collections. Who knows the series passes tighter ones.
    """

    member_count: int = 200_000
    member_bytes: int = 32 * _GIB
    total_bytes: int = 96 * _GIB
