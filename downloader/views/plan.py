"""What a plan has to say, as JSON for programs and as a few lines for people."""

from dataclasses import asdict, dataclass
from typing import Any

from downloader.views.texts import count_text, printable, size_text


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEntry:
    """How many series one entry of `select` matched; `position` is its `file:line`."""

    entry: str
    position: str
    matched: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """What a run would find. `fetch_*` count what is not complete yet; of `unknown_sizes` series the archive tells no size."""

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
        """Whether what is to come fits, as far as sizes are known."""
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

    def as_text(self) -> str:
        """The same for people."""
        series, images = count_text(self.selected, "series", "series"), count_text(self.images, "image")
        lines = [
            f"{self.manifest}: {series}, {images}, {size_text(self.bytes_total)}",
            f"  complete {self.complete:,}, new {self.new:,}, changed {self.changed:,}, pending {self.pending:,}",
            f"  withdrawn {self.withdrawn:,}",
            f"  to fetch: {count_text(self.fetch_images, 'image')}, {size_text(self.fetch_bytes)}",
            f"  free: {size_text(self.free_bytes)}" + ("" if self.fits else "; what is to fetch does not fit"),
        ]
        if self.unknown_sizes:
            lines.append(f"  the archive tells no size for {self.unknown_sizes:,} of them")
        lines += [f"  {printable(entry.entry)}: {count_text(entry.matched, 'series', 'series')}" for entry in self.entries]
        lines += [f"  warning: {printable(warning)}" for warning in self.warnings]
        return "\n".join(lines)
