"""The storage tiers along the data's way, and what a checkpoint costs."""

from clusterwright import units
from clusterwright.model.storage import Tier
from clusterwright.report import blocks
from clusterwright.report.blocks import Block, Cell, Facts, Picture, Section, Table
from clusterwright.report.context import Context
from clusterwright.report.figures import way as figure


def section(context: Context) -> Section | None:
    """Return the section; None when the design stores nothing."""
    words, show, storage = context.words, context.show, context.design.spec.storage
    if not storage.tiers:
        return None
    held = sum(tier.usable_bytes for tier in storage.tiers if tier.num_racks)
    parts: list[Block] = []
    if any(tier.name in {"lake", "hot"} for tier in storage.tiers):
        parts.append(_picture(context))
    parts.append(_table(context))
    if storage.checkpoint is not None:
        one = storage.checkpoint
        parts.append(
            Facts(
                items=(
                    context.fact("storage.checkpoint", show(one.checkpoint_bytes, units.Bytes)),
                    context.fact("storage.checkpoint.tier", words.term(one.tier)),
                    context.fact(
                        "storage.checkpoint.time",
                        show(one.write_time_s, units.Seconds),
                        path="spec.storage.checkpoint.write_time_s",
                    ),
                )
            )
        )
    return Section(
        name="storage",
        title=words("storage.title"),
        lead=words(
            "storage.lead",
            usable=show(held, units.Bytes),
            servers=f"{sum(tier.num_servers for tier in storage.tiers if tier.num_racks):,}",
        ),
        blocks=tuple(parts),
    )


def _picture(context: Context) -> Picture:
    words, show = context.words, context.show
    tiers = {tier.name: tier for tier in context.design.spec.storage.tiers}
    stations = []
    arriving = tiers["lake"].demanded_write_bytes_per_s if "lake" in tiers else 0.0
    for name in ("lake", "hot"):
        if name not in tiers:
            continue
        tier = tiers[name]
        stations.append(_station(context, tier, arriving))
        arriving = tier.demanded_read_bytes_per_s
    accelerators = sum(pool.num_accelerators for pool in context.design.spec.compute.pools)
    lines = [words("storage.way.accelerators", count=f"{accelerators:,}")]
    if "local" in tiers:
        lines.append(
            words("storage.way.cache", size=show(tiers["local"].usable_bytes, units.Bytes))
        )
    stations.append(
        figure.Station(
            arriving=show(arriving, units.BytesPerSecond) if arriving else "",
            title=words("storage.way.servers"),
            lines=tuple(lines),
            colour="blue",
        )
    )
    last = tiers.get("hot") or tiers["lake"]
    enough = last.read_bytes_per_s >= last.demanded_read_bytes_per_s
    return blocks.picture(
        "way",
        words.opening(
            "storage.figure" if enough else "storage.figure.short",
            tier=words.term(last.name),
            asked=show(last.demanded_read_bytes_per_s, units.BytesPerSecond),
            can=show(last.read_bytes_per_s, units.BytesPerSecond),
        ),
        words("storage.caption"),
        "; ".join(f"{one.title}: {', '.join(one.lines)}" for one in stations),
        lambda name, width: figure.draw(name, width, stations),
    )


def _station(context: Context, tier: Tier, arriving: float) -> figure.Station:
    words, show = context.words, context.show
    rate = units.BytesPerSecond
    return figure.Station(
        arriving=show(arriving, rate) if arriving else "",
        title=words.opening("storage.way.tier", tier=words.term(tier.name)),
        lines=(
            words("storage.way.system", count=f"{tier.num_servers:,}", system=tier.system),
            words("storage.way.scheme", scheme=context.say(tier.scheme)),
            words(
                "storage.way.full",
                stored=show(tier.stored_bytes, units.Bytes),
                usable=show(tier.usable_bytes, units.Bytes),
            ),
            words("storage.way.read", rate=show(tier.read_bytes_per_s, rate)),
            words("storage.way.write", rate=show(tier.write_bytes_per_s, rate)),
        ),
        colour="green",
    )


def _table(context: Context) -> Table:
    words, show = context.words, context.show
    tiers = context.design.spec.storage.tiers
    return Table(
        name="tiers",
        caption=words("storage.table"),
        columns=context.columns(
            "storage.tier",
            "storage.scheme",
            "#storage.servers",
            "#storage.drives",
            "#storage.stored",
            "#storage.usable",
            "#storage.raw",
            "#storage.read",
            "#storage.write",
            "storage.sized",
        ),
        rows=tuple(
            (
                Cell(text=words.opening("plain", text=words.term(tier.name)), below=tier.system),
                Cell(
                    text=context.say(tier.scheme),
                    below=words("storage.overhead", ratio=show.factor(tier.overhead_ratio, 4)),
                ),
                context.cell(
                    show.count(tier.num_servers),
                    path=f"spec.storage.tiers[{tier.name}].num_servers",
                ),
                Cell(text=show.count(tier.num_drives) if tier.num_drives else words("number.none")),
                Cell(text=show.exact(tier.stored_bytes, units.Bytes, "TB")),
                context.cell(
                    show.exact(tier.usable_bytes, units.Bytes, "TB"),
                    path=f"spec.storage.tiers[{tier.name}].usable_bytes",
                ),
                context.cell(
                    show.exact(tier.raw_bytes, units.Bytes, "TB"),
                    path=f"spec.storage.tiers[{tier.name}].raw_bytes",
                ),
                _rate(context, tier.read_bytes_per_s, tier.demanded_read_bytes_per_s),
                _rate(context, tier.write_bytes_per_s, tier.demanded_write_bytes_per_s),
                Cell(text=context.say(tier.sized_by)),
            )
            for tier in tiers
        ),
    )


def _rate(context: Context, can: float, asked: float) -> Cell:
    words, show = context.words, context.show
    if not can and not asked:
        return Cell(text=words("number.none"))
    return Cell(
        text=show.exact(can, units.BytesPerSecond, "GB/s"),
        below=words("storage.asked", rate=show.exact(asked, units.BytesPerSecond, "GB/s")),
        status="bad" if asked > can * (1 + 1e-9) else "",
    )
