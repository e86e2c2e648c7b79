"""Demand against capacity, stage by stage: what binds now, and what binds next."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.report.svg import LINE_HEIGHT, Drawing, shortened, text_width

_BAR = 16
_MOST = 1.5  # of the capacity; a longer bar is cut and says so
_SMALLEST_WIDE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A row of the ledger."""

    order: str
    """Its number in the order of binding."""
    name: str
    """What it is."""
    load_ratio: float
    """Demand over capacity; infinite when there is no capacity."""
    figures: str
    """Demand and capacity in words."""
    mark: str
    """Word for the stage that binds, or is short; empty for the others."""
    short: bool
    """True when demand is above capacity."""


def draw(name: str, width: float, stages: Sequence[Stage], *, axis: str, capacity: str) -> Drawing:
    """Return the ledger at a width.

    Parameters
    ----------
    name
        Identifier of the drawing.
    width
        Width in pixels.
    stages
        Rows from the top.
    axis
        Title of the axis.
    capacity
        Word at the line of the capacity.
    """
    wide = width >= _SMALLEST_WIDE
    label = min(280.0, max((text_width(_label(one)) for one in stages), default=0) + 12)
    left = label if wide else 0.0
    figures = max((text_width(_beside(one)) for one in stages), default=0) + 12
    right = min(figures, 260.0) if wide else 14.0
    top = 2 * LINE_HEIGHT
    step = 28.0 if wide else 48.0
    bottom = top + step * len(stages)
    drawing = Drawing(name, width=width, height=bottom + 2.6 * LINE_HEIGHT)
    most = min(
        _MOST, max([1.0, *(one.load_ratio for one in stages if not math.isnan(one.load_ratio))])
    )
    most = 1.0 if most <= 1 else most
    scale = (width - left - right) / most
    for share in (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5):
        if share > most + 1e-9:
            continue
        x = left + share * scale
        drawing.line(x, top - 4, x, bottom, look="limit" if share == 1 else "grid")
        anchor = "start" if share == 0 else "end" if share == most else "middle"
        drawing.text(
            x, bottom + LINE_HEIGHT, f"{share:.0%}".replace("%", " %"), look="muted", anchor=anchor
        )
    drawing.text(left + scale, top - 10, capacity, look="strong", anchor="end")
    drawing.text(
        left + most * scale / 2, bottom + 2.2 * LINE_HEIGHT, axis, look="muted", anchor="middle"
    )
    for row, one in enumerate(stages):
        _row(drawing, one, left, top + row * step, scale, width, most, wide=wide)
    return drawing


def _row(
    drawing: Drawing,
    one: Stage,
    left: float,
    top: float,
    scale: float,
    width: float,
    most: float,
    *,
    wide: bool,
) -> None:
    length = min(one.load_ratio, most) * scale
    bar_top = top + 5 if wide else top + LINE_HEIGHT + 6
    look = "red edge" if one.short else "blue edge" if one.mark else "quiet edge"
    drawing.rect(left, bar_top, scale, _BAR, look="track")
    drawing.rect(left, bar_top, length, _BAR, look=look, title=f"{one.name}: {one.figures}")
    if one.load_ratio > most:
        drawing.text(left + length - 4, bar_top + 13, "»", look="strong", anchor="end")
    strong = "strong" if one.mark else ""
    if wide:
        drawing.text(
            left - 10, bar_top + 13, shortened(_label(one), left - 12), look=strong, anchor="end"
        )
        drawing.text(
            left + most * scale + 8,
            bar_top + 13,
            shortened(_beside(one), width - left - most * scale - 8),
            look=strong,
        )
        return
    beside = _beside(one)
    room = width - text_width(beside) - 10
    drawing.text(0, top + LINE_HEIGHT, shortened(_label(one), max(room, 120)), look=strong)
    drawing.text(
        width,
        top + LINE_HEIGHT,
        shortened(beside, width - 126),
        anchor="end",
        look=f"halo {strong or 'muted'}",
    )


def _label(one: Stage) -> str:
    return f"{one.order}  {one.name}"


def _beside(one: Stage) -> str:
    return f"{one.figures} {one.mark}".strip()
