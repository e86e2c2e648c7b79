"""The three network planes: drawn, counted to the port, with their cables."""

from collections.abc import Callable

from clusterwright import units
from clusterwright.model.network import Attachment, Plane
from clusterwright.report import blocks
from clusterwright.report.blocks import Cell, Picture, Section, Table
from clusterwright.report.context import Context
from clusterwright.report.figures import planes as figure

_NAMES = ("compute", "storage", "management")
_COLOURS = {"compute": "orange", "storage": "green", "management": "purple"}
_MOST_DEVICES = 5


def section(context: Context) -> Section:
    """Return the section."""
    words = context.words
    cables = sum(_num_cables(plane) for _, plane in _planes(context))
    return Section(
        name="fabric",
        title=words("fabric.title"),
        lead=words(
            "fabric.lead",
            kind=words.term(context.design.spec.fabric.kind),
            switches=f"{sum(plane.num_switches for _, plane in _planes(context)):,}",
            cables=f"{cables:,}",
        ),
        blocks=(_picture(context), _table(context), _links(context)),
    )


def _planes(context: Context) -> tuple[tuple[str, Plane], ...]:
    planes = context.design.spec.fabric.planes
    return tuple((name, getattr(planes, name)) for name in _NAMES)


def _num_cables(plane: Plane) -> int:
    return plane.num_node_leaf_cables + plane.num_leaf_spine_cables + plane.num_spine_core_cables


def _picture(context: Context) -> Picture:
    words, show = context.words, context.show
    panels = [_panel(context, name, plane) for name, plane in _planes(context)]
    plane = context.design.spec.fabric.planes.compute
    ratio = plane.oversubscription_ratio
    if not plane.num_leaf:
        title = words("fabric.figure.none")
    elif ratio <= 1:
        title = words("fabric.figure.full", endpoints=f"{plane.num_endpoints:,}")
    else:
        title = words(
            "fabric.figure.over", endpoints=f"{plane.num_endpoints:,}", ratio=show.factor(ratio)
        )
    description = "; ".join(
        f"{panel.title}: {', '.join(level.text for level in panel.levels)}" for panel in panels
    )
    return blocks.picture(
        "planes",
        title,
        words("fabric.caption"),
        description,
        lambda name, width: figure.draw(name, width, panels),
    )


def _panel(context: Context, name: str, plane: Plane) -> figure.Panel:
    words = context.words
    counts = (
        ("core", plane.num_core, plane.num_spine_core_cables),
        ("spine", plane.num_spine, plane.num_leaf_spine_cables),
        ("leaf", plane.num_leaf, plane.num_node_leaf_cables),
    )
    named = {"spine": "aggregation", "leaf": "access"} if name == "management" else {}
    levels = tuple(
        figure.Level(
            text=words(
                f"fabric.level.{named.get(level, level)}", count=f"{count:,}", switch=plane.switch
            ),
            num_switches=count,
            links_below=words.many("fabric.links.count", links),
        )
        for level, count, links in counts
        if count
    )
    shown = [_device(context, one) for one in plane.attachments[:_MOST_DEVICES]]
    rest = plane.attachments[_MOST_DEVICES:]
    if rest:
        count = sum(one.num_devices for one in rest)
        names = words.listed([words.term(one.name) for one in rest])
        shown.append(words("fabric.device.more", count=f"{count:,}", names=names))
    return figure.Panel(
        title=words(f"fabric.plane.{name}"),
        topology=context.say(plane.topology),
        colour=_COLOURS[name],
        levels=levels,
        devices=tuple(shown) or (words("fabric.device.none"),),
    )


def _device(context: Context, one: Attachment) -> str:
    return context.words(
        "fabric.device",
        count=f"{one.num_devices:,}",
        name=context.words.term(one.name),
        ports=one.num_ports,
        speed=context.show.port(one.port_bytes_per_s),
    )


def _table(context: Context) -> Table:
    words = context.words
    planes = _planes(context)
    cored = any(plane.num_core for _, plane in planes)
    counts: list[tuple[str, Callable[[Plane], int], str]] = [
        ("#fabric.endpoints", lambda plane: plane.num_endpoints, ""),
        ("#fabric.leaf", lambda plane: plane.num_leaf, "num_leaf"),
        ("#fabric.spine", lambda plane: plane.num_spine, "num_spine"),
        ("#fabric.down", lambda plane: plane.num_node_leaf_cables, ""),
        ("#fabric.up", lambda plane: plane.num_leaf_spine_cables, ""),
    ]
    if cored:
        counts.insert(3, ("#fabric.core", lambda plane: plane.num_core, ""))
        counts.append(("#fabric.top", lambda plane: plane.num_spine_core_cables, ""))
    show = context.show
    kw = show.column([plane.power_w for _, plane in planes], units.Watts, "kW", 1)
    rows = tuple(
        (
            Cell(
                text=words(f"fabric.plane.{name}"),
                below=f"{plane.switch} {show.port(plane.port_bytes_per_s)}" if plane.switch else "",
            ),
            *(
                context.cell(
                    show.count(count(plane)),
                    path=f"spec.fabric.planes.{name}.{field}" if field else "",
                )
                for _, count, field in counts
            ),
            Cell(text=f"{show.factor(plane.oversubscription_ratio)} : 1"),
            Cell(text=show(plane.bisection_bytes_per_s, units.BytesPerSecond)),
            Cell(text=power),
        )
        for (name, plane), power in zip(planes, kw, strict=True)
    )
    return Table(
        name="planes-table",
        caption=words("fabric.table"),
        columns=context.columns(
            "fabric.plane",
            *(title for title, _, _ in counts),
            "#fabric.over",
            "#fabric.bisection",
            "#fabric.power",
        ),
        rows=rows,
        total=(
            Cell(text=words("table.sum")),
            *(
                Cell(text=show.count(sum(count(plane) for _, plane in planes)))
                for _, count, _ in counts
            ),
            Cell(text=""),
            Cell(text=""),
            Cell(text=show.exact(sum(plane.power_w for _, plane in planes), units.Watts, "kW", 1)),
        ),
    )


def _links(context: Context) -> Table:
    words, show = context.words, context.show
    rows = [(name, link) for name, plane in _planes(context) for link in plane.links]
    cost = show.column([link.cost_usd for _, link in rows], units.Usd, "USD")
    length = show.column([link.total_length_m for _, link in rows], units.Metres, "m")
    return Table(
        name="links",
        caption=words("fabric.links"),
        columns=context.columns(
            "fabric.part",
            "fabric.plane",
            "#fabric.num.links",
            "#fabric.optics",
            "#fabric.length",
            "#fabric.cost",
        ),
        rows=tuple(
            (
                Cell(text=link.part),
                Cell(text=words(f"fabric.plane.{name}")),
                Cell(text=show.count(link.num_links)),
                Cell(text=show.count(link.num_optics)),
                Cell(text=metres),
                Cell(text=usd),
            )
            for (name, link), metres, usd in zip(rows, length, cost, strict=True)
        ),
        total=(
            Cell(text=words("table.sum")),
            Cell(text=""),
            Cell(text=f"{sum(link.num_links for _, link in rows):,}"),
            Cell(text=f"{sum(link.num_optics for _, link in rows):,}"),
            Cell(text=show.exact(sum(link.total_length_m for _, link in rows), units.Metres, "m")),
            Cell(text=show.exact(sum(link.cost_usd for _, link in rows), units.Usd, "USD")),
        ),
        source=words("fabric.links.source"),
    )
