"""Campaigns joined with goodput to a fixed point: what they take, how often they are stopped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright import compute, reliability
from clusterwright.catalog import Catalog
from clusterwright.compute import Campaign, Hardware, TrainingWork
from clusterwright.errors import UnknownName
from clusterwright.model.compute import Strategy
from clusterwright.model.parts import Accelerator, Server
from clusterwright.model.reliability import Reliability
from clusterwright.model.work import Training
from clusterwright.plan.terms import Terms
from clusterwright.units import BytesPerSecond, Count, Fraction, Seconds

_MOST_ROUNDS = 24  # of the fixed point; goodput moves a count by a few percent, it settles in three


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one pool is asked for."""

    gpus: float = 0.0
    workloads: tuple[str, ...] = ()
    demanded: float = 0.0
    mig_profile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What the campaigns take."""

    load: Load
    strategies: tuple[Strategy, ...]
    reliability: Reliability | None
    missing: tuple[str, ...] = ()


def campaigns_of(terms: Terms, catalog: Catalog) -> list[tuple[Training, TrainingWork]]:
    """Return the campaigns of a demand with their work."""
    trainings = [one for one in terms.demand.workloads if isinstance(one, Training)]
    return [(one, work_of(one, catalog)) for one in trainings]


def work_of(one: Training, catalog: Catalog) -> TrainingWork:
    """Return the work of a campaign."""
    model = catalog.preset(one.model) if isinstance(one.model, str) else one.model
    batch_tokens = catalog.default("training.global_batch", Count)
    # A power of two, as recipes take it, so that copies and micro-batches divide it.
    usual = 2 ** round(math.log2(max(1.0, batch_tokens / model.sequence_length)))
    batch = one.num_global_batch or usual
    tokens = one.num_tokens or (one.num_samples or 0.0) * model.sequence_length
    return TrainingWork(
        name=one.name,
        model=model,
        num_tokens=tokens,
        within_s=one.within_s,
        precision=one.precision or catalog.default_text("training.precision"),
        num_global_batch=int(batch),
        stated=one.parallel,
    )


def hardware_of(
    work: TrainingWork, accelerator: Accelerator, server: Server, catalog: Catalog
) -> Hardware:
    """Return what a campaign would run on; an accelerator without bf16 trains in fp16."""
    name = work.precision
    if name not in accelerator.peak_flop_per_s and name == "bf16":
        name = "fp16"
    if name not in accelerator.peak_flop_per_s:
        raise UnknownName.of(
            f"number format of {accelerator.name}", work.precision, accelerator.peak_flop_per_s
        )
    software = catalog.software[catalog.default_text("training.software")]
    case = compute.case_of(work, accelerator, software, name)
    error, checked = compute.error_of(case, catalog)
    return Hardware(
        accelerator=accelerator,
        precision=name,
        software=software,
        factors=catalog.step_factors,
        error=error,
        checked=checked,
        num_per_server=server.num_accelerators,
        reserve_fraction=catalog.default("plan.memory_reserve", Fraction),
        checkpoint_bytes_per_parameter=catalog.default("plan.checkpoint_bytes_per_parameter"),
    )


def train(
    terms: Terms,
    catalog: Catalog,
    campaigns: Sequence[tuple[Training, TrainingWork]],
    accelerator: Accelerator,
    server: Server,
    pool: int | None,
) -> Trained:
    """Size the campaigns: goodput lengthens training, which takes more, which fail more often."""
    found: list[Strategy] = []
    largest: Reliability | None = None
    total, missing = 0, []
    for one, work in campaigns:
        campaign = Campaign(work, hardware_of(work, accelerator, server, catalog))
        fixed = pool if pool is not None else one.num_accelerators
        count, rated = _settled(campaign, catalog, terms, fixed)
        shown = compute.strategies(campaign, count, pool="training", goodput=rated.goodput_fraction)
        if not shown:
            missing.append(f"{one.name}: no layout of the model is legal on {count:,}")
            continue
        found.extend(shown)
        total += count
        if largest is None or rated.num_accelerators > largest.num_accelerators:
            largest = rated
    load = Load(
        gpus=total,
        workloads=tuple(one.name for one, _ in campaigns),
        demanded=_duty(campaigns, found, terms),
    )
    return Trained(load=load, strategies=tuple(found), reliability=largest, missing=tuple(missing))


def _settled(
    campaign: Campaign, catalog: Catalog, terms: Terms, fixed: int | None
) -> tuple[int, Reliability]:
    """Return count and reliability once neither moves the other any more."""
    hardware = campaign.hardware
    unit = int(catalog.default("plan.scalable_unit_servers"))
    count = 0
    rated = _reliability(hardware.num_per_server, campaign, catalog, terms)
    for _ in range(_MOST_ROUNDS):
        if fixed is None:
            wanted = compute.accelerators_needed(
                campaign,
                goodput_fraction=rated.goodput_fraction,
                num_per_server=hardware.num_per_server,
                unit_servers=unit if hardware.num_per_server <= unit else 1,
            )
        else:
            step = math.lcm(hardware.num_per_server, campaign.replica)
            wanted = math.ceil(fixed / step) * step
        wanted = max(wanted, count)  # never down: a smaller count would raise goodput and shrink on
        rated = _reliability(wanted, campaign, catalog, terms)
        if wanted == count:
            break
        count = wanted
    return count, rated


def _reliability(count: int, campaign: Campaign, catalog: Catalog, terms: Terms) -> Reliability:
    rates = tuple(catalog.failure_rates.values())
    write = hot_write_bytes_per_s(terms, catalog, count * hot_read_each(catalog))
    size = campaign.hardware.checkpoint_bytes_per_parameter * campaign.work.shape.num_parameters
    stall = size / write * catalog.default("plan.checkpoint_stall", Fraction)
    return reliability.assess(
        count,
        rates,
        checkpoint_stall_s=stall,
        restart_s=catalog.default("plan.detect_and_restart", Seconds),
        source=catalog.cite(rates[0].provenance),
    )


def hot_read_each(catalog: Catalog) -> float:
    """Return the default read rate for one accelerator."""
    return catalog.default("data.hot.read", BytesPerSecond)


def hot_write_bytes_per_s(terms: Terms, catalog: Catalog, read_bytes_per_s: float) -> float:
    """Return the write rate of the hot tier: as stated, or a share of its read rate."""
    hot = terms.demand.data.hot
    if hot is not None and hot.write_bytes_per_s:
        return hot.write_bytes_per_s
    read = read_bytes_per_s
    if hot is not None and hot.read_bytes_per_s:
        read = hot.read_bytes_per_s
    return read * catalog.default("plan.hot_write_share", Fraction)


def _duty(
    campaigns: Sequence[tuple[Training, TrainingWork]], found: Sequence[Strategy], terms: Terms
) -> float:
    """Return the share of the pool's time that campaigns take; as planned for single ones."""
    shares = []
    for one, _ in campaigns:
        lasts = next((s.duration_s for s in found if s.workload == one.name and s.chosen), 0.0)
        shares.append(
            terms.utilization_fraction if one.every_s is None else min(1.0, lasts / one.every_s)
        )
    return max(shares, default=0.0)
