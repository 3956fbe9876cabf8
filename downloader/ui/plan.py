"""What a plan has to say, as JSON for programs and as a few lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from downloader.ui.texts import count_text, printable, size_text

_SHOWN_VALUES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEntry:
    """What one entry of `select` found; `position` is its `file:line`.

    Of the `listed` rows that `archive` gave for it, `matched` are wanted and `excluded` taken away by `exclude`; the rest does
    not fit. `unlisted` counts the series that it names and the archive does not list; `unmatched` are its values, by key, that
    none of the series has which fit it. `reason` says why nothing fits; empty where something does.
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

    def as_lines(self) -> Iterator[str]:
        """What matched, and what did not."""
        figures = {
            "do not fit": self.listed - self.matched - self.excluded,
            "excluded": self.excluded,
            "not listed": self.unlisted,
        }
        others = ", ".join(f"{figure:,} {word}" for word, figure in figures.items() if figure)
        line = f"{printable(self.entry)}: {count_text(self.matched, 'series', 'series')} of {self.archive}"
        yield f"{line} ({others})" if others else line
        for key, values in self.unmatched.items():
            shown = " or ".join(printable(value) for value in values[:_SHOWN_VALUES])
            more = f" or {len(values) - _SHOWN_VALUES:,} more" if len(values) > _SHOWN_VALUES else ""
            yield f"  none of those that fit has {key} {shown}{more}"


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
        lines += [f"  {line}" for entry in self.entries for line in entry.as_lines()]
        lines += [f"  warning: {printable(warning)}" for warning in self.warnings]
        return "\n".join(lines)
