"""Small areas over time, one below the other: the same quantity for one queue after another."""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.report.figures.time_axis import HEIGHT, TimeAxis
from clusterwright.report.svg import (
    LINE_HEIGHT,
    Drawing,
    points,
    shortened,
    text_width,
)

_SMALLEST_WIDE = 600
_GAP = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """One strip."""

    name: str
    """What it is."""
    text: str
    """Its figures in words."""
    values: tuple[float, ...]
    """Its height in each step of time."""
    top: float
    """The height that fills it."""
    line: float = 0.0
    """What its height is held against; 0 for nothing."""


def draw(
    name: str,
    width: float,
    strips: Sequence[Strip],
    *,
    axis: TimeAxis,
    looks: tuple[str, str],
    legend: tuple[str, str, str],
    tall: float = 36.0,
) -> Drawing:
    """Return the strips.

    Parameters
    ----------
    name, width
        Identifier and width of the drawing.
    strips
        Strips from the top, all of one length in time.
    axis
        The axis of time.
    looks
        Classes of what lies below the line of a strip, and above.
    legend
        Words for the two and for the line; those that are empty are left out.
    tall
        Height of one strip, in pixels.
    """
    wide = width >= _SMALLEST_WIDE
    names = max((text_width(one.name) for one in strips), default=0)
    texts = max((text_width(one.text) for one in strips), default=0)
    left = min(150.0, names + 16) if wide else 0.0
    right = width - texts - 12 if wide else width
    above = 0.0 if wide else LINE_HEIGHT + 2
    places = _places(legend, width)
    top = (1.6 + 1.3 * places[-1][2] if places else 0.2) * LINE_HEIGHT
    height = top + (tall + _GAP + above) * len(strips) + HEIGHT
    drawing = Drawing(name, width=width, height=height)
    _legend(drawing, looks, legend, places)
    y = top
    for one in strips:
        y += above
        if wide:
            middle = y + tall / 2 + 4.5
            drawing.text(left - 10, middle, shortened(one.name, left - 12), anchor="end")
            drawing.text(right + 10, middle, one.text, look="muted")
        else:
            drawing.text(0, y - 5, shortened(one.name, width - text_width(one.text) - 8))
            drawing.text(width, y - 5, one.text, look="muted", anchor="end")
        _strip(drawing, one, (left, y, right - left, tall), looks)
        y += tall + _GAP
    axis.draw(drawing, left, right, y)
    return drawing


def _strip(
    drawing: Drawing, one: Strip, box: tuple[float, float, float, float], looks: tuple[str, str]
) -> None:
    left, top, wide, tall = box
    scale = tall / max(one.top, 1e-9)
    bottom = top + tall
    drawing.rect(left, top, wide, tall, look="ground", title=f"{one.name}: {one.text}")
    line = one.line or one.top
    below = [min(value, line) for value in one.values]
    drawing.path(_area(below, [0.0] * len(below), left, bottom, wide, scale), look=looks[0])
    if max(one.values, default=0.0) > line:
        over = [max(value, line) for value in one.values]
        drawing.path(_area(over, [line] * len(over), left, bottom, wide, scale), look=looks[1])
    if one.line:
        drawing.line(
            left, bottom - line * scale, left + wide, bottom - line * scale, look="limit dashed"
        )
    drawing.line(left, bottom, left + wide, bottom, look="axis")


def _area(
    high: Sequence[float],
    low: Sequence[float],
    left: float,
    bottom: float,
    wide: float,
    scale: float,
) -> str:
    """Return the commands of a staircase between two heights."""
    step = wide / max(1, len(high))
    way: list[tuple[float, float]] = []
    for heights in (high, low):
        stairs = [
            (left + step * (place + side), bottom - height * scale)
            for place, height in enumerate(heights)
            if not (0 < place < len(heights) - 1)
            or heights[place - 1] != height
            or heights[place + 1] != height
            for side in (0, 1)
        ]
        way += stairs if heights is high else stairs[::-1]
    return points(way, closed=True)


def _places(legend: tuple[str, str, str], width: float) -> list[tuple[int, float, int]]:
    """Return which words of a legend stand where: number, x and row."""
    found, x, row = [], 0.0, 0
    for number, text in enumerate(legend):
        need = text_width(text) + 30
        if text and x and x + need > width:
            x, row = 0.0, row + 1
        if text:
            found.append((number, x, row))
            x += need + 18
    return found


def _legend(
    drawing: Drawing,
    looks: tuple[str, str],
    legend: tuple[str, str, str],
    places: list[tuple[int, float, int]],
) -> None:
    for number, x, row in places:
        y = (row * 1.3 + 1) * LINE_HEIGHT - 5.0
        if number < len(looks):
            drawing.rect(x + 4.5, y - 10, 13, 13, look=looks[number])
        else:
            drawing.line(x, y - 4, x + 22, y - 4, look="limit dashed")
        drawing.text(x + 28, y + 1, legend[number])
