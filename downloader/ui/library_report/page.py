"""The report of a library as one HTML page that loads nothing: it contains its styles and plots, and no scripts."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, StrictUndefined

from downloader import errors
from downloader.results.amounts import count_text, duration_text, size_text
from downloader.ui.library_report.gathering import MOST_RUNS
from downloader.ui.library_report.plots import draw_plots
from downloader.ui.library_report.summary import LibrarySummary
from downloader.ui.texts import printable

MOST_TABLE_ROWS: Final = 1000
"""Maximum number of rows of a table; the page says how many more there are."""

_TEMPLATE: Final = "page.html.jinja"
_DOI_HOSTS: Final = frozenset({"doi.org", "dx.doi.org", "www.doi.org"})


def render_page(summary: LibrarySummary) -> str:
    """The whole page; needs matplotlib. Blocks.

    Text of the archive is escaped; an address becomes a link only if it is that of a web site.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(_filters())
    template = environment.from_string((files(__package__) / _TEMPLATE).read_text(encoding="utf-8"))
    return template.render(summary=summary, plots=draw_plots(summary), most_rows=MOST_TABLE_ROWS, most_runs=MOST_RUNS)


def _filters() -> Mapping[str, Callable[..., Any]]:
    return {
        "shown": lambda text: printable(text) or "(none)",
        "number": "{:,}".format,
        "count": count_text,
        "size": size_text,
        "duration": duration_text,
        "moment": "{:%Y-%m-%d %H:%M}".format,
        "share": _share,
        "means": _meaning,
        "is_web": _is_web,
        "doi": _doi,
    }


def _share(part: int, whole: int) -> str:
    """A percentage that is 100 only for all, and 0 only for none."""
    if not whole:
        return "0"
    percent = 100 * part / whole
    if 0 < part < whole:
        percent = min(max(percent, 0.1), 99.9)
    return f"{percent:.0f}" if percent in {0, 100} else f"{percent:.1f}"


def _meaning(error: str) -> str:
    """The description of the error of that name; empty for one of an older or newer tciad."""
    kind = getattr(errors, error, None)
    is_ours = isinstance(kind, type) and issubclass(kind, errors.TciadError)
    return (kind.__doc__ or "").partition("\n")[0] if is_ours else ""


def _is_web(address: str) -> bool:
    """Whether a link to it can do nothing but open a web site."""
    try:
        return urlsplit(address).scheme.lower() in {"http", "https"}
    except ValueError:
        return False


def _doi(address: str) -> str:
    """`doi:10.7937/…` of the address of a DOI, any other as it is."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    return f"doi:{parts.path[1:]}" if parts.netloc.lower() in _DOI_HOSTS and len(parts.path) > 1 else address
