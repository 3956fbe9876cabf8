"""Knowledge about the image routes of deployments, kept while the process lives.

Deployments lag behind the API (docs/archives.md#image-endpoints), and one reply shows little: a proxy, or a server during a
deployment, replies 404 to an endpoint that it offers a minute later. So a route counts as not offered only on evidence
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
"""The time after which a route is tried again, because deployments are updated."""
SERIES_NEEDED: Final = 3
"""A route counts as not offered after that many series were refused by it and received by another route."""
REFUSALS_NEEDED: Final = 3
"""After that many refusals for one series, in different attempts, the series is accepted with less proof."""
SPACED_SECONDS: Final = 0.5
"""Refusals within this time count once; attempts are at least a second apart."""
_SERIES_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Refusals:
    """How often all routes with a list were refused for one series, and when last, on the monotonic clock."""

    count: int = 0
    last_at: float = 0.0


class RouteEvidence:
    """Knowledge about the image routes of one deployment, numbered as in the generation's table.

    A route that worked once stays in use: its refusal is a fault from then on.
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
        """Whether a ZIP with an MD5 list was ever received from here, in this process or according to `note_lists`."""
        return self._sent_lists

    def note_lists(self) -> None:
        """Record that MD5 lists were received from this archive before, according to the library."""
        self._sent_lists = True

    def is_missing(self, number: int) -> bool:
        """Whether the route is known not to be offered, and was tried within a day."""
        settled_at = self._settled_at.get(number)
        return settled_at is not None and self._clock.monotonic() - settled_at < REMEMBERED_SECONDS

    def is_conceded(self, lists: Collection[int], series_instance_uid: str, attempts: int) -> bool:
        """Whether this series is accepted without an MD5 list, after the routes with one (`lists`) were refused for it.

        If a series has fewer `attempts` than the required refusals, a refusal in each attempt is enough.
        """
        if self._sent_lists:
            return False
        if all(len(self._came_without.get(number, ())) >= SERIES_NEEDED for number in lists):
            return True
        refusals = self._refusals.get(series_instance_uid)
        return refusals is not None and refusals.count >= min(REFUSALS_NEEDED, attempts)

    def md5_lists(self, lists: Collection[int], series_instance_uid: str, attempts: int) -> Md5Lists:
        """What is known about these routes with a list."""
        if not lists:
            return Md5Lists.NEVER
        if self._sent_lists:
            return Md5Lists.SENT
        is_absent = all(map(self.is_missing, lists)) or self.is_conceded(lists, series_instance_uid, attempts)
        return Md5Lists.ABSENT if is_absent else Md5Lists.UNKNOWN

    def note_refused_lists(self, series_instance_uid: str) -> None:
        """Record that all routes with a list were refused for this series in one attempt."""
        refusals = self._refusals.setdefault(series_instance_uid, _Refusals())
        now = self._clock.monotonic()
        if refusals.count == 0 or now - refusals.last_at >= SPACED_SECONDS:
            refusals.count += 1
            refusals.last_at = now
        while len(self._refusals) > _SERIES_REMEMBERED:
            del self._refusals[next(iter(self._refusals))]

    def note_served(self, number: int, series_instance_uid: str, *, has_list: bool, refused: Collection[int] = ()) -> list[int]:
        """Record that this route worked, after others were `refused`; returns those that count as not offered now."""
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
    """The knowledge about all deployments, shared by the manifests of a command or the cycles of a service."""

    def __init__(self) -> None:
        self._evidence: dict[tuple[str, str], RouteEvidence] = {}

    def evidence(self, base_url: str, api: str, clock: Clock) -> RouteEvidence:
        """The knowledge about the deployment at this address with this generation."""
        return self._evidence.setdefault((base_url.rstrip("/"), api), RouteEvidence(clock))


def list_missing(archive: str, series: Series, last: ArchiveError, *, sent_before: bool) -> ArchiveFaultError:
    """The error for a series whose MD5 list is not available now, while the deployment may still have lists.

    Args:
        archive: the archive's name.
        series: the requested series.
        last: the archive's error for the last route with a list.
        sent_before: whether lists were received from here before.
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
