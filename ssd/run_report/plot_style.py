"""One look for all figures, names in any script, and figures as bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ssd.visualize import WIDE_FONTS, class_color

INK, SOFT, LINE = "#1f2430", "#667085", "#d9dde4"
BLUE, ORANGE, GREEN, RED, VIOLET = "#2563eb", "#e8710a", "#0a8f5b", "#d92d4b", "#7c4dff"
_SETTINGS: Any = {
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$5"
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eceff3",
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.1,
    "legend.frameon": False,
    "legend.fontsize": 9,
}
WIDTH = 6.2  # inches of a figure: two fit into a row of the page
_DOTS_PER_INCH = 180
_MAX_NAME = 26


@contextmanager
def styled() -> Iterator[None]:
    """Figures made inside of the block have the report's look."""
    with matplotlib.rc_context({**_SETTINGS, "font.family": _families()}):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure, inches, that draws with Agg and belongs to nobody else."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """Returns the figure as a PNG."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # Letters that no installed font has are drawn as frames.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(stream, format="png", dpi=_DOTS_PER_INCH)
    return stream.getvalue()


def color_of(class_index: int) -> str:
    """Returns the "#rrggbb" that the class has in pictures, darker where white would hide it."""
    red, green, blue = (value / 255 for value in class_color(class_index))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    share = min(1.0, 0.62 / luminance) if luminance else 1.0
    return "#" + "".join(f"{round(value * share * 255):02x}" for value in (red, green, blue))


def short(name: str) -> str:
    """Returns a name that fits a legend, in one line."""
    text = " ".join(name.split())
    return text if len(text) <= _MAX_NAME else text[: _MAX_NAME - 1] + "…"


def legend(axes: Any, **settings: Any) -> None:
    """Adds a legend where there is something to name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**settings)


def empty(axes: Any, text: str) -> None:
    """Says in the middle of the axes why there is nothing to see."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=SOFT)
    axes.set(xticks=[], yticks=[])


def _families() -> list[str]:
    """DejaVu Sans, then what is installed of the fonts with more scripts, tried per letter."""
    installed = {Path(entry.fname).name: entry.name for entry in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(installed[name] for name in WIDE_FONTS if name in installed)]
