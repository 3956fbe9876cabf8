"""The result of `tciad plan`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEntry:
    """What one entry of `select` found; `position` is its `file:line`.

    Of the `listed` rows of the `archive`, `matched` are wanted and `excluded` are removed by `exclude`; the others do not match.
    `unlisted` counts the series that the entry names and the archive does not list. `unmatched` has the values, by key, that no
    matching series has. `reason` says why nothing matches; empty if something does.
    """

    entry: str
    position: str
    archive: str
    listed: int
    matched: int
    excluded: int
    unlisted: int
    unmatched: Mapping[str, Sequence[str]]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """What a run would find. `fetch_*` count what is not complete yet; `unknown_sizes` series have no size in the catalogue."""

    manifest: str
    selected: int
    complete: int
    new: int
    changed: int
    pending: int
    withdrawn: int
    unlisted: tuple[str, ...]
    images: int
    bytes_total: int
    fetch_images: int
    fetch_bytes: int
    unknown_sizes: int
    free_bytes: int
    min_free_bytes: int
    entries: tuple[PlanEntry, ...]
    warnings: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the series to fetch fit on the disk, as far as sizes are known."""
        return not self.fetch_bytes or self.fetch_bytes + self.min_free_bytes <= self.free_bytes

    def as_json(self) -> dict[str, Any]:
        """The document of `plan --json`."""
        return {
            "manifest": self.manifest,
            "series": {
                "selected": self.selected,
                "complete": self.complete,
                "new": self.new,
                "changed": self.changed,
                "pending": self.pending,
                "withdrawn": self.withdrawn,
                "unlisted": list(self.unlisted),
            },
            "images": self.images,
            "bytes": self.bytes_total,
            "to_fetch": {"images": self.fetch_images, "bytes": self.fetch_bytes, "series_of_unknown_size": self.unknown_sizes},
            "free_bytes": self.free_bytes,
            "min_free_bytes": self.min_free_bytes,
            "fits": self.fits,
            "entries": [asdict(entry) for entry in self.entries],
            "warnings": list(self.warnings),
        }
