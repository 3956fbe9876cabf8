"""Runs tcia_utils against an archive of ours.

python -m benchmarks.run_tcia_utils ADDRESS FILE_OF_SERIES_UIDS FOLDER CONCURRENCY
"""

import sys
from pathlib import Path

from tcia_utils import nbia


def main(address: str, uids: str, folder: str, concurrency: str) -> None:
    """Download the series in the file, with that many workers."""
    # tcia_utils hard-codes its two hosts, in this one place
    nbia.setApiUrl = lambda _endpoint, _api_url="": f"{address}/v4/"
    series = Path(uids).read_text().split()
    nbia.downloadSeries(series, path=folder, input_type="list", max_workers=int(concurrency))


if __name__ == "__main__":
    main(*sys.argv[1:])
