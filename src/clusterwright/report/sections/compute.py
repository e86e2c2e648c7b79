"""Pools of servers, how the campaigns are spread over them, and what serving needs."""

from clusterwright import units
from clusterwright.model.compute import Pool, Strategy
from clusterwright.report.blocks import Block, Cell, Facts, Section, Table
from clusterwright.report.context import Context
from clusterwright.report.sections.answer import main_strategy

_MOST_POOLS = 24


def section(context: Context) -> Section:
    """Return the section."""
    words, compute = context.words, context.design.spec.compute
    blocks: list[Block] = [*_campaign(context), _pools(context)]
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
    show, one = context.show, main_strategy(context)
    if one is None:
        return ()
    place = context.design.spec.compute.strategies.index(one)
    path = f"spec.compute.strategies[{place}]."
    items = [
        context.fact("compute.layout", layout(one)),
        context.fact(
            "compute.mfu", show(one.mfu_fraction, units.Fraction), path=f"{path}mfu_fraction"
        ),
        context.fact("compute.step", show(one.step_time_s, units.Seconds)),
        context.fact("compute.rate", show(one.tokens_per_s, units.TokensPerSecond)),
        context.fact(
            "compute.duration", show(one.duration_s, units.Seconds), path=f"{path}duration_s"
        ),
        context.fact("compute.hours", show(one.accelerator_hours, units.AcceleratorHours)),
        context.fact("compute.memory", show(one.memory_bytes, units.Bytes)),
        context.fact("compute.checkpoint", show(one.checkpoint_bytes, units.Bytes)),
    ]
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
                    below=words(
                        "compute.layout.below",
                        zero=one.zero_stage,
                        micro=one.micro_batch,
                        batch=f"{one.num_global_batch:,}",
                        precision=one.precision,
                    ),
                ),
                Cell(text=show.count(one.num_accelerators)),
                Cell(text=show(one.step_time_s, units.Seconds)),
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
