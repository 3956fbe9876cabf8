"""Figures of one run, counted from events: constant work per event, whatever the size of the library."""

from dataclasses import dataclass, field

from downloader.model import BytesReceived, Event, Failure, SeriesCompleted, SeriesFailed, SeriesSetBack


@dataclass(slots=True)
class RunCounter:
    """What has happened so far. `completed` counts series that became complete in this run, downloaded or found in place.

    `stepped_aside` of them lie in a folder with a longer name, since another series has the shorter; `first_aside` is one such.
    """

    completed: int = 0
    downloaded: int = 0
    set_back: int = 0
    completed_images: int = 0
    completed_bytes: int = 0
    received_bytes: int = 0
    stepped_aside: int = 0
    first_aside: str = ""
    failures: list[Failure] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Count one event."""
        match event:
            case BytesReceived():
                self.received_bytes += event.received_bytes
            case SeriesCompleted():
                self.completed += 1
                self.downloaded += event.downloaded
                self.completed_images += len(event.receipt.images)
                self.completed_bytes += event.receipt.stored_bytes
                self.stepped_aside += event.stepped_aside
                if event.stepped_aside:
                    self.first_aside = self.first_aside or event.folder
            case SeriesSetBack():
                self.set_back += 1
            case SeriesFailed():
                self.failures.append(event.failure)
            case _:
                pass
