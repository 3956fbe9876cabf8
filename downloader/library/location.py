"""Where a series lies in the library."""

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a series was put: `folder` is relative to the library.

    `stepped_aside` tells that it is not the one that the layout would give it first, since another series lies there.
    `quarantined` is where the damaged folder lies now whose place it took; None where there was none.
    """

    folder: PurePosixPath
    stepped_aside: bool
    quarantined: PurePosixPath | None = None
