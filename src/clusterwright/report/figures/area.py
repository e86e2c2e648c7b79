"""Stacked areas over time: who uses how much of what there is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clusterwright.report.numbers import positions
from clusterwright.report.svg import LINE_HEIGHT, Drawing, points, text_width

_MOST_STEPS = 240  # more would be narrower than a pixel or two; hours are then averaged
_SMALLEST_WIDE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer, from the bottom up."""

    name: str
    """What it is."""
    values: tuple[float, ...]
    """Its height in every hour."""
    colour: str
    """Token of its colour; empty for what is left of the whole."""


def steps(hours: int) -> int:
    """Return how many hours are averaged into one step of the picture."""
    return max(1, -(-hours // _MOST_STEPS))


def draw(
    name: str,
    width: float,
    layers: Sequence[Layer],
    *,
    axes: tuple[str, str],
    show: Callable[[float], str],
    day: Callable[[int], str],
) -> Drawing:
    """Return the layers over time.

    Parameters
    ----------
    name, width
        Identifier and width of the drawing.
    layers
        Layers from the bottom up, all of one length in hours.
    axes
        Titles of the axis of time and of the other.
    show
        Writes a mark of the other axis.
    day
        Writes the name of a day, counted from 0.
    """
    wide = width >= _SMALLEST_WIDE
    hours = max((len(one.values) for one in layers), default=0)
    each = steps(hours)
    heights = [_averaged(one.values, each) for one in layers]
    count = max((len(row) for row in heights), default=0)
    whole = max((sum(row[i] for row in heights if i < len(row)) for i in range(count)), default=1.0)
    left, top, tall = 58.0, 1.8 * LINE_HEIGHT, 240.0 if wide else 200.0
    bottom, right = top + tall, width - 10.0
    legend = _legend_rows(layers, width)
    drawing = Drawing(name, width=width, height=bottom + (2.6 + 1.3 * legend) * LINE_HEIGHT)
    ticks = positions(whole, 4)
    most = max(whole, 1e-9)
    drawing.text(0, LINE_HEIGHT - 2, axes[1], look="muted")
    x_at = [left + (right - left) * i / max(count, 1) for i in range(count + 1)]
    floor = [0.0] * count
    for one, row in zip(layers, heights, strict=True):
        ceiling = [low + high for low, high in zip(floor, row, strict=True)]
        outline = _stairs(x_at, ceiling, bottom, tall / most)
        outline += list(reversed(_stairs(x_at, floor, bottom, tall / most)))
        drawing.path(points(outline, closed=True), look=_look(one), title=one.name)
        floor = ceiling
    for tick in ticks:
        if tick <= most * 1.001:
            y = bottom - tick * tall / most
            drawing.line(left - 4, y, left, y, look="axis")
            drawing.text(left - 8, y + 4.5, show(tick), look="muted", anchor="end")
    drawing.line(left, bottom, right, bottom, look="axis")
    _days(drawing, hours, left, right, bottom, day)
    drawing.text(
        (left + right) / 2, bottom + 2.2 * LINE_HEIGHT, axes[0], look="muted", anchor="middle"
    )
    _legend(drawing, layers, bottom + 3.3 * LINE_HEIGHT, width)
    return drawing


def _averaged(values: Sequence[float], each: int) -> list[float]:
    return [
        sum(values[i : i + each]) / len(values[i : i + each]) for i in range(0, len(values), each)
    ]


def _stairs(
    x_at: Sequence[float], heights: Sequence[float], bottom: float, scale: float
) -> list[tuple[float, float]]:
    outline: list[tuple[float, float]] = []
    for place, height in enumerate(heights):
        y = bottom - height * scale
        outline += [(x_at[place], y), (x_at[place + 1], y)]
    return outline


def _days(
    drawing: Drawing,
    hours: int,
    left: float,
    right: float,
    bottom: float,
    day: Callable[[int], str],
) -> None:
    days = hours / 24
    room = (right - left) / max(days, 1)
    need = text_width(day(max(int(days), 1))) + 14
    every = next((n for n in (1, 2, 5, 7, 10, 30, 60, 90) if n * room >= need), 365)
    for number in range(0, int(days) + 1, every):
        x = left + (right - left) * number / max(days, 1e-9)
        if number >= days and number:
            break
        drawing.line(x, bottom, x, bottom + 4, look="axis")
        anchor = "end" if x + need / 2 > right else "middle" if number else "start"
        drawing.text(x, bottom + LINE_HEIGHT + 2, day(number), look="muted", anchor=anchor)


def _look(one: Layer) -> str:
    return one.colour or "track"


def _legend_rows(layers: Sequence[Layer], width: float) -> int:
    rows, x = 1, 0.0
    for one in layers:
        need = text_width(one.name) + 42
        if x and x + need > width:
            rows, x = rows + 1, 0.0
        x += need
    return rows


def _legend(drawing: Drawing, layers: Sequence[Layer], top: float, width: float) -> None:
    x, y = 0.0, top
    for one in layers:
        need = text_width(one.name) + 42
        if x and x + need > width:
            x, y = 0.0, y + 1.3 * LINE_HEIGHT
        drawing.rect(x, y - 10, 13, 13, look=_look(one))
        drawing.text(x + 19, y + 1, one.name)
        x += need
