"""Horizontal bars from zero, with the figure beside each; and bars to both sides of a middle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clusterwright.report.numbers import positions
from clusterwright.report.svg import LINE_HEIGHT, Drawing, shortened, text_width

_BAR = 15.0
_SMALLEST_WIDE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A row."""

    name: str
    """What it is."""
    value: float
    """Its length; for bars to both sides, what lies right of the middle."""
    text: str
    """Its figure in words."""
    colour: str = "blue"
    """Token of its colour."""
    below: float = 0.0
    """What lies left of the middle, as a positive number."""


def draw(
    name: str, width: float, bars: Sequence[Bar], *, axis: str, show: Callable[[float], str]
) -> Drawing:
    """Return bars at a width.

    Parameters
    ----------
    name, width
        Identifier and width of the drawing.
    bars
        Rows from the top.
    axis
        Quantity and unit.
    show
        Writes a mark of the axis.
    """
    wide = width >= _SMALLEST_WIDE
    left = min(280.0, max((text_width(one.name) for one in bars), default=0) + 14) if wide else 0.0
    right = (
        min(220.0, max((text_width(one.text) for one in bars), default=0) + 14) if wide else 20.0
    )
    least = max((one.below for one in bars), default=0.0)
    if least and not wide:
        left = 26.0  # half the width of the mark furthest to the left
    most = max([one.value for one in bars], default=0.0) or 1.0
    step = 26.0 if wide else 44.0
    bottom = 6 + step * len(bars)
    drawing = Drawing(name, width=width, height=bottom + 2.5 * LINE_HEIGHT)
    scale = (width - left - right) / (most + least)
    zero = left + least * scale
    ticks = [tick for tick in positions(most, 5 if wide else 2) if tick <= most * 1.001]
    ticks += [-tick for tick in positions(least, 5 if wide else 2) if 0 < tick <= least * 1.001]
    for tick in ticks:
        x = zero + tick * scale
        drawing.line(x, 4, x, bottom, look="axis" if tick == 0 else "grid")
        drawing.text(
            x,
            bottom + LINE_HEIGHT,
            show(tick),
            look="muted",
            anchor="middle" if left + least or tick else "start",
        )
    drawing.text(
        left + (width - left - right) / 2,
        bottom + 2.2 * LINE_HEIGHT,
        axis,
        look="muted",
        anchor="middle",
    )
    for row, one in enumerate(bars):
        top = 6 + row * step
        bar = top + 5 if wide else top + LINE_HEIGHT + 5
        start = zero - one.below * scale
        drawing.rect(
            start,
            bar,
            (one.below + one.value) * scale,
            _BAR,
            look=f"{one.colour} edge",
            title=f"{one.name}: {one.text}",
        )
        if wide:
            drawing.text(left - 10, bar + 12, shortened(one.name, left - 12), anchor="end")
            drawing.text(zero + one.value * scale + 8, bar + 12, one.text)
        else:
            room = width - text_width(one.text) - 8
            drawing.text(0, top + LINE_HEIGHT, shortened(one.name, room))
            drawing.text(width, top + LINE_HEIGHT, one.text, anchor="end", look="muted")
    return drawing
