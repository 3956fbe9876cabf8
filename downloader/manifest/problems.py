"""Problems of a file with their positions, and their text."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from downloader.errors import ManifestError


class SourceError(Exception):
    """A file cannot be read as text at all; its message is a sentence without the file's name."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1; `place` is the path of keys. What is unknown is 0 or empty."""

    line: int
    place: str
    what: str
    column: int = 0

    def show(self, path: Path) -> str:
        """`file:line: path: what`, or `file:line:column: what`."""
        line = f":{self.line}" if self.line else ""
        column = f":{self.column}" if self.column else ""
        place = f"{self.place}: " if self.place else ""
        return f"{path}{line}{column}: {place}{self.what}"


def refuse(path: Path, problems: Iterable[Problem]) -> ManifestError:
    """One error that tells all problems of the file, one a line, in the order of the file."""
    return ManifestError("\n".join(problem.show(path) for problem in sorted(problems)))


def show_path(path: Iterable[str | int]) -> str:
    """A path of keys as text: `select[0].patient_id`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
