"""Racks, where the power goes, what it costs in energy and carbon."""

from clusterwright import units
from clusterwright.model.facility import PowerShare, RackGroup
from clusterwright.report import blocks
from clusterwright.report.blocks import Block, Cell, Facts, Picture, Section, Table
from clusterwright.report.context import Context
from clusterwright.report.figures import rack as elevation
from clusterwright.report.figures import sankey
from clusterwright.report.look import colour_of

_MOST_DRAWN = 12
_LOSSES = "cooling and losses"
_KINDS = {"tier": "storage", "plane": "network", "servers": "management"}


def section(context: Context) -> Section:
    """Return the section."""
    words, show, facility = context.words, context.show, context.design.spec.facility
    path = "spec.facility."
    facts = Facts(
        items=(
            context.fact("facility.it", show(facility.it_power_w, units.Watts)),
            context.fact("facility.compute", show(facility.compute_it_power_w, units.Watts)),
            context.fact("facility.mean", show(facility.mean_it_power_w, units.Watts)),
            context.fact("facility.pue", show.factor(facility.pue_ratio)),
            context.fact(
                "facility.power",
                show(facility.facility_power_w, units.Watts),
                path=f"{path}facility_power_w",
            ),
            context.fact(
                "facility.energy",
                show(facility.energy_j_per_year, units.JoulesPerYear),
                path=f"{path}energy_j_per_year",
            ),
            context.fact(
                "facility.carbon",
                show(facility.carbon_g_per_year, units.GramsPerYear),
                path=f"{path}carbon_g_per_year",
            ),
            context.fact("facility.intensity", show(facility.carbon_g_per_j, units.GramsPerJoule)),
            context.fact("facility.price", show(facility.power_price_usd_per_j, units.UsdPerJoule)),
        )
    )
    parts: list[Block] = [facts]
    if facility.groups:
        parts += [_elevations(context), _racks(context)]
    if facility.facility_power_w > 0:
        parts += [_flow(context), _shares(context)]
    return Section(
        name="facility",
        title=words("facility.title"),
        lead=words(
            "facility.lead",
            racks=words.many("facility.racks.count", facility.num_racks),
            compute=f"{facility.num_compute_racks:,}",
            region=facility.region,
            cooling=words.term(facility.cooling),
        ),
        blocks=tuple(parts),
    )


def _elevations(context: Context) -> Picture:
    words, show = context.words, context.show
    groups = sorted(context.design.spec.facility.groups, key=lambda group: -group.num_racks)
    drawn = [
        group for group in context.design.spec.facility.groups if group in groups[:_MOST_DRAWN]
    ]
    racks = [
        elevation.Elevation(
            title=context.say(group.name),
            lines=(
                words.many("facility.rack.count", group.num_racks),
                words(
                    "facility.rack.of",
                    count=min(group.num_per_rack, group.num_devices),
                    part=group.part,
                ),
                words(
                    "ledger.of",
                    demand=show(group.fullest_power_w, units.Watts),
                    capacity=show(group.limit_w, units.Watts),
                ),
            ),
            colour=_colour(context, group),
            device=group.device,
            num_devices=min(group.num_per_rack, group.num_devices),
            num_units=group.num_units,
            power_share=group.fullest_power_w / group.limit_w if group.limit_w else 1.0,
        )
        for group in drawn
    ]
    densest = max(drawn, key=lambda group: group.fullest_power_w / max(group.limit_w, 1.0))
    caption = words("facility.rack.caption")
    if len(groups) > len(drawn):
        caption += words("facility.rack.cut", count=len(drawn), total=len(groups))
    return blocks.picture(
        "racks",
        words.opening(
            "facility.rack.figure",
            name=context.say(densest.name),
            power=show(densest.fullest_power_w, units.Watts),
            limit=show(densest.limit_w, units.Watts),
        ),
        caption,
        "; ".join(f"{one.title}: {', '.join(one.lines)}" for one in racks),
        lambda name, width: elevation.draw(name, width, racks, axis=words("facility.rack.axis")),
    )


def _colour(context: Context, group: RackGroup) -> str:
    if any(group.name == pool.name for pool in context.design.spec.compute.pools):
        return context.colour(group.name)
    return {
        "compute": "blue",
        "service": "sky",
        "network": "orange",
        "storage": "green",
        "management": "purple",
    }[group.kind]


def _racks(context: Context) -> Table:
    words, show = context.words, context.show
    groups = context.design.spec.facility.groups
    return Table(
        name="racks-table",
        caption=words("facility.racks"),
        columns=context.columns(
            "facility.group",
            "facility.part",
            "#facility.devices",
            "#facility.per.rack",
            "#facility.height",
            "#facility.num.racks",
            "#facility.fullest",
            "#facility.limit",
        ),
        rows=tuple(
            (
                Cell(text=context.say(group.name)),
                Cell(text=group.part),
                Cell(text=show.count(group.num_devices)),
                Cell(text=show.count(group.num_per_rack)),
                Cell(text=show.count(group.num_units)),
                Cell(text=show.count(group.num_racks)),
                Cell(
                    text=show.exact(group.fullest_power_w, units.Watts, "kW", 1),
                    status="bad" if group.fullest_power_w > group.limit_w else "",
                    below=words("facility.too.hot")
                    if group.fullest_power_w > group.limit_w
                    else "",
                ),
                Cell(text=show.exact(group.limit_w, units.Watts, "kW", 1)),
            )
            for group in groups
        ),
        total=(
            Cell(text=words("table.sum")),
            Cell(text=""),
            Cell(text=f"{sum(group.num_devices for group in groups):,}"),
            Cell(text=""),
            Cell(text=""),
            Cell(text=f"{sum(group.num_racks for group in groups):,}"),
            Cell(text=""),
            Cell(text=""),
        ),
        folded=True,
    )


def _flow(context: Context) -> Picture:
    words, show, facility = context.words, context.show, context.design.spec.facility
    kinds: dict[str, list[PowerShare]] = {}
    losses: list[PowerShare] = []
    for share in facility.shares:
        if share.name == _LOSSES:
            losses.append(share)
        else:
            kinds.setdefault(_kind(context, share.name), []).append(share)

    def leaf(share: PowerShare, colour: str) -> sankey.Flow:
        return sankey.Flow(
            name=context.say(share.name),
            value=share.power_w,
            text=show(share.power_w, units.Watts),
            colour=colour,
        )

    parts = tuple(
        _together(
            context,
            words(f"facility.kind.{kind}"),
            colour_of(kind),
            [
                leaf(share, context.colour(share.name) if kind == "compute" else colour_of(kind))
                for share in shares
            ],
        )
        for kind, shares in kinds.items()
    )
    equipment = _together(context, words("facility.it.short"), "blue", list(parts))
    root = _together(
        context,
        words("facility.whole"),
        "grey",
        [equipment, *(leaf(share, "grey") for share in losses)],
    )
    biggest = max(facility.shares, key=lambda share: share.power_w)
    return blocks.picture(
        "power-flow",
        words.opening(
            "facility.figure",
            name=context.say(biggest.name),
            share=show(biggest.power_w / facility.facility_power_w, units.Fraction, digits=2),
        ),
        words("facility.flow.caption"),
        "; ".join(
            f"{context.say(share.name)} {show(share.power_w, units.Watts)}"
            for share in facility.shares
        ),
        lambda name, width: sankey.draw(name, width, root, others(context)),
    )


def others(context: Context) -> sankey.Others:
    """Return how parts too small to draw are named."""
    words = context.words
    return sankey.Others(name=words("flow.others"), text=words("flow.others.share"))


def _together(context: Context, name: str, colour: str, parts: list[sankey.Flow]) -> sankey.Flow:
    value = sankey.total(parts)
    return sankey.Flow(
        name=name,
        value=value,
        text=context.show(value, units.Watts),
        colour=colour,
        parts=tuple(parts),
    )


def _kind(context: Context, name: str) -> str:
    if any(name == pool.name for pool in context.design.spec.compute.pools):
        return "compute"
    return _KINDS.get(name.rsplit(" ", 1)[-1], "management")


def _shares(context: Context) -> Table:
    words, show, facility = context.words, context.show, context.design.spec.facility
    shares = sorted(facility.shares, key=lambda share: -share.power_w)
    kw = show.column([share.power_w for share in shares], units.Watts, "kW", 1)
    whole = facility.facility_power_w
    percent = show.column([share.power_w / whole for share in shares], units.Fraction, "%", 1)
    return Table(
        name="power",
        caption=words("facility.shares"),
        columns=context.columns("facility.who", "#facility.kw", "#facility.share"),
        rows=tuple(
            (
                Cell(text=context.say(share.name)),
                Cell(text=power),
                Cell(text=part),
            )
            for share, power, part in zip(shares, kw, percent, strict=True)
        ),
        total=(
            Cell(text=words("facility.whole")),
            Cell(text=show.exact(whole, units.Watts, "kW", 1)),
            Cell(text=show.exact(1.0, units.Fraction, "%", 1)),
        ),
    )
