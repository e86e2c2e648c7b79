"""The data's way as one line: from where it arrives, over the tiers, to the accelerators."""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.report.svg import LINE_HEIGHT, Drawing, points, shortened

_ARROW = 84.0
_SMALLEST_WIDE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A place where data rests."""

    arriving: str
    """What flows in, in words; empty to draw no arrow."""
    title: str
    """Name of the place."""
    lines: tuple[str, ...]
    """Its figures, a line each."""
    colour: str
    """Token of its colour."""


def draw(name: str, width: float, stations: Sequence[Station]) -> Drawing:
    """Return the way from left to right, or from top to bottom where it is narrow."""
    lines = max((len(one.lines) for one in stations), default=0)
    tall = (lines + 1.9) * LINE_HEIGHT
    if width >= _SMALLEST_WIDE:
        each = (width - _ARROW * len(stations)) / max(len(stations), 1)
        drawing = Drawing(name, width=width, height=tall + 4)
        for place, one in enumerate(stations):
            left = _ARROW + place * (each + _ARROW)
            if one.arriving:
                _arrow(drawing, (left - _ARROW + 4, tall / 2), (left - 4, tall / 2))
                drawing.text(
                    left - _ARROW / 2 - 2,
                    tall / 2 - 10,
                    shortened(one.arriving, _ARROW),
                    anchor="middle",
                )
            _station(drawing, one, left, 2.0, each, tall - 4)
        return drawing
    step = tall + 40
    drawing = Drawing(name, width=width, height=step * len(stations))
    for place, one in enumerate(stations):
        top = place * step + 38
        if one.arriving:
            _arrow(drawing, (24, top - 34), (24, top - 4))
            drawing.text(36, top - 14, one.arriving)
        _station(drawing, one, 0.5, top, width - 1, tall - 4)
    return drawing


def _station(
    drawing: Drawing, one: Station, left: float, top: float, width: float, height: float
) -> None:
    drawing.rect(left, top, width, height, look="track", radius=4)
    drawing.rect(left, top, 5, height, look=one.colour)
    drawing.text(left + 14, top + LINE_HEIGHT + 2, shortened(one.title, width - 20), look="strong")
    for row, line in enumerate(one.lines, start=2):
        drawing.text(left + 14, top + row * LINE_HEIGHT + 2, shortened(line, width - 20))


def _arrow(drawing: Drawing, start: tuple[float, float], end: tuple[float, float]) -> None:
    drawing.line(*start, *end, look="limit")
    x, y = end
    if start[1] == end[1]:
        head = [(x, y), (x - 8, y - 5), (x - 8, y + 5)]
    else:
        head = [(x, y), (x - 5, y - 8), (x + 5, y - 8)]
    drawing.path(points(head, closed=True), look="head")
