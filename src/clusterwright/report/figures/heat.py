"""A heat map of rows over time: how much of each is in use, and where something is lost."""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.report.figures.time_axis import HEIGHT, TimeAxis
from clusterwright.report.svg import LINE_HEIGHT, Drawing, boxes, shortened, text_width

LEVELS = 8
"""Steps of the colour; the style sheet has a class for each, `heat1` to `heat8`."""
_SMALLEST_WIDE = 600
_TALL = 470.0  # px; of all rows together, where their number lets it be
_GAP = 6.0
_THIN = 1.2  # px; what is lost stays visible however little of a row it is
_FAINT = 1e-3  # a share below that is nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Rows under one name."""

    name: str
    """What they are."""
    note: str
    """How many of what."""
    used: tuple[tuple[float, ...], ...]
    """Share in use of each row in each step of time."""
    lost: tuple[tuple[float, ...], ...]
    """Share lost, likewise."""


def draw(
    name: str, width: float, bands: Sequence[Band], *, axis: TimeAxis, legend: tuple[str, str]
) -> Drawing:
    """Return the heat map.

    Parameters
    ----------
    name, width
        Identifier and width of the drawing.
    bands
        Bands from the top, all of one length in time.
    axis
        The axis of time; the steps divide it evenly but for the last.
    legend
        Words for the share in use and for what is lost; without the latter nothing is.
    """
    wide = width >= _SMALLEST_WIDE
    left = min(
        150.0 if wide else 104.0,
        max((max(text_width(one.name), text_width(one.note)) for one in bands), default=0) + 16,
    )
    row = min(14.0, max(2.0, _TALL / max(1, sum(len(one.used) for one in bands))))
    heights = [max(row * len(one.used), LINE_HEIGHT + 1.0) for one in bands]
    top = 2.0 * LINE_HEIGHT
    bottom = top + sum(heights) + _GAP * len(bands)
    drawing = Drawing(name, width=width, height=bottom + HEIGHT)
    _legend(drawing, legend, 14.0 if wide else 8.0)
    y = top
    for band, height in zip(bands, heights, strict=True):
        _band(drawing, band, (left, y, width - left, height))
        y += height + _GAP
    axis.draw(drawing, left, width, bottom)
    return drawing


def _band(drawing: Drawing, band: Band, box: tuple[float, float, float, float]) -> None:
    """Draw one band into a box, its name on the left of it."""
    left, top, wide, tall = box
    middle = top + min(tall, 3.0 * LINE_HEIGHT) / 2
    two = tall > 2 * LINE_HEIGHT
    drawing.text(
        left - 8, middle + (-3 if two else 4.5), shortened(band.name, left - 10), anchor="end"
    )
    if two:
        drawing.text(left - 8, middle + LINE_HEIGHT - 3, band.note, look="muted", anchor="end")
    drawing.rect(left, top, wide, tall, look="ground", title=f"{band.name}: {band.note}")
    row = tall / max(1, len(band.used))
    cells: list[list[tuple[float, float, float, float]]] = [[] for _ in range(LEVELS)]
    lost: list[tuple[float, float, float, float]] = []
    for number, (used, gone) in enumerate(zip(band.used, band.lost, strict=True)):
        y = top + number * row
        step = wide / max(1, len(used))
        levels = [min(LEVELS, int(share * LEVELS + 0.5)) for share in used]
        levels = [
            max(level, 1) if share > _FAINT else 0
            for level, share in zip(levels, used, strict=True)
        ]
        for level, first, last in _runs(levels):
            cells[level - 1].append((left + first * step, y, (last - first) * step, row))
        for place, first, last in _runs([1 if share > _FAINT else 0 for share in gone]):
            share = max(gone[first:last]) * place
            thick = max(_THIN, row * 0.8 * min(1.0, share))
            lost.append((left + first * step, y + (row - thick) / 2, (last - first) * step, thick))
    for level, found in enumerate(cells, start=1):
        if found:
            drawing.path(boxes(found), look=f"cell heat{level}")
    if lost:
        drawing.path(boxes(lost), look="cell red")


def _runs(levels: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return stretches of one level other than zero: level, first step, step after the last."""
    found = []
    first = 0
    for place in range(1, len(levels) + 1):
        if place == len(levels) or levels[place] != levels[first]:
            if levels[first]:
                found.append((levels[first], first, place))
            first = place
    return found


def _legend(drawing: Drawing, legend: tuple[str, str], each: float) -> None:
    x, y = 0.0, LINE_HEIGHT - 4.0
    drawing.text(x, y, legend[0])
    x += text_width(legend[0]) + 12
    drawing.text(x, y, "0 %", look="muted")
    x += text_width("0 %") + 6
    drawing.rect(x, y - 11, each * (LEVELS + 1), 13, look="ground")
    for level in range(1, LEVELS + 1):
        drawing.rect(x + each * level, y - 11, each, 13, look=f"cell heat{level}")
    x += each * (LEVELS + 1) + 6
    drawing.text(x, y, "100 %", look="muted")
    if legend[1]:
        x += text_width("100 %") + 18
        drawing.rect(x, y - 6.5, 18, 4, look="red")
        drawing.text(x + 24, y, legend[1])
