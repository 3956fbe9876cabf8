"""The one sentence about the service."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from downloader.model import SeriesTally
from downloader.service.port import ArchiveFailure, ManifestState, ManifestStatus
from downloader.service.summary import ServiceSummary, SummaryState, summarize
from tests.web.figures import NOW, cycle_summary, manifest_status, run_progress, status_of_everything

COMPLETE = SeriesTally(complete=8)


def summary(*manifests: ManifestStatus, archive: dict[str, Any] | None = None, **changes: Any) -> ServiceSummary:  # noqa: ANN401
    """Of a service with these manifests."""
    status, _ = status_of_everything()
    if archive:
        changes["archives"] = (replace(status.archives[0], **archive),)
    return summarize(replace(status, **changes), manifests)


OUT = {"reached_at": None, "failed_at": NOW, "failing_since_at": NOW.replace(hour=8, minute=28)}


@pytest.mark.parametrize(
    ("manifests", "state", "sentence"),
    [
        ([], SummaryState.EMPTY, "There is no manifest in /manifests yet."),
        ([manifest_status("m")], SummaryState.IDLE, "Idle: no cycle has run yet."),
        (
            [manifest_status("m", tally=COMPLETE, last_cycle=cycle_summary())],
            SummaryState.COMPLETE,
            "Complete: all 8 series of 1 manifest.",
        ),
        (
            [manifest_status("m", tally=SeriesTally(complete=6, pending=2), last_cycle=cycle_summary("interrupted"))],
            SummaryState.IDLE,
            "Idle: 6 of 8 series of 1 manifest are complete.",
        ),
        (
            [
                manifest_status("a", tally=SeriesTally(complete=1000, claimed=1, pending=234), state=ManifestState.RUNNING),
                manifest_status("b", tally=COMPLETE, state=ManifestState.WAITING),
            ],
            SummaryState.MIRRORING,
            "Mirroring: 1,008 of 1,243 series of 2 manifests are complete.",
        ),
        (
            [
                manifest_status("a", problem="m.yaml:2: there is no archive tcai", in_force=False, state=ManifestState.BROKEN),
                manifest_status("b", tally=SeriesTally(complete=3, failed=5), state=ManifestState.RUNNING),
            ],
            SummaryState.ATTENTION,
            "2 manifests need attention: 1 broken, 5 series failed.",
        ),
        (
            [manifest_status("m", tally=COMPLETE, last_cycle=cycle_summary("failed", "the disk is read-only"))],
            SummaryState.ATTENTION,
            "1 manifest needs attention: the last cycle of 1 failed.",
        ),
        (
            [manifest_status("m", tally=COMPLETE, last_cycle=cycle_summary(), needs_attention="correct the password of tcia")],
            SummaryState.ATTENTION,
            "1 manifest needs attention: 1 waiting for a person.",
        ),
    ],
)
def test_the_sentence(manifests: list[ManifestStatus], state: SummaryState, sentence: str) -> None:
    """What matters most, with counts."""
    told = summary(*manifests)
    assert (told.state, told.sentence) == (state, sentence)


def test_an_outage_is_told_with_its_begin() -> None:
    """A cycle that failed for it needs no person; on another day, the sentence has the day too."""
    manifest = manifest_status("m", tally=COMPLETE, last_cycle=cycle_summary("failed", "the archive does not answer"))
    told = summary(manifest, archive={**OUT, "failure": ArchiveFailure.UNREACHABLE})
    assert (told.state, told.sentence) == (SummaryState.OUTAGE, "tcia has not answered since 08:28 UTC.")
    assert (told.manifests[0].state, told.manifests[0].sentence) == (SummaryState.OUTAGE, "waiting for tcia")
    done = manifest_status("done", tally=COMPLETE, last_cycle=cycle_summary())
    beside = summary(done, manifest, archive={**OUT, "failure": ArchiveFailure.UNREACHABLE})
    assert [told.state for told in beside.manifests] == [SummaryState.COMPLETE, SummaryState.OUTAGE]
    earlier = {**OUT, "failing_since_at": NOW - timedelta(days=2), "failure": ArchiveFailure.UNREACHABLE}
    assert summary(manifest, archive=earlier).sentence == "tcia has not answered since 22 November, 12:00 UTC."
    assert summary(manifest, archive={**OUT, "failure": ArchiveFailure.REFUSED}).sentence == "tcia refuses the credentials."


def test_a_pause_is_never_hidden() -> None:
    """It stands in front of an outage and of failures."""
    manifest = manifest_status("m", tally=SeriesTally(complete=3, failed=5), state=ManifestState.PAUSED)
    told = summary(manifest, archive={**OUT, "failure": ArchiveFailure.UNREACHABLE}, paused=True)
    assert told.state is SummaryState.ATTENTION
    assert told.sentence == ("Paused. 1 manifest needs attention: 5 series failed. tcia has not answered since 08:28 UTC.")
    calm = summary(manifest_status("m", tally=COMPLETE, state=ManifestState.PAUSED), paused=True)
    assert (calm.state, calm.sentence) == (SummaryState.PAUSED, "Paused. 8 of 8 series of 1 manifest are complete.")
    assert summary(manifest_status("m"), draining=True).sentence.startswith("Stopping. ")


def test_problems_of_libraries_need_attention() -> None:
    """With what is known of them."""
    status, manifests = status_of_everything()
    (library,) = status.libraries
    gone = summarize(replace(status, libraries=(replace(library, problem="the disk is not mounted"),)), manifests)
    assert (gone.state, gone.sentence) == (SummaryState.ATTENTION, "The library /library cannot be used.")
    assert gone.problems == ("/library: the disk is not mounted",)
    full = summarize(replace(status, libraries=(replace(library, short_of_room=True, room_problem="1.2.3 waits"),)), manifests)
    assert full.sentence == "The library /library has no space left."
    assert full.problems == ("/library: 1.2.3 waits",)


def test_a_running_retry_of_a_failed_cycle_is_no_failure() -> None:
    """How the one before ended is history."""
    last = cycle_summary("failed", "the archive does not answer")
    running = manifest_status("m", tally=COMPLETE, state=ManifestState.RUNNING, last_cycle=last, progress=run_progress())
    told = summary(running)
    assert told.state is SummaryState.MIRRORING
    assert told.manifests[0].sentence == "fetching"
