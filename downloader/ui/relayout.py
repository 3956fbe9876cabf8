"""What moving a library to another layout has to say, as JSON for programs and as a few lines for people."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from downloader.errors import ExitCode
from downloader.ui.texts import count_text, printable

_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesMove:
    """A series that would be moved from `folder` to `target`."""

    series_instance_uid: str
    folder: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFolder:
    """A series that has a longer name, because another one has the folder that the layout gives both."""

    series_instance_uid: str
    folder: str
    instead_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftFolder:
    """A folder that stays where it is, and why. No series is known for a damaged receipt."""

    folder: str
    series_instance_uid: str
    reason: str


@dataclass(slots=True)
class RelayoutTally:
    """What became of the series so far. `moves` are those that would be made, where nothing is moved."""

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
        """0 when every series is, or would be, where the layout wants it."""
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

    def as_text(self) -> str:
        """The same for people."""
        tally = self.tally
        moved = count_text(tally.moved, "series", "series")
        done = f"{moved} would be moved" if self.dry_run else f"{moved} moved"
        lines = [f"{printable(self.library)}: {done} to {printable(self.layout)}, {tally.in_place:,} in place already"]
        lines += _first(f"{printable(move.folder)} -> {printable(move.target)}" for move in tally.moves)
        if tally.shared:
            lines.append(
                f"  {count_text(len(tally.shared), 'series', 'series')} with a longer name, since another has the shorter:"
            )
            lines += _first(printable(shared.folder) for shared in tally.shared)
        if tally.left:
            lines.append(f"  left where they are: {count_text(len(tally.left), 'folder')}")
            lines += _first(f"{printable(left.folder)}: {printable(left.reason)}" for left in tally.left)
        return "\n".join(lines)


def _first(lines: Iterable[str]) -> list[str]:
    """The first lines, and how many more there are."""
    listed = list(lines)
    shown = [f"    {line}" for line in listed[:_SHOWN]]
    return [*shown, f"    … and {len(listed) - _SHOWN:,} more: see --json"] if len(listed) > _SHOWN else shown
