"""The report's plots. Each has a table beside it on the page, so that no fact is only in a picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from downloader.library.run_records import RunRecord
from downloader.results.amounts import count_text, size_text
from downloader.ui.library_report.growth import GrowthPeriod
from downloader.ui.library_report.summary import LibrarySummary, SizeClass
from downloader.ui.library_report.svg import ACCENT, INK, draw_svg
from downloader.ui.texts import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS: Final = 15
MOST_RUNS: Final = 60
_LONGEST_LABEL: Final = 24
_LOW_POINTS: Final = 190


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    label: str
    amount: float
    shown: str


def draw_plots(summary: LibrarySummary) -> Mapping[str, str]:
    """One SVG element for each figure that has something to show, by name. Blocks.

    The names: collections, modalities, sizes, growth-bytes, growth-images, runs.
    """
    drawn = (
        _draw_collections(summary),
        _draw_modalities(summary),
        _draw_sizes(summary.sizes),
        _draw_growth(summary, "bytes"),
        _draw_growth(summary, "images"),
        _draw_runs(summary.records.runs),
    )
    return {name: svg for plot in drawn for name, svg in plot.items()}


def _draw_collections(summary: LibrarySummary) -> Mapping[str, str]:
    held = [of for of in summary.collections if of.stored_bytes]
    bars = [_Bar(label=of.collection, amount=of.stored_bytes, shown=size_text(of.stored_bytes)) for of in held]
    description = f"Bar chart of stored bytes by collection, {_told(bars)}"
    return _draw_bars("collections", description, _limited(bars, size_text))


def _draw_modalities(summary: LibrarySummary) -> Mapping[str, str]:
    bars = [_Bar(label=of.modality, amount=of.stored_bytes, shown=size_text(of.stored_bytes)) for of in summary.modalities]
    description = f"Bar chart of stored bytes by modality, {_told(bars)}"
    return _draw_bars("modalities", description, _limited(bars, size_text))


def _told(bars: Sequence[_Bar]) -> str:
    largest = ", ".join(f"{_label(bar.label)} {bar.shown}" for bar in bars[:3])
    return f"the largest first: {largest}. The table has all of them."


def _limited(bars: Sequence[_Bar], show: Callable[[float], str]) -> Sequence[_Bar]:
    if len(bars) <= MOST_BARS:
        return bars
    others = bars[MOST_BARS - 1 :]
    amount = sum(bar.amount for bar in others)
    return [*bars[: MOST_BARS - 1], _Bar(label=f"{len(others):,} others", amount=amount, shown=show(amount))]


def _draw_bars(name: str, description: str, bars: Sequence[_Bar]) -> Mapping[str, str]:
    """Lying bars, the first on top, each with its figure."""
    if not bars:
        return {}

    def drawing(axes: "Axes") -> None:
        places = range(len(bars))
        drawn = axes.barh(places, [bar.amount for bar in bars], color=ACCENT, height=0.68)
        axes.set_yticks(places, [_label(bar.label) for bar in bars], color=INK)
        axes.bar_label(drawn, [bar.shown for bar in bars], padding=5)
        axes.invert_yaxis()
        axes.margins(x=0.2)
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)

    return {name: draw_svg(name, description, 12 + 21 * len(bars), drawing)}


def _draw_sizes(sizes: Sequence[SizeClass]) -> Mapping[str, str]:
    if not sizes:
        return {}

    def drawing(axes: "Axes") -> None:
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - an extra

        places = range(len(sizes))
        axes.bar(places, [of.series for of in sizes], color=ACCENT, width=0.86)
        names = ["larger" if of.below_bytes is None else size_text(of.below_bytes) for of in sizes]
        step = max(1, len(sizes) // 8)
        axes.set_xticks(places[::step], names[::step], rotation=45, ha="right", rotation_mode="anchor")
        axes.set_xlabel("stored size of a series, less than")
        axes.set_ylabel("series")
        axes.set_xlim(-0.6, max(len(sizes), 4) - 0.4)
        axes.grid(axis="y")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.yaxis.set_major_formatter(lambda count, _position: f"{count:,.0f}")

    most = max(sizes, key=lambda of: of.series)
    where = "above all classes" if most.below_bytes is None else f"below {size_text(most.below_bytes)}"
    description = f"Histogram of the sizes of series: most, {most.series:,}, are in the class {where}. The table has all classes."
    return {"sizes": draw_svg("sizes", description, _LOW_POINTS + 20, drawing)}


def _draw_growth(summary: LibrarySummary, what: str) -> Mapping[str, str]:
    periods = summary.growth.periods
    if not periods:
        return {}
    of_bytes = what == "bytes"

    def total_of(period: GrowthPeriod) -> int:
        return period.total.stored_bytes if of_bytes else period.total.images

    def drawing(axes: "Axes") -> None:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num  # noqa: PLC0415 - an extra

        end_at = max(summary.made_at, periods[-1].began_at)
        shown_at = (periods[0].began_at, *(period.began_at for period in periods), end_at)
        moments = [float(date2num(at)) for at in shown_at]
        totals = [0, *map(total_of, periods), total_of(periods[-1])]
        axes.fill_between(moments, totals, step="post", color=ACCENT, alpha=0.16, linewidth=0)
        axes.step(moments, totals, where="post", color=ACCENT, linewidth=1.8)
        locator = AutoDateLocator(minticks=3, maxticks=6)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.margins(x=0.0)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        axes.locator_params(axis="y", nbins=5)
        axes.yaxis.set_major_formatter(lambda amount, _position: size_text(amount) if of_bytes else f"{amount:,.0f}")

    total = size_text(total_of(periods[-1])) if of_bytes else count_text(total_of(periods[-1]), "image")
    description = (
        f"Line of all stored {what} over time: growth from {periods[0].began_at:%Y-%m-%d} on to {total}. "
        "The table has all periods."
    )
    return {f"growth-{what}": draw_svg(f"growth-{what}", description, _LOW_POINTS, drawing)}


def _draw_runs(runs: Sequence[RunRecord]) -> Mapping[str, str]:
    shown = [run for run in runs if run.received_bytes][-MOST_RUNS:]
    if not shown:
        return {}

    def drawing(axes: "Axes") -> None:
        places = range(len(shown))
        axes.bar(places, [run.bytes_per_second for run in shown], color=ACCENT, width=0.8)
        labelled = places[:: -(-len(shown) // 8)]
        names = [f"{shown[place].started_at:%Y-%m-%d %H:%M}" for place in labelled]
        axes.set_xticks(labelled, names, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.6, max(len(shown), 6) - 0.4)
        axes.set_ylabel("received per second")
        axes.grid(axis="y")
        axes.locator_params(axis="y", nbins=5)
        axes.yaxis.set_major_formatter(lambda rate, _position: size_text(rate))

    fastest = max(shown, key=lambda run: run.bytes_per_second)
    description = (
        f"Bar chart of bytes received per second in {count_text(len(shown), 'run')}: the fastest took in "
        f"{size_text(fastest.bytes_per_second)} per second. The table has each run."
    )
    return {"runs": draw_svg("runs", description, _LOW_POINTS + 20, drawing)}


def _label(name: str) -> str:
    shown = printable(name) or "(none)"
    return shown if len(shown) <= _LONGEST_LABEL else f"{shown[: _LONGEST_LABEL - 1]}…"
