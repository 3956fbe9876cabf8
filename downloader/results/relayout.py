"""The result of moving a library to another layout."""

from dataclasses import asdict, dataclass, field
from typing import Any

from downloader.errors import ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesMove:
    """A series that would be moved from `folder` to `target`."""

    series_instance_uid: str
    folder: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFolder:
    """A series with a longer folder name, because another series has the folder that the layout gives to both."""

    series_instance_uid: str
    folder: str
    instead_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftFolder:
    """A folder that was not moved, and why. The UID is empty for a damaged receipt."""

    folder: str
    series_instance_uid: str
    reason: str


@dataclass(slots=True)
class RelayoutTally:
    """Counts so far. `moves` are the moves of a dry run."""

    moved: int = 0
    in_place: int = 0
    shared: list[SharedFolder] = field(default_factory=list)
    left: list[LeftFolder] = field(default_factory=list)
    moves: list[SeriesMove] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayoutReport:
    """The result of `tciad relayout`."""

    library: str
    layout: str
    dry_run: bool
    tally: RelayoutTally

    @property
    def exit_code(self) -> ExitCode:
        """0 if every series is in the folder of the layout, or would be after the moves."""
        return ExitCode.INCOMPLETE if self.tally.left else ExitCode.SUCCESS

    def as_json(self) -> dict[str, Any]:
        """The document of `relayout --json`."""
        tally = self.tally
        return {
            "library": self.library,
            "layout": self.layout,
            "dry_run": self.dry_run,
            "exit_code": self.exit_code.value,
            "series": {"moved": tally.moved, "in_place": tally.in_place, "left": len(tally.left)},
            "shared": [asdict(shared) for shared in tally.shared],
            "left": [asdict(left) for left in tally.left],
            "moves": [asdict(move) for move in tally.moves],
        }
