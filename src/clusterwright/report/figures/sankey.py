"""Flows that divide: a Sankey drawing where there is room, indented bars where there is not."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from clusterwright.report.svg import LINE_HEIGHT, Drawing, ribbon, shortened, text_width

_HEIGHT = 300.0  # px of the whole flow
_NODE = 12.0
_SLOT = LINE_HEIGHT + 4.0
_GAP = 5.0
_SMALLEST_SHARE = 0.012  # of the whole; smaller parts of one parent are drawn together
_SMALLEST_WIDE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A flow and the parts that it divides into."""

    name: str
    """What it is."""
    value: float
    """How much."""
    text: str
    """How much, in words."""
    colour: str
    """Token of its colour."""
    parts: tuple["Flow", ...] = ()
    """Parts that sum to it; empty at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """How parts that are too small to draw are named together."""

    name: str
    """Text with a place for `{count}`."""
    text: str
    """Text with a place for `{share}` of the whole, in percent."""


def draw(name: str, width: float, root: Flow, others: Others) -> Drawing:
    """Return a flow at a width."""
    shown = _merged(root, root.value, others)
    if width < _SMALLEST_WIDE:
        return _bars(name, width, shown)
    leaves = list(_leaves(shown))
    scale = _HEIGHT / root.value if root.value else 0.0
    height = sum(max(leaf.value * scale, _SLOT) + _GAP for leaf in leaves)
    drawing = Drawing(name, width=width, height=height + 4)
    room = min(260.0, 24 + max(text_width(_label(leaf)) for leaf in leaves))
    depth = _depth(shown)
    step = (width - room) / depth if depth else width
    _node(drawing, shown, 0, 2.0, scale, step, width)
    return drawing


def _node(
    drawing: Drawing, flow: Flow, depth: int, top: float, scale: float, step: float, width: float
) -> tuple[float, float]:
    """Draw a flow below `top` and return its own top and the bottom of its slot."""
    x, tall = depth * step, max(flow.value * scale, 1.5)
    if not flow.parts:
        slot = max(flow.value * scale, _SLOT)
        own = top + (slot - tall) / 2
        drawing.rect(x, own, _NODE, tall, look=f"{flow.colour} edge", title=_label(flow))
        text = shortened(_label(flow), width - x - _NODE - 6)
        drawing.text(x + _NODE + 6, top + slot / 2 + 4.5, text)
        return own, top + slot + _GAP
    ends, y = [], top
    for part in flow.parts:
        own, y = _node(drawing, part, depth + 1, y, scale, step, width)
        ends.append(own)
    own = max(top, (top + y - _GAP - tall) / 2)
    start = own
    for part, end in zip(flow.parts, ends, strict=True):
        thick = max(part.value * scale, 1.5)
        commands = ribbon((x + _NODE, start, start + thick), ((depth + 1) * step, end, end + thick))
        drawing.path(commands, look=f"{part.colour} flow")
        start += part.value * scale
    drawing.rect(x, own, _NODE, tall, look=f"{flow.colour} edge", title=_label(flow))
    middle, room = own + tall / 2, step - _NODE - 12
    if y - top < 2.5 * LINE_HEIGHT:
        drawing.text(x + _NODE + 6, middle + 4.5, shortened(_label(flow), room), look="strong halo")
    else:
        drawing.text(x + _NODE + 6, middle - 2, shortened(flow.name, room), look="strong")
        drawing.text(x + _NODE + 6, middle + LINE_HEIGHT - 3, flow.text)
    return own, y


def _bars(name: str, width: float, root: Flow) -> Drawing:
    rows = list(_walk(root, 0))
    step = 2.3 * LINE_HEIGHT
    drawing = Drawing(name, width=width, height=step * len(rows) + 4)
    for place, (flow, depth) in enumerate(rows):
        left, top = 14.0 * depth, place * step
        drawing.text(
            left,
            top + LINE_HEIGHT,
            shortened(flow.name, width - left - text_width(flow.text) - 8),
            look="strong" if flow.parts else "",
        )
        drawing.text(width, top + LINE_HEIGHT, flow.text, anchor="end")
        share = flow.value / root.value if root.value else 0.0
        drawing.rect(
            left, top + LINE_HEIGHT + 5, (width - 42) * share, 9, look=f"{flow.colour} edge"
        )
    return drawing


def _merged(flow: Flow, whole: float, others: Others) -> Flow:
    if not flow.parts:
        return flow
    ordered = sorted(flow.parts, key=lambda part: -part.value)
    small = [part for part in ordered if part.value < whole * _SMALLEST_SHARE]
    kept = ordered if len(small) <= 1 else [part for part in ordered if part not in small]
    if not kept:
        return replace(flow, parts=())
    parts = [_merged(part, whole, others) for part in kept]
    if len(kept) < len(ordered):
        value = math.fsum(part.value for part in small)
        share = value / whole * 100 if whole else 0.0
        parts.append(
            Flow(
                name=others.name.format(count=len(small)),
                value=value,
                text=others.text.format(share=f"{share:.2g}"),
                colour="grey",
            )
        )
    return replace(flow, parts=tuple(parts))


def _leaves(flow: Flow) -> Iterator[Flow]:
    if not flow.parts:
        yield flow
    for part in flow.parts:
        yield from _leaves(part)


def _walk(flow: Flow, depth: int) -> Iterator[tuple[Flow, int]]:
    yield flow, depth
    for part in flow.parts:
        yield from _walk(part, depth + 1)


def _depth(flow: Flow) -> int:
    return 1 + max(map(_depth, flow.parts)) if flow.parts else 0


def _label(flow: Flow) -> str:
    return f"{flow.name}  {flow.text}"


def total(flows: Sequence[Flow]) -> float:
    """Return the sum of flows."""
    return math.fsum(flow.value for flow in flows)
