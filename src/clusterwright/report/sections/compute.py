"""Pools of servers, how the campaigns are spread over them, and what serving needs."""

from clusterwright import units
from clusterwright.model.compute import Pool, StepPart, Strategy
from clusterwright.report.blocks import Block, Cell, Fact, Facts, Picture, Section, Table, picture
from clusterwright.report.context import Context
from clusterwright.report.figures import parts as figure
from clusterwright.report.look import colour_of
from clusterwright.report.sections.answer import main_strategy

_MOST_POOLS = 24
_LOSSES = ("recomputation", "launches", "pipeline bubble")
_MESSAGES = " messages"
_LEAST_SHARE = 1e-3


def section(context: Context) -> Section:
    """Return the section."""
    words, compute = context.words, context.design.spec.compute
    blocks: list[Block] = [*_campaign(context), *_step(context), _pools(context)]
    if compute.strategies:
        blocks += _strategies(context)
    if compute.serving:
        blocks.append(_serving(context))
    accelerators = sum(pool.num_accelerators for pool in compute.pools)
    servers = sum(pool.num_servers for pool in compute.pools)
    return Section(
        name="compute",
        title=words("compute.title"),
        lead=words(
            "compute.lead" if accelerators else "compute.lead.cpu",
            accelerators=f"{accelerators:,}",
            servers=f"{servers:,}",
            pools=words.many("compute.pools.count", len(compute.pools)),
            unit=context.design.spec.scalable_unit,
        )
        + (
            words("list.space")
            + words("compute.unit", unit=context.say(context.design.spec.scalable_unit))
            if context.design.spec.scalable_unit
            else ""
        ),
        blocks=tuple(blocks),
    )


def layout(one: Strategy) -> str:
    """Return a strategy in the field's short form, such as `TP8·PP4·DP32`."""
    parts = [f"TP{one.tp}", f"PP{one.pp}", f"DP{one.dp}"]
    parts += [f"{name}{value}" for name, value in (("CP", one.cp), ("EP", one.ep)) if value > 1]
    return "·".join(parts)


def _campaign(context: Context) -> tuple[Facts, ...]:
    words, show, one = context.words, context.show, main_strategy(context)
    if one is None:
        return ()
    place = context.design.spec.compute.strategies.index(one)
    path = f"spec.compute.strategies[{place}]."
    items = [
        context.fact("compute.layout", layout(one)),
        context.fact(
            "compute.mfu", show(one.mfu_fraction, units.Fraction), path=f"{path}mfu_fraction"
        ),
        Fact(name=words("compute.step"), value=_step_time(context, one)),
        context.fact("compute.rate", show(one.tokens_per_s, units.TokensPerSecond)),
        context.fact(
            "compute.duration", show(one.duration_s, units.Seconds), path=f"{path}duration_s"
        ),
        context.fact("compute.hours", show(one.accelerator_hours, units.AcceleratorHours)),
        context.fact("compute.memory", show(one.memory_bytes, units.Bytes)),
        context.fact("compute.checkpoint", show(one.checkpoint_bytes, units.Bytes)),
        context.fact("compute.recomputed", show(one.recomputed_fraction, units.Fraction)),
    ]
    if one.pp > 1:
        items.append(context.fact("compute.chunks", show.count(one.chunks)))
    if one.software:
        items.append(context.fact("compute.software", one.software))
    money = context.design.spec.economics.usd_per_million_tokens
    if money is not None:
        items.append(
            context.fact(
                "compute.token.cost",
                show(money, units.UsdPerMillionTokens),
                path="spec.economics.usd_per_million_tokens",
            )
        )
    return (Facts(items=tuple(items)),)


def _step_time(context: Context, one: Strategy) -> Cell:
    """Return a step's time with its error bar."""
    words, show = context.words, context.show
    text = show(one.step_time_s, units.Seconds)
    if one.error_bar_fraction:
        bar = show(one.error_bar_fraction, units.Fraction, digits=2)
        text = words("compute.step.bar", step=text, bar=bar)
    return context.cell(text, estimated=one.estimated)


def _step(context: Context) -> tuple[Picture, ...]:
    """Return the picture of where the time of the main campaign's step goes."""
    words, show, one = context.words, context.show, main_strategy(context)
    if one is None or not one.parts:
        return ()
    exposed = [part for part in one.parts if part.exposed]
    drawn = [_part(context, one, part) for part in one.parts]
    largest = max(exposed, key=lambda part: part.time_s)
    lost = [part for part in exposed if part.name in _LOSSES or part.name.endswith(_MESSAGES)]
    share = _share(context, largest.time_s / one.step_time_s)
    title = words("step.figure.work", share=share, part=words.term(largest.name))
    if lost:
        loss = max(lost, key=lambda part: part.time_s)
        title = words(
            "step.figure.loss",
            share=share,
            part=words.term(largest.name),
            loss=words.term(loss.name),
            other=_share(context, loss.time_s / one.step_time_s),
        )
    return (
        picture(
            "step",
            title,
            words(
                "step.caption",
                workload=one.workload,
                accelerators=show.count(one.num_accelerators),
                accelerator=one.accelerator,
                step=_step_time(context, one).text,
            ),
            words("list.semicolon").join(f"{part.name}: {part.share}" for part in drawn),
            lambda name, width: figure.draw(name, width, drawn, beside=words("step.beside")),
        ),
    )


def _part(context: Context, one: Strategy, part: StepPart) -> figure.Part:
    show = context.show
    return figure.Part(
        name=context.words.term(part.name),
        value=part.time_s,
        share=_share(context, part.time_s / one.step_time_s),
        text=show(part.time_s, units.Seconds),
        colour=colour_of(part.name),
        beside=not part.exposed,
    )


def _share(context: Context, share: float) -> str:
    """Return a share of the step; digits of a tiny one would only look exact."""
    if share < _LEAST_SHARE:
        return context.words("step.less", share=context.show(_LEAST_SHARE, units.Fraction))
    return context.show(share, units.Fraction)


def _pools(context: Context) -> Table:
    words, show = context.words, context.show
    pools = context.design.spec.compute.pools
    kw = show.column([pool.power_w for pool in pools], units.Watts, "kW", 1)
    rows = [_pool(context, pool, power) for pool, power in zip(pools, kw, strict=True)]
    if len(rows) > _MOST_POOLS:
        rows = [*rows[: _MOST_POOLS - 1], _rest(context, pools[_MOST_POOLS - 1 :])]
    return Table(
        name="pools",
        caption=words("compute.pools"),
        columns=context.columns(
            "compute.pool",
            "compute.role",
            "compute.server",
            "#compute.servers",
            "#compute.accelerators",
            "#compute.cores",
            "#compute.racks",
            "#compute.power",
            "#compute.taken",
        ),
        rows=tuple(rows),
        total=(
            Cell(text=words("table.sum")),
            Cell(text=""),
            Cell(text=""),
            Cell(text=f"{sum(pool.num_servers for pool in pools):,}"),
            Cell(text=f"{sum(pool.num_accelerators for pool in pools):,}"),
            Cell(text=f"{sum(pool.num_cpus for pool in pools):,}"),
            Cell(text=f"{sum(pool.num_racks for pool in pools):,}"),
            Cell(text=show.exact(sum(pool.power_w for pool in pools), units.Watts, "kW", 1)),
            Cell(text=""),
        ),
    )


def _pool(context: Context, pool: Pool, power: str) -> tuple[Cell, ...]:
    words, show = context.words, context.show
    path = f"spec.compute.pools[{pool.name}]."
    slices = words("compute.slices", profile=pool.mig_profile) if pool.mig_profile else ""
    spare = words("compute.spare", count=pool.num_spare_servers) if pool.num_spare_servers else ""
    owned = words("compute.owned") if pool.owned else ""
    return (
        Cell(text=pool.name, below=words.listed(list(pool.workloads))),
        Cell(text=words.term(pool.role)),
        context.cell(
            pool.server, below=(pool.accelerator + slices).strip(), estimated=pool.estimated
        ),
        context.cell(show.count(pool.num_servers), below=spare + owned, path=f"{path}num_servers"),
        Cell(text=show.count(pool.num_accelerators)),
        Cell(text=show.count(pool.num_cpus)),
        context.cell(show.count(pool.num_racks), path=f"{path}num_racks"),
        Cell(text=power),
        Cell(text=show(pool.demanded_fraction, units.Fraction)),
    )


def _rest(context: Context, pools: tuple[Pool, ...]) -> tuple[Cell, ...]:
    words, show = context.words, context.show
    return (
        Cell(text=words("table.more", count=len(pools))),
        Cell(text=""),
        Cell(text=""),
        Cell(text=f"{sum(pool.num_servers for pool in pools):,}"),
        Cell(text=f"{sum(pool.num_accelerators for pool in pools):,}"),
        Cell(text=f"{sum(pool.num_cpus for pool in pools):,}"),
        Cell(text=f"{sum(pool.num_racks for pool in pools):,}"),
        Cell(text=show.exact(sum(pool.power_w for pool in pools), units.Watts, "kW", 1)),
        Cell(text=""),
    )


def _strategies(context: Context) -> list[Block]:
    words = context.words
    strategies = context.design.spec.compute.strategies
    chosen = [one for one in strategies if one.chosen]
    others = [one for one in strategies if not one.chosen]
    blocks: list[Block] = [_table(context, "strategies", words("compute.strategies"), chosen)]
    if others:
        blocks.append(
            _table(
                context,
                "strategies-others",
                words.many("compute.strategies.others", len(others)),
                others,
                folded=True,
            )
        )
    return blocks


def _table(
    context: Context, name: str, caption: str, strategies: list[Strategy], *, folded: bool = False
) -> Table:
    words, show = context.words, context.show
    return Table(
        name=name,
        caption=caption,
        folded=folded,
        columns=context.columns(
            "compute.workload",
            "compute.layout",
            "#compute.accelerators",
            "#compute.step",
            "#compute.mfu",
            "#compute.memory",
            "#compute.duration",
            "compute.why",
        ),
        rows=tuple(
            (
                Cell(text=one.workload),
                Cell(
                    text=layout(one),
                    below=_below(context, one),
                ),
                Cell(text=show.count(one.num_accelerators)),
                _step_time(context, one),
                Cell(text=show(one.mfu_fraction, units.Fraction)),
                Cell(
                    text=show(one.memory_bytes, units.Bytes),
                    below="" if one.fits else words("compute.no.fit"),
                    status="" if one.fits else "bad",
                ),
                Cell(text=show(one.duration_s, units.Seconds)),
                Cell(text=context.say(one.reason)),
            )
            for one in strategies
        ),
    )


def _below(context: Context, one: Strategy) -> str:
    """Return what a layout has beside its ranks."""
    words, show = context.words, context.show
    said = words(
        "compute.layout.below",
        zero=one.zero_stage,
        micro=one.micro_batch,
        batch=f"{one.num_global_batch:,}",
        precision=one.precision,
    )
    if one.chunks > 1:
        said += words("compute.layout.chunks", count=one.chunks)
    if one.recomputed_fraction:
        share = show(one.recomputed_fraction, units.Fraction)
        said += words("compute.layout.recomputed", share=share)
    return said


def _serving(context: Context) -> Table:
    words, show = context.words, context.show
    return Table(
        name="serving",
        caption=words("compute.serving"),
        columns=context.columns(
            "compute.service",
            "compute.pool",
            "#compute.accelerators",
            "#compute.requests",
            "#compute.tokens",
            "#compute.each",
            "compute.from",
        ),
        rows=tuple(
            (
                Cell(text=one.workload),
                Cell(text=one.pool, below=one.accelerator),
                Cell(text=show.count(one.num_accelerators)),
                Cell(text=show(one.requests_per_s, units.PerSecond)),
                Cell(text=show(one.demanded_tokens_per_s, units.TokensPerSecond)),
                Cell(
                    text=show(one.accelerator_tokens_per_s, units.TokensPerSecond),
                    estimated=one.estimated,
                ),
                Cell(text=context.say(one.reason)),
            )
            for one in context.design.spec.compute.serving
        ),
    )
