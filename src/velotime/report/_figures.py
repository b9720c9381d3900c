"""The page's four figures as bokeh has them: axes, glyphs and empty sources, which the page's scripts fill by name."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, HoverTool, Range1d
from bokeh.plotting import figure

from velotime.pl._canvas.axes import PHASE_LABEL, TIME_LABEL
from velotime.report._cells import CellFacts

INK, FAINT = "#3c4650", "#e6e9ec"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
CURVE, CELLS = ("xs", "ys", "color"), ("x", "y", "color")


def figures(cells: CellFacts, values: str) -> dict[str, Any]:
    """JSON of each figure by name; what it draws comes from the sources ``<name>_cells`` and the like.

    ``values`` says what is drawn of a gene: "counts at size factor 1".
    """
    return _labelled(tuple(cells.axes), _time_label(cells), values)


@lru_cache(maxsize=4)
def _labelled(axes: tuple[str, ...], time_label: str, values: str) -> dict[str, Any]:
    """Once for each set of labels, all that they depend on: a page is rendered twice, first to see how large it is."""
    return {
        "map": json_item(_map(axes)),
        "portrait": json_item(_portrait(values)),
        "unspliced": json_item(_along("unspliced", "")),
        "spliced": json_item(_along("spliced", time_label)),
    }


def _time_label(cells: CellFacts) -> str:
    if cells.hours:
        return f"{cells.time_words} ({cells.unit})"
    return PHASE_LABEL if cells.goes_round else TIME_LABEL


def _source(name: str, columns: tuple[str, ...]) -> ColumnDataSource:
    return ColumnDataSource({column: [] for column in columns}, name=name)


def _figure(name: str, height: int, x_label: str, y_label: str) -> Any:
    x_range, y_range = (Range1d(0, 1, name=f"{name}_{axis}") for axis in "xy")
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        x_range=x_range,
        y_range=y_range,
        tools="pan,box_zoom,wheel_zoom,reset,save",
        active_drag=None,  # a page that is scrolled or swiped must not pan a plot
        active_scroll=None,
        toolbar_location="above",
        x_axis_label=x_label,
        y_axis_label=y_label,
        name=name,
        min_border=8,
    )
    plot.toolbar.logo, plot.toolbar.autohide = None, True
    plot.outline_line_color = None
    plot.grid.grid_line_color = FAINT
    plot.axis.axis_line_color = plot.axis.major_tick_line_color = "#9aa5b1"
    plot.axis.minor_tick_line_color = None
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.axis_label_text_font = plot.axis.major_label_text_font = FONT
    plot.axis.axis_label_text_font_size, plot.axis.major_label_text_font_size = "13px", "12px"
    plot.axis.axis_label_text_color = plot.axis.major_label_text_color = INK
    return plot


def _map(axes: tuple[str, ...]) -> Any:
    plot = _figure("map", 480, *axes)
    drawn = plot.scatter(
        "x",
        "y",
        color="color",
        size="size",
        line_color=None,
        source=_source("map_cells", (*CELLS, "size", "name", "says")),
    )
    plot.add_tools(
        HoverTool(renderers=[drawn], tooltips=[("cell", "@name"), ("", "@says")], point_policy="follow_mouse")
    )
    plot.grid.grid_line_color = None
    plot.axis.major_tick_line_color = plot.axis.major_label_text_color = None  # units of an embedding mean nothing
    return plot


def _portrait(values: str) -> Any:
    plot = _figure("portrait", 420, f"spliced ({values})", f"unspliced ({values})")
    _cells_of(plot, "portrait")
    _fit_of(plot, "portrait")
    return plot


def _along(name: str, x_label: str) -> Any:
    """One of the two, one above the other: only the lower names their common axis."""
    plot = _figure(name, 225 if x_label else 200, x_label, name)
    plot.min_border_left = 64  # so that both begin at the same line
    _cells_of(plot, name)
    plot.patches("xs", "ys", color="color", alpha=0.22, line_color=None, source=_source(f"{name}_bands", CURVE))
    _fit_of(plot, name)
    plot.multi_line("xs", "ys", color="color", line_width=1, source=_source(f"{name}_errors", CURVE))
    plot.scatter("x", "y", line_color="color", color="white", size=5, source=_source(f"{name}_means", CELLS))
    return plot


def _cells_of(plot: Any, name: str) -> None:
    plot.scatter(
        "x",
        "y",
        color="color",
        alpha=0.55,
        size="size",
        line_color=None,
        source=_source(f"{name}_cells", (*CELLS, "size")),
    )


def _fit_of(plot: Any, name: str) -> None:
    """Curves on a white edge, so that they are seen on the cells, and diamonds at their switches."""
    curves = _source(f"{name}_curves", CURVE)
    plot.multi_line("xs", "ys", color="white", line_width=4.5, alpha=0.8, source=curves)
    plot.multi_line("xs", "ys", color="color", line_width=2.2, source=curves)
    plot.scatter(
        "x",
        "y",
        marker="diamond",
        size=12,
        color="color",
        line_color="white",
        source=_source(f"{name}_switches", CELLS),
    )
