"""The two pictures of the accuracy page, as SVG files that stand alone.

Drawn narrow, for a phone shows the whole width: marks keep their place at every size, and texts are
larger where the picture is shown small. Colours are the report's tokens, light and dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.report import look
from clusterwright.report.svg import Drawing, points, text_width

WIDTH = 440.0
SHOWN = 640
"""Pixels at which a page that has the room shows a picture."""
CLASSES = {
    "bloom": ("orange", "up", "BLOOM trials"),
    "megatron": ("blue", "disc", "Megatron-LM, DeepSpeed"),
    "fsdp": ("green", "square", "PyTorch FSDP"),
    "core": ("purple", "diamond", "Megatron Core, dense"),
    "mixture": ("red", "down", "mixtures of experts"),
}
"""Colour, shape and name of each class, those in the background first."""
NEAR = 0.05
"""The band that is drawn."""
_LINE = 17.0
_RADIUS = 2.9
_LABELLED = 3
_LARGEST_TEXT = 1.1  # of the size that text_width reckons with
_STYLE = """
text{font:14px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",Arial,sans-serif;
fill:var(--ink);font-variant-numeric:tabular-nums}
@media (min-width:500px){text{font-size:10.5px}}
.muted{fill:var(--muted)}.strong{font-weight:650}.ground{fill:var(--page)}
.edge{stroke:var(--edge);stroke-width:.5}.grid{stroke:var(--line);stroke-width:1}
.axis{stroke:var(--muted);stroke-width:1}.band{fill:var(--muted);opacity:.3}
.middle{stroke:var(--ink);stroke-width:2.5}.mark{fill-opacity:.8}
.halo{paint-order:stroke;stroke:var(--page);stroke-width:3px;stroke-linejoin:round}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A row."""

    name: str
    """Its id."""
    family: str
    """Its family."""
    kind: str
    """Its class: a key of `CLASSES`."""
    measured_s: float
    """Measured step time."""
    ratio: float
    """Predicted over measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A family in the picture of residuals."""

    name: str
    """The family."""
    says: str
    """Its error in words."""
    median: float
    """Median ratio."""


def agreement(marks: Sequence[Mark], *, title: str, description: str) -> str:
    """Return predicted against measured times on logarithmic axes."""
    lines = _wrapped(title)
    left, top, side = 46.0, 14.0 + _LINE * len(lines), WIDTH - 56.0
    bottom = top + side
    drawing = _begun("training-accuracy", bottom + 42, lines)
    low = 10 ** math.floor(math.log10(min(_both(marks))))
    high = 10 ** (math.log10(max(_both(marks))) + 0.08)

    def at(value: float) -> float:
        return math.log(value / low) / math.log(high / low) * side

    for power in range(round(math.log10(low)), math.floor(math.log10(high)) + 1):
        place = at(10.0**power)
        said = f"{10.0**power:g} s"
        drawing.line(left + place, top, left + place, bottom, look="grid")
        drawing.line(left, bottom - place, left + side, bottom - place, look="grid")
        drawing.text(left + place, bottom + 16, said, look="muted", anchor="middle")
        if power > round(math.log10(low)):
            drawing.text(left - 5, bottom - place + 4, said, look="muted", anchor="end")
    shift = at(low * (1 + NEAR))
    drawing.path(
        points(
            [
                (left, bottom),
                (left, bottom - shift),
                (left + side - shift, top),
                (left + side, top),
                (left + side, top + shift),
                (left + shift, bottom),
            ],
            closed=True,
        ),
        look="band",
    )
    drawing.line(left, bottom, left + side, top, look="axis")
    for mark in _behind_first(marks):
        x, y = left + at(mark.measured_s), bottom - at(mark.measured_s * mark.ratio)
        _shape(drawing, mark.kind, x, y, _told(mark))
    far = [one for one in sorted(marks, key=_miss, reverse=True) if one.kind != "bloom"]
    used: list[float] = []
    for mark in far[:_LABELLED]:
        x, y = left + at(mark.measured_s), bottom - at(mark.measured_s * mark.ratio)
        above = mark.ratio > 1
        room = text_width(mark.name) * _LARGEST_TEXT
        y += 4.0
        while any(abs(y - other) < _LINE for other in used):
            y += -_LINE if above else _LINE
        used.append(y)
        if above or x + 8 + room > left + side:
            drawing.text(x - 8, y, mark.name, look="halo", anchor="end")
        else:
            drawing.text(x + 8, y, mark.name, look="halo")
    drawing.text(left, top + 14, "predicted, its family left out", look="muted halo")
    drawing.text(left + side, bottom + 35, "measured step time", look="muted", anchor="end")
    _legend(drawing, left + side - 186, bottom - 118)
    return _alone(drawing, title, description)


def residuals(
    marks: Sequence[Mark], families: Sequence[Line], *, title: str, description: str
) -> str:
    """Return predicted over measured time of each family's rows, a line for each family."""
    lines = _wrapped(title)
    left, right, step = 146.0, 62.0, 27.0
    top = 32.0 + _LINE * len(lines)
    bottom = top + step * len(families)
    drawing = _begun("training-residuals", bottom + 128, lines)
    low, high = min(one.ratio for one in marks) * 0.97, max(one.ratio for one in marks) * 1.03
    span = WIDTH - left - right

    def at(ratio: float) -> float:
        return left + math.log(ratio / low) / math.log(high / low) * span

    drawing.text(WIDTH - 4, top - 8, "median error", look="muted", anchor="end")
    drawing.rect(at(1 - NEAR), top, at(1 + NEAR) - at(1 - NEAR), bottom - top, look="band")
    for tick in (0.6, 0.8, 1.0, 1.25, 1.5):
        drawing.line(at(tick), top, at(tick), bottom, look="axis" if tick == 1 else "grid")
        drawing.text(at(tick), bottom + 16, f"{tick:g}", look="muted", anchor="middle")
    for place, family in enumerate(families):
        y = top + step * (place + 0.5)
        drawing.text(left - 8, y + 4, family.name, anchor="end")
        mine = sorted((one for one in marks if one.family == family.name), key=lambda m: m.ratio)
        for number, mark in enumerate(mine):
            # Spread over the line's height, so that rows of one ratio do not hide each other.
            away = ((number * 3) % 7 - 3) * 2.6 if len(mine) > 1 else 0.0
            _shape(drawing, mark.kind, at(mark.ratio), y + away, _told(mark))
        drawing.line(at(family.median), y - 12, at(family.median), y + 12, look="middle")
        drawing.text(WIDTH - 4, y + 4, family.says, anchor="end")
    drawing.text(left, bottom + 35, "predicted over measured step time", look="muted")
    _legend(drawing, left, bottom + 54)
    return _alone(drawing, title, description)


def _begun(name: str, height: float, lines: Sequence[str]) -> Drawing:
    drawing = Drawing(name, width=WIDTH, height=height)
    drawing.rect(0, 0, WIDTH, height, look="ground")
    for number, line in enumerate(lines):
        drawing.text(4, 14 + _LINE * number, line, look="strong")
    return drawing


def _wrapped(title: str) -> list[str]:
    """Return a title as lines that fit at the largest size of text."""
    lines = [""]
    for word in title.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer) * _LARGEST_TEXT > WIDTH - 8 and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _shape(drawing: Drawing, kind: str, x: float, y: float, title: str) -> None:
    colour, shape, _ = CLASSES[kind]
    seen, r = f"{colour} mark edge", _RADIUS
    if shape == "disc":
        drawing.circle(x, y, r, look=seen, title=title)
        return
    corners = {
        "square": [(-r, -r), (r, -r), (r, r), (-r, r)],
        "diamond": [(0, -1.4 * r), (1.4 * r, 0), (0, 1.4 * r), (-1.4 * r, 0)],
        "up": [(0, -1.3 * r), (1.3 * r, r), (-1.3 * r, r)],
        "down": [(0, 1.3 * r), (1.3 * r, -r), (-1.3 * r, -r)],
    }[shape]
    drawing.path(
        points([(x + dx, y + dy) for dx, dy in corners], closed=True), look=seen, title=title
    )


def _legend(drawing: Drawing, x: float, y: float) -> None:
    for number, kind in enumerate(reversed(CLASSES)):
        _shape(drawing, kind, x, y + _LINE * number - 4, "")
        drawing.text(x + 9, y + _LINE * number, CLASSES[kind][2], look="halo")
    drawing.rect(x - 5, y + _LINE * len(CLASSES) - 9, 10, 9, look="band")
    drawing.text(x + 9, y + _LINE * len(CLASSES), f"within {100 * NEAR:g} %", look="halo")


def _behind_first(marks: Sequence[Mark]) -> list[Mark]:
    order = list(CLASSES)
    return sorted(marks, key=lambda one: order.index(one.kind))


def _both(marks: Sequence[Mark]) -> list[float]:
    return [time_s for one in marks for time_s in (one.measured_s, one.measured_s * one.ratio)]


def _miss(mark: Mark) -> float:
    return abs(math.log(mark.ratio))


def _told(mark: Mark) -> str:
    predicted_s = mark.measured_s * mark.ratio
    return f"{mark.name}: measured {mark.measured_s:.3g} s, predicted {predicted_s:.3g} s"


def _alone(drawing: Drawing, title: str, description: str) -> str:
    """Return a drawing as a file of its own, with its colours and its size."""
    text = str(drawing.render(title=title, description=description))
    tall = round(SHOWN * drawing.height / drawing.width)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{SHOWN}" height="{tall}" '
    text = text.replace("<svg ", head, 1)
    return text.replace("</desc>", f"</desc>\n<style>{look.css()}{_STYLE}</style>\n", 1) + "\n"
