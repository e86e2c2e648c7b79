"""Percentiles on one axis: a median, and how far the tail reaches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clusterwright.report.numbers import positions
from clusterwright.report.svg import LINE_HEIGHT, Drawing, shortened, text_width

_SMALLEST_WIDE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A row."""

    name: str
    """What it is."""
    marks: tuple[float, float, float]
    """Median, 95th and 99th percentile."""
    text: str
    """The three in words."""
    colour: str
    """Token of its colour."""


def draw(
    name: str,
    width: float,
    rows: Sequence[Spread],
    *,
    axis: str,
    legend: tuple[str, str, str],
    unit: float,
    show: Callable[[float], str],
) -> Drawing:
    """Return percentiles at a width; the axis begins at zero.

    Parameters
    ----------
    name, width
        Identifier and width of the drawing.
    rows
        Rows from the top.
    axis
        Title of the axis.
    legend
        Words for the three marks.
    unit
        Marks of the axis are round in this unit.
    show
        Writes a mark.
    """
    wide = width >= _SMALLEST_WIDE
    left = min(200.0, max((text_width(one.name) for one in rows), default=0) + 14) if wide else 0.0
    right = min(300.0, max((text_width(one.text) for one in rows), default=0) + 20) if wide else 12
    top = 1.8 * LINE_HEIGHT
    step = 30.0 if wide else 50.0
    bottom = top + step * len(rows)
    most = max([mark for one in rows for mark in one.marks], default=0.0) or unit
    scale = (width - left - right) / most
    drawing = Drawing(name, width=width, height=bottom + 2.5 * LINE_HEIGHT)
    _legend(drawing, legend)
    for place in positions(most / unit, 4 if wide else 3):
        x = left + place * unit * scale
        if place * unit <= most * 1.001:
            drawing.line(x, top, x, bottom, look="axis" if place == 0 else "grid")
            anchor = "start" if place == 0 else "middle" if x < width - 30 else "end"
            drawing.text(x, bottom + LINE_HEIGHT, show(place * unit), look="muted", anchor=anchor)
    drawing.text(
        (left + width - right) / 2, bottom + 2.2 * LINE_HEIGHT, axis, look="muted", anchor="middle"
    )
    for number, one in enumerate(rows):
        y = top + number * step + (step / 2 if wide else 34)
        at = [left + mark * scale for mark in one.marks]
        drawing.line(at[0], y, at[2], y, look="limit")
        drawing.line(at[2], y - 7, at[2], y + 7, look="limit")
        drawing.rect(at[1] - 5, y - 5, 10, 10, look=f"{one.colour} edge", title=one.text)
        drawing.circle(at[0], y, 6, look=f"{one.colour} edge", title=one.text)
        if wide:
            drawing.text(left - 12, y + 4.5, shortened(one.name, left - 14), anchor="end")
            drawing.text(width, y + 4.5, one.text, look="muted", anchor="end")
        else:
            drawing.text(0, y - 17, shortened(one.name, width - text_width(one.text) - 8))
            drawing.text(width, y - 17, one.text, look="muted", anchor="end")
    return drawing


def _legend(drawing: Drawing, legend: tuple[str, str, str]) -> None:
    x, y = 6.0, LINE_HEIGHT - 5.0
    for place, text in enumerate(legend):
        if place == 0:
            drawing.circle(x, y, 6, look="quiet edge")
        elif place == 1:
            drawing.rect(x - 5, y - 5, 10, 10, look="quiet edge")
        else:
            drawing.line(x, y - 7, x, y + 7, look="limit")
        drawing.text(x + 11, y + 4.5, text)
        x += text_width(text) + 40
