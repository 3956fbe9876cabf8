"""Counts of series in the JSON documents of `status` and `report`."""

from typing import Any

from downloader.model import SeriesTally


def tally_json(tally: SeriesTally) -> dict[str, Any]:
    """The part of a document with the counts."""
    return {
        "series": {
            "selected": tally.selected,
            "complete": tally.complete,
            "pending": tally.pending,
            "claimed": tally.claimed,
            "failed": tally.failed,
            "withdrawn": tally.withdrawn,
        },
        "images": tally.images,
        "stored_bytes": tally.stored_bytes,
        "expected_images": tally.expected_images,
        "expected_bytes": tally.expected_bytes,
    }
