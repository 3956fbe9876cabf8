"""The script of faults while it plays: which fault strikes now, and how often each has struck."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from threading import Lock

from downloader.sandbox.columns import Listing
from downloader.sandbox.faults import Family, Fault, FaultKind
from downloader.sandbox.images import Images


@dataclass(slots=True)
class _Cue:
    fault: Fault
    passed: int = 0
    struck: int = 0

    def strikes(self) -> bool:
        """Count a request that concerns the fault, and tell whether the fault strikes it."""
        if self.passed < self.fault.after:
            self.passed += 1
            return False
        if self.fault.times is not None and self.struck >= self.fault.times:
            return False
        self.struck += 1
        return True


class FaultScript:
    """Faults in the order in which they are tried; of those that replace or spoil a reply the first that strikes wins.

    Replies are made in worker threads, so the counts are under a lock.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._cues = [_Cue(fault) for fault in faults]
        self._lock = Lock()

    def add(self, *faults: Fault) -> None:
        """Append faults to the script."""
        self._cues.extend(_Cue(fault) for fault in faults)

    def clear(self) -> None:
        """Forget every fault: the archive is in good health."""
        self._cues.clear()

    def struck(self, kind: FaultKind) -> int:
        """How often faults of this kind have struck."""
        return sum(cue.struck for cue in self._cues if cue.fault.kind is kind)

    def take(self, endpoint: str, series_instance_uid: str | None) -> Fault | None:
        """The fault that spoils the reply to this request, if any."""
        with self._lock:
            for cue in self._cues:
                fault = cue.fault
                if fault.family is not Family.ROW and fault.concerns(endpoint, series_instance_uid) and cue.strikes():
                    return fault
        return None

    def retell(self, endpoint: str, listing: Listing, images: Images) -> Listing | None:
        """The series as this endpoint lists it: unchanged, changed, or None if it is withdrawn."""
        uid = listing.series.series_instance_uid
        with self._lock:
            faults = [
                cue.fault
                for cue in self._cues
                if cue.fault.family is Family.ROW and cue.fault.concerns(endpoint, uid) and cue.strikes()
            ]
        told: Listing | None = listing
        for fault in faults:
            told = _retold(fault, told, images) if told else None
        return told


def _retold(fault: Fault, listing: Listing, images: Images) -> Listing | None:
    series = listing.series
    if fault.kind is FaultKind.WITHDRAWN:
        return None
    if fault.kind is FaultKind.RECOUNTED:
        return _recounted(listing, fault.images or 0, images)
    if fault.kind is FaultKind.BAD_UID:
        series = replace(series, series_instance_uid=fault.text or "")
    if fault.kind is FaultKind.ESCAPE_TEXT:
        series = replace(series, series_description=fault.text)
    return replace(listing, holding=replace(listing.holding, series=series))


def _recounted(listing: Listing, image_count: int, images: Images) -> Listing:
    """The series with another number of images; additional ones have the size of the last."""
    sizes = [image.size_bytes for image in images.of(listing.holding)]
    sizes += sizes[-1:] * (image_count - len(sizes))
    return replace(listing, image_count=image_count, file_size_bytes=sum(sizes[:image_count]))
