"""Changes a store directly, to a state that real use would take years to reach."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from downloader.library.names import safe_name
from downloader.library.receipt import RECEIPT_NAME

_RECEIPT = json.dumps({"format": 1, "written_for": "a benchmark, which looks for receipts and reads none"}) + "\n"


def complete_everything(path: Path) -> None:
    """Set every pending series to complete."""
    with closing(sqlite3.connect(path)) as database, database:
        # memory of this process would count as that of the programs that it starts
        database.execute("PRAGMA cache_size = -4000")
        database.execute(
            "UPDATE series SET state = 'complete', folder = series_instance_uid, stored_images = IFNULL(image_count, 0), "
            "stored_bytes = IFNULL(file_size_bytes, 0), completed_at = '2026-01-01T00:00:00.000000+00:00' WHERE state = 'pending'"
        )


def lay_receipts(path: Path, library: Path) -> None:
    """Give every complete series a folder in the classic layout with a receipt, and record the folder in the store."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA cache_size = -4000")
        rows = database.execute(
            "SELECT series_key, collection, patient_id, study_instance_uid, series_instance_uid "
            "FROM series WHERE state = 'complete'"
        )
        writer = database.cursor()
        for series_key, *names in rows.fetchall():
            folder = library.joinpath(*(safe_name(name or "NA") for name in names))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / RECEIPT_NAME).write_text(_RECEIPT)
            place = str(folder.relative_to(library))
            writer.execute("UPDATE series SET folder = ? WHERE series_key = ?", (place, series_key))
