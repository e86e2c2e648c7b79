"""Candidates by cost and time on logarithmic axes, carbon as colour, numbered as in a table."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clusterwright.report import look
from clusterwright.report.svg import LINE_HEIGHT, Drawing, text_width

_RADIUS = 10.0
_SMALLEST_WIDE = 600
_STEPS = (1.0, 2.0, 5.0)
_FEW_MARKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A candidate."""

    number: str
    """Its number in the table."""
    name: str
    """Its name, for a direct label."""
    x: float
    """Above zero."""
    y: float
    """Above zero."""
    colour_value: float
    """What its colour shows."""
    feasible: bool
    """True for a disc, false for a square."""
    unbeaten: bool
    """True for a thick edge and a name."""
    taken: bool
    """True for a ring."""
    text: str
    """Its figures in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis: its title, how its marks are written, and the unit that they are round in."""

    title: str
    """Quantity."""
    show: Callable[[float], str]
    """Writes a mark."""
    unit: float
    """Marks are 1, 2, 5, 10 … times this."""


def draw(
    name: str,
    width: float,
    points: Sequence[Point],
    *,
    x_axis: Axis,
    y_axis: Axis,
    legend: Sequence[str],
    colours: tuple[str, str, str],
) -> Drawing:
    """Return the candidates.

    Parameters
    ----------
    name, width
        Identifier and width of the drawing.
    points
        Candidates, the most important first.
    x_axis, y_axis
        The axes.
    legend
        Words for a disc, a square, a thick edge and a ring.
    colours
        What the colour shows, and its least and greatest value in words.
    """
    wide = width >= _SMALLEST_WIDE
    left, right, top = 66.0, 16.0, 1.8 * LINE_HEIGHT
    tall = 380.0 if wide else 330.0
    bottom = top + tall
    rows = 2 if wide else 5
    drawing = Drawing(name, width=width, height=bottom + (rows + 3.4) * LINE_HEIGHT)
    to_x = _scale([one.x for one in points], left + 16, width - right - 16)
    to_y = _scale([one.y for one in points], bottom - 16, top + 16)
    drawing.text(0, LINE_HEIGHT - 2, y_axis.title, look="muted")
    for value in _marks([one.y for one in points], y_axis.unit):
        if top <= to_y(value) <= bottom:
            drawing.line(left, to_y(value), width - right, to_y(value), look="grid")
            drawing.text(left - 6, to_y(value) + 5, y_axis.show(value), look="muted", anchor="end")
    used = -math.inf
    for value in _marks([one.x for one in points], x_axis.unit):
        x, half = to_x(value), text_width(x_axis.show(value)) / 2
        if left <= x <= width - right and x - half > used + 8 and x + half <= width:
            drawing.line(x, top, x, bottom, look="grid")
            drawing.text(x, bottom + LINE_HEIGHT, x_axis.show(value), look="muted", anchor="middle")
            used = x + half
    drawing.text(
        (left + width - right) / 2,
        bottom + 2.2 * LINE_HEIGHT,
        x_axis.title,
        look="muted",
        anchor="middle",
    )
    _points(drawing, points, to_x, to_y, (left, width, bottom - 4))
    _legend(drawing, legend, colours, bottom + 3.2 * LINE_HEIGHT, width, wide=wide)
    return drawing


def _points(
    drawing: Drawing,
    points: Sequence[Point],
    to_x: Callable[[float], float],
    to_y: Callable[[float], float],
    area: tuple[float, float, float],
) -> None:
    least = min((one.colour_value for one in points), default=0.0)
    most = max((one.colour_value for one in points), default=1.0)
    boxes = [_box(to_x(one.x) - 11, to_y(one.y) - 11, 22, 22) for one in points]
    for one in reversed(points):
        share = (one.colour_value - least) / (most - least) if most > least else 0.5
        fill, x, y = look.in_sequence(share), to_x(one.x), to_y(one.y)
        edge = "thick" if one.unbeaten else "edge"
        if one.feasible:
            drawing.circle(x, y, _RADIUS, look=edge, fill=fill, title=f"{one.name}: {one.text}")
        else:
            drawing.rect(
                x - 9, y - 9, 18, 18, look=edge, fill=fill, title=f"{one.name}: {one.text}"
            )
        if one.taken:
            drawing.circle(x, y, _RADIUS + 4, look="ring")
        ink = "on-dark" if look.text_on(fill) == "#ffffff" else "on-light"
        drawing.text(x, y + 4.5, one.number, look=ink, anchor="middle")
    for one in points:
        if one.unbeaten or one.taken:
            _name(drawing, one, to_x(one.x), to_y(one.y), boxes, area)


def _name(
    drawing: Drawing,
    one: Point,
    x: float,
    y: float,
    boxes: list[tuple[float, ...]],
    area: tuple[float, float, float],
) -> None:
    wide = text_width(one.name)
    places = (
        (x + 17, y + 5, "start", x + 17),
        (x - 17, y + 5, "end", x - 17 - wide),
        (x, y - 17, "middle", x - wide / 2),
        (x, y + 27, "middle", x - wide / 2),
    )
    for text_x, base, anchor, start in places:
        box = _box(start, base - 12, wide, 15)
        left, right, bottom = area
        fits = start >= left and start + wide <= right and base <= bottom
        if fits and not any(_overlap(box, other) for other in boxes):
            drawing.text(text_x, base, one.name, anchor=anchor, look="strong" if one.taken else "")
            boxes.append(box)
            return


def _legend(
    drawing: Drawing,
    legend: Sequence[str],
    colours: tuple[str, str, str],
    top: float,
    width: float,
    *,
    wide: bool,
) -> None:
    x, y = 0.0, top
    for place, text in enumerate(legend):
        need = 24 + text_width(text) + 22
        if x and x + need > width:
            x, y = 0.0, y + LINE_HEIGHT + 3
        centre = x + 10
        if place == 1:
            drawing.rect(centre - 7, y - 7, 14, 14, look="quiet edge")
        elif place == len(legend) - 1:
            drawing.circle(centre, y, 8, look="ring")
        else:
            drawing.circle(centre, y, 7, look="quiet edge" if place == 0 else "quiet thick")
        drawing.text(x + 24, y + 4.5, text)
        x += need
    title, least, most = colours
    x, y = 0.0, y + LINE_HEIGHT + 7
    start = text_width(title) + 12 if wide else 0.0
    drawing.text(x, y + 4.5, title)
    y += 0 if wide else LINE_HEIGHT
    drawing.text(start, y + 4.5, least, look="muted")
    start += text_width(least) + 8
    for place, colour in enumerate(look.SEQUENCE):
        drawing.rect(start + place * 14, y - 7, 14, 14, look="", fill=colour)
    drawing.text(start + 14 * len(look.SEQUENCE) + 8, y + 4.5, most, look="muted")


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    low, high = math.log(min(values)), math.log(max(values))
    if high - low < 1e-9:
        low, high = low - 1, high + 1
    return lambda value: start + (math.log(value) - low) / (high - low) * (end - start)


def _marks(values: Sequence[float], unit: float) -> list[float]:
    low, high = min(values), max(values)
    first, last = math.floor(math.log10(low / unit)), math.ceil(math.log10(high / unit))
    coarse = [step * unit * 10.0**power for power in range(first, last + 1) for step in _STEPS]
    inside = [value for value in coarse if low * 0.9 <= value <= high * 1.1]
    if len(inside) >= _FEW_MARKS:
        return inside
    fine = [n * unit * 10.0**power for power in range(first, last + 1) for n in range(1, 10)]
    return [value for value in fine if low * 0.9 <= value <= high * 1.1]


def _box(x: float, y: float, width: float, height: float) -> tuple[float, ...]:
    return (x, y, x + width, y + height)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
