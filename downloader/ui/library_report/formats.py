"""Formats of a report."""

from enum import StrEnum


class ReportFormat(StrEnum):
    """A page for people; or the series, as rows."""

    HTML = "html"
    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Extensions of such a file."""
        return (".html", ".htm") if self is ReportFormat.HTML else (f".{self}",)

    @property
    def file_name(self) -> str:
        """Default name of the report's file."""
        return "report.html" if self is ReportFormat.HTML else f"series.{self}"
