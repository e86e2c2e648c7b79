"""One whole as one stacked bar, what runs beside it apart below, and every part by name."""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.report.svg import LINE_HEIGHT, Drawing, shortened, text_width

_BAR = 30.0
_BESIDE = 14.0
_SWATCH = 11.0
_SMALLEST_WIDE = 600
_ROW = LINE_HEIGHT + 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the whole, or something beside it."""

    name: str
    """What it is."""
    value: float
    """Its length."""
    share: str
    """Its share of the whole in words."""
    text: str
    """Its quantity in words."""
    colour: str
    """Token of its colour."""
    beside: bool = False
    """True for what runs beside the whole and adds nothing to it."""


def draw(name: str, width: float, parts: Sequence[Part], *, beside: str) -> Drawing:
    """Return the bar at a width.

    Parameters
    ----------
    name, width
        Identifier and width of the drawing.
    parts
        Parts from the left, then what runs beside them.
    beside
        Words over the bar of what runs beside.
    """
    inner = [one for one in parts if not one.beside]
    outer = [one for one in parts if one.beside]
    columns = 2 if width >= _SMALLEST_WIDE else 1
    rows = -(-len(parts) // columns)
    top = LINE_HEIGHT + 5.0
    under = top + _BAR + (LINE_HEIGHT + _BESIDE + 12.0 if outer else 0.0)
    legend = under + 12.0
    drawing = Drawing(name, width=width, height=legend + rows * _ROW)
    most = max(sum(one.value for one in inner), sum(one.value for one in outer)) or 1.0
    scale = width / most
    left, used = 0.0, 0.0
    for one in inner:
        length = one.value * scale
        drawing.rect(
            left, top, length, _BAR, look=f"{one.colour} edge", title=f"{one.name}: {one.text}"
        )
        used = _label(drawing, one, left, length, used)
        left += length
    left = 0.0
    for one in outer:
        base = top + _BAR + LINE_HEIGHT
        drawing.text(0, base, shortened(beside, width), look="muted")
        drawing.rect(
            left,
            base + 5,
            one.value * scale,
            _BESIDE,
            look=f"{one.colour} edge dashed flow",
            title=f"{one.name}: {one.text}",
        )
        left += one.value * scale
    room = width / columns - (24.0 if columns > 1 else 0.0)
    for number, one in enumerate(parts):
        x = (number // rows) * (width / columns)
        _entry(drawing, one, x, legend + (number % rows + 1) * _ROW - 6, room)
    return drawing


def _label(drawing: Drawing, one: Part, left: float, length: float, used: float) -> float:
    """Write name or share over a part that has the room; return where the last label ends."""
    for text in (f"{one.name} {one.share}", one.share):
        if text_width(text) <= length - 4 and left >= used:
            drawing.text(left + length / 2, LINE_HEIGHT - 2, text, anchor="middle")
            return left + length
    return used


def _entry(drawing: Drawing, one: Part, x: float, base: float, room: float) -> None:
    """Write a line of the list: swatch, name, share and quantity."""
    look = f"{one.colour} edge dashed flow" if one.beside else f"{one.colour} edge"
    drawing.rect(x, base - _SWATCH + 1, _SWATCH, _SWATCH, look=look)
    times = max(text_width("0000.0 ms"), text_width(one.text))
    shares = max(text_width("00.0 %"), text_width(one.share))
    start = x + _SWATCH + 7
    drawing.text(start, base, shortened(one.name, room - times - shares - _SWATCH - 20))
    drawing.text(x + room - times - 8, base, one.share, anchor="end")
    drawing.text(x + room, base, one.text, look="muted", anchor="end")
