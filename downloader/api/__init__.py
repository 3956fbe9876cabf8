"""tciad from Python, for scripts and notebooks, over the same engine as the command.

Example::

    from downloader import api as tciad

    plan = tciad.plan("lung-ct.yaml")                     # asks the archive, changes nothing
    result = tciad.run("lung-ct.yaml", output="library")  # fetches and proves
    pandas.DataFrame(result.series)                       # a row for each series; polars.DataFrame takes it as well
    tciad.verify("library", deep=True)                    # reads every image
    found = tciad.query("patients", collection="LIDC-IDRI")  # any query of any archive
    pandas.DataFrame(found.columns)                       # polars.DataFrame takes the columns, too, but not always the rows

A manifest is a file, or a mapping with the same keys. Each function has an async twin (`run_async`, …). The plain ones also
work inside a running event loop, as in a notebook, which shows progress below the cell. Whatever goes wrong is raised as a
`TciadError` that says what happened and what to do next.
"""

from downloader.api.asking import ArchiveLike, QueryKeywords, QueryResult, query, query_async
from downloader.api.keywords import ManifestLike, RunKeywords, manifest_from
from downloader.api.libraries import Verification, library_series, library_series_async, verify, verify_async
from downloader.api.mirroring import Plan, PlannedSeries, RunResult, plan, plan_async, run, run_async
from downloader.archive.question import Topic
from downloader.errors import (
    ArchiveError,
    LibraryError,
    ManifestError,
    SettingsError,
    StoreError,
    TciadError,
    TransferError,
    UsageError,
)
from downloader.results.findings import Finding
from downloader.results.plan import PlanReport
from downloader.results.run import Outcome, RunReport
from downloader.ui.library_series import LibrarySeries

__all__ = [
    "ArchiveError",
    "ArchiveLike",
    "Finding",
    "LibraryError",
    "LibrarySeries",
    "ManifestError",
    "ManifestLike",
    "Outcome",
    "Plan",
    "PlanReport",
    "PlannedSeries",
    "QueryKeywords",
    "QueryResult",
    "RunKeywords",
    "RunReport",
    "RunResult",
    "SettingsError",
    "StoreError",
    "TciadError",
    "Topic",
    "TransferError",
    "UsageError",
    "Verification",
    "library_series",
    "library_series_async",
    "manifest_from",
    "plan",
    "plan_async",
    "query",
    "query_async",
    "run",
    "run_async",
    "verify",
    "verify_async",
]
