"""The network planes side by side: switch levels as rows, their links bundled and counted."""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.report.svg import LINE_HEIGHT, Drawing, shortened, text_width

_MOST_BOXES = 8  # of one level; more would only blacken the picture
_LEVEL = 92.0
_BOX = 14.0
_GAP = 26.0
_SMALLEST_WIDE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Switches of one level, and the links below them."""

    text: str
    """How many, of which kind."""
    num_switches: int
    """How many."""
    links_below: str
    """The links to the level below, counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One plane."""

    title: str
    """Name of the plane."""
    topology: str
    """What it is, in words."""
    colour: str
    """Token of its colour."""
    levels: tuple[Level, ...]
    """Levels from the top."""
    devices: tuple[str, ...]
    """What hangs on it, a line each."""


def draw(name: str, width: float, panels: Sequence[Panel]) -> Drawing:
    """Return the planes, side by side where there is room, else one above the other."""
    wide = width >= _SMALLEST_WIDE
    deepest = max((len(panel.levels) for panel in panels), default=0)
    lines = max((len(panel.devices) for panel in panels), default=0)
    if wide:
        each = (width - _GAP * (len(panels) - 1)) / max(len(panels), 1)
        drawing = Drawing(name, width=width, height=_height(deepest, lines))
        for place, panel in enumerate(panels):
            _panel(drawing, panel, place * (each + _GAP), 0.0, each, deepest)
        return drawing
    heights = [_height(len(panel.levels), len(panel.devices)) for panel in panels]
    drawing = Drawing(name, width=width, height=sum(heights) + _GAP * (len(panels) - 1))
    top = 0.0
    for panel, height in zip(panels, heights, strict=True):
        _panel(drawing, panel, 0.0, top, width, len(panel.levels))
        top += height + _GAP
    return drawing


def _height(levels: int, lines: int) -> float:
    return 2.6 * LINE_HEIGHT + levels * _LEVEL + (lines + 0.8) * LINE_HEIGHT


def _panel(
    drawing: Drawing, panel: Panel, left: float, top: float, width: float, deepest: int
) -> None:
    drawing.text(left, top + LINE_HEIGHT, panel.title, look="strong")
    drawing.text(left, top + 2 * LINE_HEIGHT, shortened(panel.topology, width), look="muted")
    y = top + 2.6 * LINE_HEIGHT + (deepest - len(panel.levels)) * _LEVEL
    for place, level in enumerate(panel.levels):
        box_top = y + LINE_HEIGHT + 4
        below = y + _LEVEL + LINE_HEIGHT + 4
        last = place == len(panel.levels) - 1
        lower = (
            _centres(left, width, 2 * _drawn(level.num_switches))
            if last
            else _centres(left, width, _drawn(panel.levels[place + 1].num_switches))
        )
        upper = _centres(left, width, _drawn(level.num_switches))
        end = y + _LEVEL if last else below
        _bundle(drawing, upper, lower, box_top + _BOX, end, tree=last)
        plate = min(text_width(level.text) + 6, width)
        drawing.rect(left - 3, y, plate, LINE_HEIGHT + 3, look="surface", radius=3)
        drawing.text(left, y + LINE_HEIGHT - 2, shortened(level.text, width))
        for x in upper:
            drawing.rect(x - 11, box_top, 22, _BOX, look=f"{panel.colour} edge", radius=2)
        middle = (box_top + _BOX + end) / 2
        half = text_width(level.links_below) / 2 + 6
        drawing.rect(left + width / 2 - half, middle - 10, 2 * half, 20, look="surface", radius=4)
        drawing.text(left + width / 2, middle + 5, level.links_below, anchor="middle")
        y += _LEVEL
    drawing.rect(left, y, width, (len(panel.devices) + 0.6) * LINE_HEIGHT, look="track", radius=3)
    for row, line in enumerate(panel.devices, start=1):
        drawing.text(left + 8, y + row * LINE_HEIGHT, shortened(line, width - 16))


def _drawn(count: int) -> int:
    return min(count, _MOST_BOXES)


def _centres(left: float, width: float, count: int) -> list[float]:
    step = width / max(count, 1)
    return [left + step * (place + 0.5) for place in range(count)]


def _bundle(
    drawing: Drawing,
    upper: Sequence[float],
    lower: Sequence[float],
    top: float,
    bottom: float,
    *,
    tree: bool,
) -> None:
    commands = []
    for number, x in enumerate(upper):
        ends = lower[2 * number : 2 * number + 2] if tree else lower
        commands += [f"M{x:.1f} {top:.1f}L{end:.1f} {bottom:.1f}" for end in ends]
    drawing.path("".join(commands), look="link")
