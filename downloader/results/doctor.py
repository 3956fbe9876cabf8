"""The result of `tciad doctor`."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from downloader.errors import ExitCode


class Health(StrEnum):
    """The result of one check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check. `exit_code` is the exit code that a run would have because of it."""

    name: str
    health: Health
    sentence: str
    next_step: str = ""
    exit_code: ExitCode = ExitCode.SUCCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """All checks. `manifest` is a manifest's section for the archive; empty if no archive answered."""

    checks: tuple[Check, ...]
    manifest: str

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the first failed check."""
        return next((check.exit_code for check in self.checks if check.health is Health.FAILED), ExitCode.SUCCESS)

    def as_json(self) -> dict[str, Any]:
        """The document of `doctor --json`."""
        return {"exit_code": self.exit_code, "checks": [asdict(check) for check in self.checks], "manifest": self.manifest}
