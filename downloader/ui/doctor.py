"""What `doctor` found, as JSON for programs and as a few lines for people."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from downloader.errors import ExitCode
from downloader.ui.texts import printable


class Health(StrEnum):
    """How one thing stands."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


_MARKS: Final = {Health.OK: "ok     ", Health.WARNING: "warning", Health.FAILED: "FAILED "}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. `exit_code` is what a run would end with because of it."""

    name: str
    health: Health
    sentence: str
    next_step: str = ""
    exit_code: ExitCode = ExitCode.SUCCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """Everything that was looked at. `manifest` is what to say of the archive in a manifest; empty where none answered."""

    checks: tuple[Check, ...]
    manifest: str

    @property
    def exit_code(self) -> ExitCode:
        """That of the first thing that failed."""
        return next((check.exit_code for check in self.checks if check.health is Health.FAILED), ExitCode.SUCCESS)

    def as_json(self) -> dict[str, Any]:
        """The document of `doctor --json`."""
        return {"exit_code": self.exit_code, "checks": [asdict(check) for check in self.checks], "manifest": self.manifest}

    def as_text(self) -> str:
        """The same for people."""
        lines = []
        for check in self.checks:
            lines.append(f"{_MARKS[check.health]}  {check.name}: {printable(check.sentence)}")
            if check.next_step:
                lines.append(f"         → {printable(check.next_step)}")
        if self.manifest:
            lines += ["", "In the manifest:", *(f"  {printable(line)}" for line in self.manifest.splitlines())]
        return "\n".join(lines)
