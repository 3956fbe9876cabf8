"""The state of the service in one sentence, and of each manifest in one more. Page, API and metrics take it from here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from downloader.results.run import Outcome
from downloader.service.port import ArchiveFailure, ArchiveStatus, ManifestState, ManifestStatus, ServiceStatus


class SummaryState(StrEnum):
    """What matters most now; the first that applies, in this order."""

    ATTENTION = "attention"
    OUTAGE = "outage"
    DRAINING = "draining"
    PAUSED = "paused"
    MIRRORING = "mirroring"
    WAITING = "waiting"
    IDLE = "idle"
    COMPLETE = "complete"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestSummary:
    """One manifest. `problem` is one line of what is wrong with it; empty when nothing is."""

    name: str
    state: SummaryState
    sentence: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSummary:
    """The service as a whole. `problems` are whole sentences with the details that `sentence` has no room for."""

    state: SummaryState
    sentence: str
    problems: tuple[str, ...]
    manifests: tuple[ManifestSummary, ...]


def summarize(status: ServiceStatus, manifests: Sequence[ManifestStatus]) -> ServiceSummary:
    """What an operator has to know. Never reports success beside a failure, nor hides a pause behind another problem."""
    out = [archive for archive in status.archives if archive.failure]
    told = tuple(summarize_manifest(manifest, status) for manifest in manifests)
    needing = [manifest for manifest in told if manifest.state is SummaryState.ATTENTION]
    troubles = [*_attention([manifest.name for manifest in needing], manifests, status), *_library_problems(status)]
    problems = [*troubles, *(_archive_problem(of, status.told_at) for of in out)]
    state = _state_of(status, told, has_trouble=bool(troubles), is_out=bool(out))
    parts = [*_orders(status), *(problems or [_calm_sentence(state, status, manifests)])]
    return ServiceSummary(
        state=state,
        sentence=". ".join(part for part in parts if part) + ".",
        problems=tuple(_details(status, needing, out)),
        manifests=told,
    )


def summarize_manifest(manifest: ManifestStatus, status: ServiceStatus) -> ManifestSummary:
    """How one manifest stands."""
    problem = _manifest_problem(manifest, status)
    if problem:
        return ManifestSummary(name=manifest.name, state=SummaryState.ATTENTION, sentence=problem, problem=problem)
    state, sentence = _manifest_calm(manifest, status)
    return ManifestSummary(name=manifest.name, state=state, sentence=sentence)


def _manifest_problem(manifest: ManifestStatus, status: ServiceStatus) -> str:
    problems = []
    if manifest.problem:
        problems.append("the manifest is broken" + (", the last valid version stays in force" if manifest.in_force else ""))
    if manifest.tally.failed:
        problems.append(f"{manifest.tally.failed:,} series failed")
    if _waits_for_person(manifest):
        problems.append(f"it waits for a person: {manifest.needs_attention}")
    if _has_failed_cycle(manifest, status):
        problems.append("the last cycle failed")
    return "; ".join(problems)


def _waits_for_person(manifest: ManifestStatus) -> bool:
    return bool(manifest.needs_attention) and manifest.progress is None


def _has_failed_cycle(manifest: ManifestStatus, status: ServiceStatus) -> bool:
    """Whether the last cycle failed, and nothing else that is reported explains it: neither an outage nor a wait for a person."""
    last = manifest.last_cycle
    is_failed = last is not None and last.outcome == Outcome.FAILED and manifest.progress is None
    return is_failed and not _waits_for_person(manifest) and not _archives_out(manifest, status)


def _archives_out(manifest: ManifestStatus, status: ServiceStatus) -> list[str]:
    """The archives of the manifest that fail now."""
    own = manifest.archive.split(", ")
    return [archive.name for archive in status.archives if archive.failure and archive.name in own]


def _manifest_calm(manifest: ManifestStatus, status: ServiceStatus) -> tuple[SummaryState, str]:
    names_out = _archives_out(manifest, status)
    if manifest.state is ManifestState.PAUSED:
        return SummaryState.PAUSED, "paused"
    if names_out and not _is_done(manifest):
        return SummaryState.OUTAGE, f"waiting for {' and '.join(names_out)}"
    if manifest.state is ManifestState.RUNNING:
        return SummaryState.MIRRORING, manifest.progress.phase.value if manifest.progress else "mirroring"
    if manifest.state is ManifestState.WAITING:
        return SummaryState.WAITING, "waiting for its turn"
    left = manifest.tally.pending + manifest.tally.claimed
    if left:
        return SummaryState.IDLE, f"idle, {left:,} series are not fetched yet"
    if manifest.last_cycle is None:
        return SummaryState.IDLE, "idle, no cycle has run yet"
    return SummaryState.COMPLETE, "complete"


def _is_done(manifest: ManifestStatus) -> bool:
    """Whether the last cycle left nothing to do, so that no archive is needed before the next one."""
    last = manifest.last_cycle
    return manifest.state is ManifestState.IDLE and last is not None and last.outcome == Outcome.COMPLETE


def _attention(names: Sequence[str], manifests: Sequence[ManifestStatus], status: ServiceStatus) -> list[str]:
    """Such as "2 manifests need attention: 1 broken, 5 series failed"; `names` are those of the manifests concerned."""
    if not names:
        return []
    concerned = [manifest for manifest in manifests if manifest.name in names]
    broken = sum(bool(manifest.problem) for manifest in concerned)
    failed = sum(manifest.tally.failed for manifest in concerned)
    waiting = sum(map(_waits_for_person, concerned))
    cycles = sum(_has_failed_cycle(manifest, status) for manifest in concerned)
    counts = [
        f"{broken:,} broken" if broken else "",
        f"{failed:,} series failed" if failed else "",
        f"{waiting:,} waiting for a person" if waiting else "",
        f"the last cycle of {cycles:,} failed" if cycles else "",
    ]
    verb = "manifest needs" if len(names) == 1 else "manifests need"
    return [f"{len(names):,} {verb} attention: {', '.join(count for count in counts if count)}"]


def _library_problems(status: ServiceStatus) -> list[str]:
    problems = [f"The library {library.directory} cannot be used" for library in status.libraries if library.problem]
    problems += [f"The library {library.directory} has no space left" for library in status.libraries if library.short_of_room]
    if status.folder_problem:
        problems.append(f"The folder {status.folder} cannot be read")
    return problems


def _archive_problem(archive: ArchiveStatus, told_at: datetime) -> str:
    match archive.failure:
        case ArchiveFailure.REFUSED:
            return f"{archive.name} refuses the credentials"
        case ArchiveFailure.UNREACHABLE:
            return f"{archive.name} has not answered since {_moment(archive.failing_since_at, told_at)}"
        case _:
            return f"{archive.name} has sent no valid response since {_moment(archive.failing_since_at, told_at)}"


def _moment(at: datetime | None, told_at: datetime) -> str:
    """The time of day in UTC, with the day where it is another one than that of the report."""
    if at is None:
        return "the start"
    at = at.astimezone(UTC)
    return f"{at:%H:%M} UTC" if at.date() == told_at.astimezone(UTC).date() else f"{at:%-d %B, %H:%M} UTC"


def _state_of(status: ServiceStatus, manifests: Sequence[ManifestSummary], *, has_trouble: bool, is_out: bool) -> SummaryState:
    if has_trouble:
        return SummaryState.ATTENTION
    if is_out:
        return SummaryState.OUTAGE
    if status.draining:
        return SummaryState.DRAINING
    if status.paused:
        return SummaryState.PAUSED
    states = {manifest.state for manifest in manifests}
    for state in (SummaryState.MIRRORING, SummaryState.PAUSED, SummaryState.WAITING, SummaryState.IDLE):
        if state in states:
            return state
    return SummaryState.COMPLETE if manifests else SummaryState.EMPTY


def _orders(status: ServiceStatus) -> list[str]:
    """What a person ordered, in front of everything else."""
    paused = [library.directory for library in status.libraries if library.paused]
    if status.draining:
        return ["Stopping"]
    if status.paused:
        return ["Paused"]
    return [f"Paused: {', '.join(paused)}"] if paused else []


def _calm_sentence(state: SummaryState, status: ServiceStatus, manifests: Sequence[ManifestStatus]) -> str:
    complete = sum(manifest.tally.complete for manifest in manifests)
    selected = sum(manifest.tally.selected for manifest in manifests)
    noun = "manifest" if len(manifests) == 1 else "manifests"
    progress = f"{complete:,} of {selected:,} series of {len(manifests):,} {noun} are complete"
    match state:
        case SummaryState.EMPTY:
            return f"There is no manifest in {status.folder} yet"
        case SummaryState.COMPLETE:
            return f"Complete: all {selected:,} series of {len(manifests):,} {noun}"
        case SummaryState.MIRRORING:
            return f"Mirroring: {progress}"
        case SummaryState.WAITING:
            return f"Waiting for the library: {progress}"
        case SummaryState.IDLE if any(manifest.last_cycle for manifest in manifests):
            return f"Idle: {progress}"
        case SummaryState.IDLE:
            return "Idle: no cycle has run yet"
        case _:
            return progress


def _details(status: ServiceStatus, needing: Sequence[ManifestSummary], out: Sequence[ArchiveStatus]) -> list[str]:
    details = [f"{manifest.name}: {manifest.problem}" for manifest in needing]
    details += [f"{library.directory}: {library.problem}" for library in status.libraries if library.problem]
    details += [f"{library.directory}: {library.room_problem}" for library in status.libraries if library.room_problem]
    details += [status.folder_problem] if status.folder_problem else []
    return details + [f"{archive.name}: {archive.problem}" for archive in out if archive.problem]
