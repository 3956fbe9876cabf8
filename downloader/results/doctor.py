"""What `doctor` looked at."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from downloader.errors import ExitCode


class Health(StrEnum):
    """How one thing stands."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


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
