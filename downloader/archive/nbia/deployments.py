"""What deployments showed of their ways to get images, remembered for as long as a process lives.

Deployments lag behind the API (docs/archives.md#image-endpoints), and one answer shows little: a proxy, or a server that is
being replaced, answers 404 to what it offers a minute later. So a way counts as not offered on evidence only
(docs/decisions/0022).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from downloader.archive.port import Md5Lists
from downloader.clock import Clock
from downloader.errors import ArchiveError, ArchiveFaultError
from downloader.model import Series

REMEMBERED_SECONDS: Final = 86_400.0
"""After so long a way is tried again: deployments are brought up to date, too."""
SERIES_NEEDED: Final = 3
"""So many different series must have come by another way, after this one was refused for them, until it counts as not offered."""
REFUSALS_NEEDED: Final = 3
"""After so many refusals for one series, each in an attempt of its own, that series may come with less proof."""
SPACED_SECONDS: Final = 0.5
"""Refusals that follow each other sooner count once; attempts are at least a second apart."""
_SERIES_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Refusals:
    """How often every list was refused for one series, and when last, on the monotonic clock."""

    count: int = 0
    last_at: float = 0.0


class RouteEvidence:
    """What one deployment showed of the ways to get images, which are numbered as in the generation's table.

    A way that worked once is never given up: its refusal is a fault from then on.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._worked: set[int] = set()
        self._sent_lists = False
        self._came_without: dict[int, set[str]] = {}
        self._settled_at: dict[int, float] = {}
        self._refusals: dict[str, _Refusals] = {}

    @property
    def sent_lists(self) -> bool:
        """Whether a ZIP with an MD5 list ever came from here, in this process or as `note_lists` was told."""
        return self._sent_lists

    def note_lists(self) -> None:
        """MD5 lists came from this archive before: the library shows it."""
        self._sent_lists = True

    def is_missing(self, number: int) -> bool:
        """Whether the way is known not to be offered, and was looked for within a day."""
        settled_at = self._settled_at.get(number)
        return settled_at is not None and self._clock.monotonic() - settled_at < REMEMBERED_SECONDS

    def is_conceded(self, lists: Collection[int], series_instance_uid: str, attempts: int) -> bool:
        """Whether this series may come without an MD5 list, now that the ways with one (`lists`) were refused for it.

        Where a series has fewer `attempts` than the refusals that are needed, a refusal in each of them is enough.
        """
        if self._sent_lists:
            return False
        if all(len(self._came_without.get(number, ())) >= SERIES_NEEDED for number in lists):
            return True
        refusals = self._refusals.get(series_instance_uid)
        return refusals is not None and refusals.count >= min(REFUSALS_NEEDED, attempts)

    def md5_lists(self, lists: Collection[int], series_instance_uid: str, attempts: int) -> Md5Lists:
        """What was shown of the ways with a list, which are these."""
        if not lists:
            return Md5Lists.NEVER
        if self._sent_lists:
            return Md5Lists.SENT
        is_absent = all(map(self.is_missing, lists)) or self.is_conceded(lists, series_instance_uid, attempts)
        return Md5Lists.ABSENT if is_absent else Md5Lists.UNKNOWN

    def note_refused_lists(self, series_instance_uid: str) -> None:
        """Every way with a list was refused for this series in one attempt."""
        refusals = self._refusals.setdefault(series_instance_uid, _Refusals())
        now = self._clock.monotonic()
        if refusals.count == 0 or now - refusals.last_at >= SPACED_SECONDS:
            refusals.count += 1
            refusals.last_at = now
        while len(self._refusals) > _SERIES_REMEMBERED:
            del self._refusals[next(iter(self._refusals))]

    def note_served(self, number: int, series_instance_uid: str, *, has_list: bool, refused: Collection[int] = ()) -> list[int]:
        """Images of the series came by this way, after others were `refused`; which of those count as not offered from now on."""
        self._worked.add(number)
        self._settled_at.pop(number, None)
        self._came_without.pop(number, None)
        if has_list:
            self._sent_lists = True
            self._refusals.pop(series_instance_uid, None)
        settled = []
        for other in refused:
            if other in self._worked:
                continue
            came = self._came_without.setdefault(other, set())
            if len(came) < SERIES_NEEDED:
                came.add(series_instance_uid)
            if len(came) >= SERIES_NEEDED:
                self._settled_at[other] = self._clock.monotonic()
                settled.append(other)
        return settled


class Deployments:
    """One for everything in a process that asks the same archives: the manifests of a command, the cycles of a service."""

    def __init__(self) -> None:
        self._evidence: dict[tuple[str, str], RouteEvidence] = {}

    def evidence(self, base_url: str, api: str, clock: Clock) -> RouteEvidence:
        """What is known of the deployment at this address, for those who ask it in this generation to add to."""
        return self._evidence.setdefault((base_url.rstrip("/"), api), RouteEvidence(clock))


def list_missing(archive: str, series: Series, last: ArchiveError, *, sent_before: bool) -> ArchiveFaultError:
    """The error for a series whose MD5 list is not offered now, which does not show yet that the deployment has none.

    Args:
        archive: what it is called.
        series: what was asked for.
        last: what the archive answered to the last way with a list.
        sent_before: whether lists came from here before.
    """
    if sent_before:
        what = f"{archive} sent MD5 lists before and does not offer them now: {last.what}"
        advice = "it is retried; if this persists, contact the archive's help desk, or accept images without a list with md5: off"
    else:
        what, advice = (
            f"the archive offers no MD5 list now: {last.what}",
            "it is retried before images are accepted without a list",
        )
    error = ArchiveFaultError(what, series_instance_uid=series.series_instance_uid, next_step=advice)
    error.status = last.status
    return error
