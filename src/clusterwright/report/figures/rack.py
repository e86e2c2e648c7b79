"""Rack elevations: one full rack of each kind, with its units, its devices and its power."""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.report.svg import LINE_HEIGHT, Drawing, shortened

_UNIT = 5.0  # px
_AXIS = 26.0
_MARK_EVERY = 8  # units
_LINES_BELOW = 4
_SMALLEST_WIDE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Elevation:
    """A full rack of one kind."""

    title: str
    """What stands in it."""
    lines: tuple[str, str, str]
    """Three lines below it: how many racks, what, which power."""
    colour: str
    """Token of its colour."""
    device: str
    """Prefix of the devices' names."""
    num_devices: int
    """Devices in it."""
    num_units: int
    """Rack units of one."""
    power_share: float
    """Power over what the rack can be fed and cooled."""


def draw(name: str, width: float, racks: Sequence[Elevation], *, axis: str) -> Drawing:
    """Return elevations in rows of four, or of two where it is narrow."""
    per_row = 4 if width >= _SMALLEST_WIDE else 2
    each = width / per_row
    tallest = max((one.num_devices * one.num_units for one in racks), default=1)
    height = tallest * _UNIT
    pitch = height + (_LINES_BELOW + 2.4) * LINE_HEIGHT
    rows = -(-len(racks) // per_row)
    drawing = Drawing(name, width=width, height=rows * pitch + 1.4 * LINE_HEIGHT)
    drawing.text(0, LINE_HEIGHT - 3, axis, look="muted")
    for place, one in enumerate(racks):
        left = place % per_row * each
        _rack(drawing, one, left, 1.4 * LINE_HEIGHT + place // per_row * pitch, each - 12, tallest)
    return drawing


def _rack(
    drawing: Drawing, one: Elevation, left: float, top: float, width: float, tallest: int
) -> None:
    inner, floor = left + _AXIS, top + tallest * _UNIT
    body = width - _AXIS
    drawing.rect(inner, top, body, tallest * _UNIT, look="track")
    for unit in range(0, tallest + 1, _MARK_EVERY):
        y = floor - unit * _UNIT
        drawing.line(inner - 4, y, inner, y, look="axis")
        if unit:
            drawing.text(inner - 6, y + 5, str(unit), look="muted", anchor="end")
    tall = one.num_units * _UNIT
    for number in range(one.num_devices):
        y = floor - (number + 1) * tall
        device = f"{one.device}-{number + 1:03d}"
        drawing.rect(
            inner + 3, y + 0.5, body - 6, tall - 1, look=f"{one.colour} edge", title=device
        )
        if tall >= LINE_HEIGHT:
            plate = min(body - 18, 7.4 * len(device) + 10)
            drawing.rect(inner + 8, y + tall / 2 - 9, plate, 18, look="surface", radius=2)
            drawing.text(inner + 13, y + tall / 2 + 4.5, shortened(device, plate - 6))
    share = min(one.power_share, 1.0)
    drawing.rect(inner, floor + 6, body, 5, look="track")
    drawing.rect(inner, floor + 6, body * share, 5, look="red" if one.power_share > 1 else "grey")
    y = floor + 11 + LINE_HEIGHT
    drawing.text(inner, y, shortened(one.title, body), look="strong")
    for row, line in enumerate(one.lines, start=1):
        drawing.text(inner, y + row * LINE_HEIGHT, shortened(line, body), look="muted")
