"""Plots of matplotlib as SVG elements of a page: in the page's font, in colours that the page decides."""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# stand-ins that no plot uses otherwise; the page's style sheet knows what they mean by day and by night
INK: Final = "#010203"
QUIET: Final = "#020304"
ACCENT: Final = "#040506"
GRID: Final = "#070809"
_COLOURS: Final = ((INK, "var(--ink)"), (QUIET, "var(--quiet)"), (ACCENT, "var(--accent)"), (GRID, "var(--line)"))
_POINTS_PER_INCH: Final = 72
_WIDTH_POINTS: Final = 380
_REFERENCE: Final = re.compile(r"url\(#")
_FONT_FAMILY: Final = re.compile(r"font-family:[^;]*;?")
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tciad",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": GRID,
    "axes.labelcolor": QUIET,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "figure.facecolor": "none",
}


def draw_svg(name: str, description: str, height_points: float, drawing: "Callable[[Axes], None]") -> str:
    """What `drawing` puts on the axes, as an `svg` element that fits any width. Blocks.

    Args:
        name: unique on the page.
        description: text for readers who cannot see the plot.
        height_points: its height at 380 points of width.
        drawing: draws.
    """
    # matplotlib takes half a second to import, which only the page is to pay
    from matplotlib import rc_context, rcdefaults, rcParams  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with rc_context(), warnings.catch_warnings():
        # whatever this user's own matplotlibrc says
        rcdefaults()
        rcParams.update(_STYLE)
        # the reader's browser chooses the font: what matplotlib's own cannot draw is no matter
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        size_inches = (_WIDTH_POINTS / _POINTS_PER_INCH, height_points / _POINTS_PER_INCH)
        figure = Figure(figsize=size_inches, layout="constrained")
        drawing(figure.add_subplot())
        return _embed(figure, name, description)


def _embed(figure: "Figure", name: str, description: str) -> str:
    """The figure without declaration and metadata, with names of its own, and in the page's colours."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    root = ET.fromstring(written.getvalue())  # noqa: S314 - just written by matplotlib, which escapes texts
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(key): _adapt(_local(key), value, name) for key, value in element.attrib.items()}
        for child in list(element):
            if _local(child.tag) in {"metadata", "style"}:
                element.remove(child)
    view_box = root.attrib["viewBox"]
    root.attrib = {"viewBox": view_box, "role": "img", "aria-label": description}
    return ET.tostring(root, encoding="unicode")


def _local(tag: str) -> str:
    """A name without its namespace: HTML knows those of SVG by itself (HTML §13.2.6.5)."""
    return tag.rpartition("}")[2]


def _adapt(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return value.replace("#", f"#{name}-", 1)
    for stand_in, colour in _COLOURS:
        value = value.replace(stand_in, colour)
    return _FONT_FAMILY.sub("", _REFERENCE.sub(f"url(#{name}-", value))
