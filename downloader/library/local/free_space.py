"""How much room is left on the library's file system, and whether that is enough."""

import os
from pathlib import Path

from downloader.errors import NoSpaceError


class FreeSpace:
    """Keeps `min_free_bytes` of the file system that `root` is on free of tciad."""

    __slots__ = ("_min_free_bytes", "_root")

    def __init__(self, root: Path, min_free_bytes: int) -> None:
        self._root = root
        self._min_free_bytes = min_free_bytes

    def free_bytes(self) -> int:
        """What this user may still write, which can be less than what the disk has left. Raises OSError."""
        status = os.statvfs(self._root)
        return status.f_bavail * status.f_frsize

    def require(self, series_instance_uid: str, expected_bytes: int = 0) -> None:
        """Refuse to go on where `expected_bytes` more would leave too little. Raises OSError.

        Raises:
            NoSpaceError: they would.
        """
        if self._min_free_bytes:
            self.require_at_least(series_instance_uid, expected_bytes)

    def require_at_least(self, series_instance_uid: str, expected_bytes: int) -> None:
        """The same for what is known to need so much, also where nothing is to stay free."""
        free_bytes = self.free_bytes()
        if free_bytes - expected_bytes < self._min_free_bytes:
            what = f"{expected_bytes:,} bytes are needed, and {free_bytes:,} are free in {self._root}"
            if self._min_free_bytes:
                left = f"{self._min_free_bytes:,} of the {free_bytes:,} bytes that are free in {self._root}"
                what = f"{expected_bytes:,} bytes more would not leave {left}"
            raise NoSpaceError(
                what,
                series_instance_uid=series_instance_uid,
                next_step="free some room, choose a directory on another disk, or lower download.min_free_space",
            )
