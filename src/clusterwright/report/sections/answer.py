"""The first screen: what to build, when it delivers, what it costs, draws and emits, what binds."""

from dataclasses import dataclass

from clusterwright import units
from clusterwright.model.compute import Pool, Strategy
from clusterwright.report.blocks import Block, Cell, Fact, Table
from clusterwright.report.context import Context

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The first screen."""

    over: str
    """The line above: what the design is for."""
    verdict: str
    """Whether the demand is met, in words."""
    sentence: str
    """The answer."""
    cards: tuple[Fact, ...]
    """The five figures."""
    blocks: tuple[Block, ...]
    """What stands below them when the demand cannot be met."""


def answer(context: Context) -> Answer:
    """Return the first screen."""
    design, words = context.design, context.words
    facility = design.spec.facility
    count = len(design.status.conflicts)
    return Answer(
        over=words(
            "answer.over",
            name=design.name,
            region=facility.region,
            cooling=words.term(facility.cooling),
        ),
        verdict=words("answer.feasible")
        if design.status.feasible
        else words.many("answer.infeasible", count),
        sentence=sentence(context),
        cards=(_build(context), _deliver(context), _cost(context), _draw(context), _bind(context)),
        blocks=() if design.status.feasible else (_conflicts(context), *_relaxations(context)),
    )


def main_pool(context: Context) -> Pool | None:
    """Return the pool that the centre is built around: that of the largest campaign or service."""
    compute, strategy = context.design.spec.compute, main_strategy(context)
    name = "" if strategy is None else strategy.pool
    if strategy is None and compute.serving:
        name = max(compute.serving, key=lambda one: one.num_accelerators).pool
    return max(
        compute.pools,
        key=lambda pool: (pool.name == name, pool.num_accelerators, pool.num_servers),
        default=None,
    )


def main_strategy(context: Context) -> Strategy | None:
    """Return the strategy of the largest campaign; None when nothing trains."""
    chosen = [one for one in context.design.spec.compute.strategies if one.chosen]
    return max(chosen, key=lambda one: one.accelerator_hours, default=None)


def sentence(context: Context) -> str:
    """Return the answer in one sentence."""
    words, show, spec = context.words, context.show, context.design.spec
    ledger = spec.bottlenecks
    values = {
        "built": _built(context),
        "capex": show(spec.economics.capex_usd, units.Usd),
        "power": show(spec.facility.facility_power_w, units.Watts),
        "stage": context.say(ledger[0].stage) if ledger else "",
    }
    strategy = main_strategy(context)
    mixed = _mixed(context) if strategy is None and not spec.compute.serving else ()
    if mixed:
        values["built"] = _built_mixed(context, mixed)
    tail = words("answer.sentence.binds", **values) if ledger else words("answer.sentence.end")
    servers = main_pool(context)
    count = servers.num_servers if servers else 0
    count = sum(pool.num_servers for pool in mixed) or count
    if strategy is not None:
        head = words.many(
            "answer.sentence.training",
            count,
            **values,
            workload=strategy.workload,
            duration=show(strategy.duration_s, units.Seconds),
        )
    elif spec.compute.serving:
        head = words.many(
            "answer.sentence.serving",
            count,
            **values,
            workload=_services(context),
            rate=show.factor(sum(one.requests_per_s for one in spec.compute.serving)),
        )
    else:
        head = words.many("answer.sentence.plain", count, **values)
    sentence = head + tail
    if context.design.status.feasible:
        return sentence
    return words("answer.sentence.closest", sentence=sentence)


def _mixed(context: Context) -> tuple[Pool, ...]:
    """Return the pools with accelerators when they are of several kinds; else none."""
    pools = tuple(one for one in context.design.spec.compute.pools if one.accelerator)
    return pools if len({one.accelerator for one in pools}) > 1 else ()


def _built_mixed(context: Context, pools: tuple[Pool, ...]) -> str:
    words = context.words
    return words(
        "answer.built.mixed",
        servers=words.many("answer.servers", sum(one.num_servers for one in pools)),
        accelerators=f"{sum(one.num_accelerators for one in pools):,}",
        kinds=len({one.accelerator for one in pools}),
    )


def _services(context: Context) -> str:
    words, serving = context.words, context.design.spec.compute.serving
    names = [one.workload for one in serving]
    if len(names) > _MOST_NAMED:
        return words("answer.services", count=len(names))
    return words.listed(names)


def _built(context: Context) -> str:
    words, pool = context.words, main_pool(context)
    if pool is None:
        return words("answer.built.nothing")
    servers = words.many("answer.servers", pool.num_servers)
    if pool.accelerator:
        return words(
            "answer.built.accelerators",
            servers=servers,
            accelerators=f"{pool.num_accelerators:,}",
            accelerator=pool.accelerator,
        )
    return words("answer.built.servers", servers=servers, server=pool.server)


def _build(context: Context) -> Fact:
    words, spec, pool = context.words, context.design.spec, main_pool(context)
    racks = words.many("answer.racks", spec.facility.num_racks)
    if pool is None:
        text, below = words("number.none"), racks
    elif pool.accelerator:
        total = sum(one.num_accelerators for one in spec.compute.pools)
        text = words("answer.gpus", count=f"{pool.num_accelerators:,}")
        below = words(
            "answer.build.below",
            accelerator=pool.accelerator,
            servers=words.many("answer.servers", pool.num_servers),
            racks=racks,
        )
        if total > pool.num_accelerators:
            below += words("answer.build.others", count=f"{total - pool.num_accelerators:,}")
    else:
        text = words.many("answer.servers", pool.num_servers)
        below = f"{pool.server}, {racks}"
    path = ""
    if pool is not None:
        figures = [f"spec.compute.pools[{pool.name}].{one}" for one in ("num_servers", "num_racks")]
        path = next((one for one in figures if context.note(one)), "")
    return Fact(name=words("answer.card.build"), value=context.cell(text, below=below, path=path))


def _deliver(context: Context) -> Fact:
    words, show, spec = context.words, context.show, context.design.spec
    strategy = main_strategy(context)
    title = words("answer.card.deliver")
    if strategy is not None:
        place = spec.compute.strategies.index(strategy)
        goodput = spec.reliability.goodput_fraction if spec.reliability else None
        below = words("answer.deliver.training", workload=strategy.workload)
        if goodput is not None:
            below += words("answer.deliver.goodput", share=show(goodput, units.Fraction))
        return Fact(
            name=title,
            value=context.cell(
                show(strategy.duration_s, units.Seconds),
                below=below,
                path=f"spec.compute.strategies[{place}].duration_s",
            ),
        )
    if spec.compute.serving:
        rate = sum(one.requests_per_s for one in spec.compute.serving)
        names = _services(context)
        return Fact(
            name=title,
            value=context.cell(
                show(rate, units.PerSecond),
                below=words("answer.deliver.serving", workloads=names),
                estimated=any(one.estimated for one in spec.compute.serving),
            ),
        )
    pool = main_pool(context)
    share = pool.demanded_fraction if pool else None
    return Fact(
        name=title,
        value=context.cell(
            show(share, units.Fraction), below=words("answer.deliver.plain") if pool else ""
        ),
    )


def _cost(context: Context) -> Fact:
    words, show, money = context.words, context.show, context.design.spec.economics
    return Fact(
        name=words("answer.card.cost"),
        value=context.cell(
            show(money.capex_usd, units.Usd),
            below=words(
                "answer.cost.below",
                range=show.between(money.capex_low_usd, money.capex_high_usd, units.Usd),
                tco=show(money.tco_usd, units.Usd),
                years=show(money.depreciation_s, units.Seconds),
            ),
            estimated=any(line.estimated for line in money.bom),
            path="spec.economics.capex_usd",
        ),
    )


def _draw(context: Context) -> Fact:
    words, show, facility = context.words, context.show, context.design.spec.facility
    return Fact(
        name=words("answer.card.draw"),
        value=context.cell(
            show(facility.facility_power_w, units.Watts),
            below=words(
                "answer.draw.below",
                energy=show(facility.energy_j_per_year, units.JoulesPerYear),
                carbon=show(facility.carbon_g_per_year, units.GramsPerYear),
            ),
            path="spec.facility.facility_power_w",
        ),
    )


def _bind(context: Context) -> Fact:
    words, ledger = context.words, context.design.spec.bottlenecks
    if not ledger:
        return Fact(name=words("answer.card.bind"), value=Cell(text=words("number.none")))
    first = ledger[0]
    below = headroom(context, first.headroom_fraction)
    if len(ledger) > 1:
        below += words("answer.bind.next", stage=context.say(ledger[1].stage))
    return Fact(
        name=words("answer.card.bind"), value=Cell(text=context.say(first.stage), below=below)
    )


def headroom(context: Context, fraction: float) -> str:
    """Return what is left of a capacity, or missing, in words."""
    key = "ledger.short" if fraction < 0 else "ledger.left"
    return context.words(key, share=context.show(abs(fraction), units.Fraction, digits=2))


def _conflicts(context: Context) -> Table:
    words, show = context.words, context.show
    return Table(
        name="conflicts",
        caption=words("conflicts.caption"),
        columns=context.columns(
            "conflicts.limit", "conflicts.asked", "conflicts.reached", "#conflicts.missing"
        ),
        rows=tuple(
            (
                Cell(text=one.limit, code=True),
                Cell(text=context.say(one.asked)),
                Cell(text=context.say(one.reached), status="bad"),
                Cell(
                    text=words("number.none")
                    if one.shortfall_ratio is None
                    else show(one.shortfall_ratio, units.Fraction)
                ),
            )
            for one in context.design.status.conflicts
        ),
    )


def _relaxations(context: Context) -> tuple[Table, ...]:
    words, relaxations = context.words, context.design.status.relaxations
    if not relaxations:
        return ()
    return (
        Table(
            name="relaxations",
            caption=words("relaxations.caption"),
            columns=context.columns("relaxations.path", "relaxations.change", "relaxations.effect"),
            rows=tuple(
                (
                    Cell(text=one.path, code=True),
                    Cell(text=one.change, strong=True),
                    Cell(text=context.say(one.effect)),
                )
                for one in relaxations
            ),
        ),
    )
