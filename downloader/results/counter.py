"""Counts of one run, from its events, in constant time per event."""

from dataclasses import dataclass, field

from downloader.model import BytesReceived, Event, Failure, Identity, Receipt, SeriesCompleted, SeriesFailed, SeriesSetBack


@dataclass(slots=True)
class RunCounter:
    """Counts of a run so far. `completed` counts series that became complete in this run, downloaded or found in the library.

    `images_under_way` are images of series that are not complete yet, and unproven. `stepped_aside` counts completed series in a
    folder with a longer name, because another series has the shorter one; `first_aside` is the first such folder. `unread_images`
    of `unread_series` have no readable identifiers; `first_unread` is the first such series.
    """

    completed: int = 0
    downloaded: int = 0
    set_back: int = 0
    completed_images: int = 0
    completed_bytes: int = 0
    received_bytes: int = 0
    stepped_aside: int = 0
    first_aside: str = ""
    unread_series: int = 0
    unread_images: int = 0
    first_unread: str = ""
    failures: list[Failure] = field(default_factory=list)
    images_under_way: int = 0
    _under_way: dict[str, int] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """Images of this run, of complete and of unfinished series: for progress bars."""
        return self.completed_images + self.images_under_way

    def count_bytes(self, event: BytesReceived) -> None:
        """Count bytes that were received for a series that is complete already."""
        self.received_bytes += event.received_bytes

    def take(self, event: Event) -> None:
        """Count one event."""
        match event:
            case BytesReceived():
                self.received_bytes += event.received_bytes
                self._note_under_way(event.series_instance_uid, event.images)
            case SeriesCompleted():
                self.completed += 1
                self._note_under_way(event.receipt.series.series_instance_uid, 0)
                self.downloaded += event.downloaded
                self.completed_images += len(event.receipt.images)
                self.completed_bytes += event.receipt.stored_bytes
                self.stepped_aside += event.stepped_aside
                if event.stepped_aside:
                    self.first_aside = self.first_aside or event.folder
                if event.receipt.proof.identity is Identity.UNREAD:
                    self._note_unread(event.receipt)
            case SeriesSetBack():
                self.set_back += 1
                self._note_under_way(event.series_instance_uid, 0)
            case SeriesFailed():
                self.failures.append(event.failure)
                self._note_under_way(event.failure.series_instance_uid, 0)
            case _:
                pass

    def _note_unread(self, receipt: Receipt) -> None:
        self.unread_series += 1
        self.unread_images += sum(image.identity is Identity.UNREAD for image in receipt.images)
        self.first_unread = self.first_unread or receipt.series.series_instance_uid

    def _note_under_way(self, series_instance_uid: str, images: int) -> None:
        self.images_under_way += images - self._under_way.pop(series_instance_uid, 0)
        if images:
            self._under_way[series_instance_uid] = images
