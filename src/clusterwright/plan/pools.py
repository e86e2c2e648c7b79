"""Which servers the work takes: pools by what the work needs of the network.

Gangs that are wider than a server train on the training pool, which stands on the compute plane.
Jobs that fit in one server and people's slices share the development pool; services have their own;
simulation and processing take CPU servers. A fleet that the demand gives is planned in `fleet`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clusterwright import compute
from clusterwright.catalog import Catalog
from clusterwright.compute import TrainingWork
from clusterwright.facility import servers_per_rack
from clusterwright.model.compute import Pool, PoolRole, ServingPlan, Strategy
from clusterwright.model.parts import Accelerator, Server
from clusterwright.model.reliability import Reliability
from clusterwright.model.work import Experiments, Inference, Processing, Seats, Simulation, Training
from clusterwright.plan.terms import Terms
from clusterwright.plan.training import Load, campaigns_of, hot_read_each, train
from clusterwright.units import SECONDS_PER_DAY, BytesPerSecond, Fraction, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How long jobs of a stream wait on their pool."""

    workload: str
    """Name of the stream."""
    pool: str
    """Pool that it waits for."""
    p95_s: Seconds
    """Nineteen of twenty start within this; infinite when the pool is overloaded."""
    asked_s: Seconds | None
    """Bound of the demand; absent, none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workforce:
    """Everything that computes, and what it asks of the rest."""

    pools: tuple[Pool, ...]
    """Pools, training first."""
    strategies: tuple[Strategy, ...]
    """Strategies by campaign, the chosen one first."""
    serving: tuple[ServingPlan, ...]
    """Services."""
    waiting: tuple[Waiting, ...]
    """Waiting by stream."""
    reliability: Reliability | None
    """Of the largest gang; absent when nothing trains."""
    read_bytes_per_s: BytesPerSecond
    """What all accelerators read from the hot tier by the default rate."""
    checkpoint_bytes: float
    """Largest full checkpoint."""
    missing: tuple[str, ...]
    """Workloads that no pool can take, with the reason."""


def staff_pools(
    terms: Terms, catalog: Catalog, accelerator: Accelerator, *, training_pool: int | None = None
) -> Workforce:
    """Return the pools for a demand on one accelerator.

    Parameters
    ----------
    terms
        The demand made complete.
    catalog
        What can be bought.
    accelerator
        Accelerator of training and development.
    training_pool
        Accelerators of the training pool, to try another size than the demand states or needs.

    Raises
    ------
    UnknownName
        If the accelerator cannot do what a workload asks, such as a number format.
    """
    server = catalog.server_for(accelerator.name)
    campaigns = campaigns_of(terms, catalog)
    sized = train(terms, catalog, campaigns, accelerator, server, training_pool)
    wide, narrow = _split(terms.demand.workloads, server.num_accelerators)
    stated = _is_stated(campaigns)
    training = _with_wide(sized.load, wide, catalog, server, stated=stated)
    spares = 0 if stated else num_spares(sized.reliability, catalog)
    pools = [_pool("training", "training", accelerator, server, training, terms, spares=spares)]
    waiting = [wait_on(one, "training", pools[0].num_accelerators) for one in wide]
    development, dev_waiting = _development(terms, catalog, accelerator, server, narrow)
    pools.append(_pool("development", "development", accelerator, server, development, terms))
    serving = serve(terms, catalog, accelerator)
    pools.extend(_serving_pools(serving, catalog, terms))
    pools.append(processing(terms, catalog))
    present = tuple(pool for pool in pools if pool.num_servers)
    return Workforce(
        pools=present,
        strategies=sized.strategies,
        serving=serving,
        waiting=(*waiting, *dev_waiting),
        reliability=sized.reliability,
        read_bytes_per_s=_read_rate(present, catalog),
        checkpoint_bytes=max((one.checkpoint_bytes for one in sized.strategies), default=0.0),
        missing=sized.missing,
    )


def num_spares(reliability: Reliability | None, catalog: Catalog) -> int:
    """Return the servers that stand by so that a failed one rarely stops the largest gang.

    Servers in repair are Poisson distributed about failures a day times the days of a repair; the
    spares are the fewest that are exceeded in no more than `plan.spare_risk` of the time. A pool
    that the demand states is taken as it is.
    """
    if reliability is None:
        return 0
    days = catalog.default("plan.node_repair", Seconds) / SECONDS_PER_DAY
    mean = reliability.interruptions_per_day * days
    within = 1 - catalog.default("plan.spare_risk", Fraction)
    spares, chance = 0, math.exp(-mean)
    covered = chance
    while covered < within and chance > 0.0:
        spares += 1
        chance *= mean / spares
        covered += chance
    return spares


def _is_stated(campaigns: Sequence[tuple[Training, TrainingWork]]) -> bool:
    return any(one.num_accelerators is not None for one, _ in campaigns)


def _split(
    workloads: Sequence[object], per_server: int
) -> tuple[list[Experiments], list[Experiments]]:
    """Return streams of jobs wider than a server, and of those that fit in one."""
    wide: list[Experiments] = []
    narrow: list[Experiments] = []
    for one in workloads:
        if isinstance(one, Experiments):
            for kept, target in (
                ({n: f for n, f in one.gpus_fraction.items() if n > per_server}, wide),
                ({n: f for n, f in one.gpus_fraction.items() if n <= per_server}, narrow),
            ):
                share = sum(kept.values())
                if share > 0:
                    target.append(
                        replace(
                            one,
                            jobs_per_day=one.jobs_per_day * share,
                            gpus_fraction={n: f / share for n, f in kept.items()},
                        )
                    )
    return wide, narrow


def _with_wide(
    load: Load, wide: Sequence[Experiments], catalog: Catalog, server: Server, *, stated: bool
) -> Load:
    """Add streams of wide jobs to the training pool; a stated pool is shared and does not grow."""
    if not wide:
        return load
    offered = [compute.offered(one) for one in wide]
    mean = sum(one.num_gpus_mean for one in offered)
    gpus = load.gpus
    if not stated:
        gpus += sum(_gpus_for(one, catalog, server.num_accelerators) for one in wide)
    return Load(
        gpus=gpus,
        workloads=(*load.workloads, *(one.name for one in wide)),
        demanded=min(1.0, (load.demanded * load.gpus + mean) / gpus) if gpus else 0.0,
    )


def _gpus_for(one: Experiments, catalog: Catalog, step: int) -> int:
    return compute.gpus_needed(
        compute.offered(one),
        p95_wait_s=one.wait.p95_s if one.wait else None,
        utilization=catalog.default("experiments.utilization", Fraction),
        step=step,
    )


def wait_on(one: Experiments, pool: str, num_gpus: int) -> Waiting:
    """Return how long a stream waits on so many GPUs."""
    return Waiting(
        workload=one.name,
        pool=pool,
        p95_s=compute.wait_p95_s(compute.offered(one), num_gpus),
        asked_s=one.wait.p95_s if one.wait else None,
    )


def _development(
    terms: Terms,
    catalog: Catalog,
    accelerator: Accelerator,
    server: Server,
    narrow: Sequence[Experiments],
) -> tuple[Load, list[Waiting]]:
    """Add up seats, small jobs and simulation on GPUs, in whole servers."""
    gpus, mean, names, profile = 0.0, 0.0, [], None
    waiting = []
    for one in terms.demand.workloads:
        if isinstance(one, Seats):
            active = active_share(one, catalog)
            wanted = one
            if not compute.has_profile(accelerator, one.gpu):
                wanted = replace(one, gpu="whole")  # an uncut accelerator each; said in the choices
            else:
                profile = one.gpu if one.gpu != "whole" else profile
            seats = compute.seat_gpus(wanted, accelerator, active=active)
            gpus, mean = gpus + seats, mean + seats * active
            names.append(one.name)
        elif isinstance(one, Simulation) and one.case.num_gpus:
            gpus += compute.simulation_gpus(one)
            names.append(one.name)
    for stream in narrow:
        share = _gpus_for(stream, catalog, server.num_accelerators)
        gpus, mean = gpus + share, mean + compute.offered(stream).num_gpus_mean
        names.append(stream.name)
        waiting.append(wait_on(stream, "development", share))
    whole = math.ceil(gpus / server.num_accelerators) * server.num_accelerators
    return (
        Load(
            gpus=whole,
            workloads=tuple(names),
            demanded=min(1.0, mean / whole) if whole else 0.0,
            mig_profile=profile,
        ),
        waiting,
    )


def active_share(seats: Seats, catalog: Catalog) -> float:
    """Return the share of the people who work on a GPU at the busiest time."""
    if seats.active_fraction is not None:
        return seats.active_fraction
    return catalog.default("seats.active", Fraction)


def serve(terms: Terms, catalog: Catalog, accelerator: Accelerator) -> tuple[ServingPlan, ...]:
    """Return what each service needs."""
    measured = [
        (row, catalog.presets[row.model], catalog.accelerators[row.accelerator])
        for row in catalog.inference.values()
        if row.model in catalog.presets
    ]
    plans = []
    for one in terms.demand.workloads:
        if not isinstance(one, Inference):
            continue
        host = catalog.accelerator(one.accelerator) if one.accelerator else accelerator
        model = catalog.preset(one.model) if isinstance(one.model, str) else one.model
        shape = compute.shape_of(model)
        name = catalog.preset(one.model).name if isinstance(one.model, str) else ""
        rate = compute.throughput(
            shape.num_active_parameters,
            name,
            host,
            measured,
            scenario=catalog.default_text("inference.scenario"),
        )
        demanded = compute.demanded_tokens_per_s(
            one, prompt_worth=catalog.default("plan.prefill_token_worth", Fraction)
        )
        headroom = one.headroom_fraction
        if headroom is None:
            headroom = catalog.default("inference.headroom", Fraction)
        reserve = catalog.default("plan.memory_reserve", Fraction)
        count = compute.serving_accelerators(
            demanded,
            rate.output_tokens_per_s,
            headroom=headroom,
            weights_bytes=2.0 * shape.num_parameters,  # bytes of a bf16 weight
            memory=host.memory_bytes * (1 - reserve),
        )
        plans.append(
            ServingPlan(
                workload=one.name,
                pool="serving",
                accelerator=host.name,
                num_accelerators=count,
                requests_per_s=one.requests_per_s,
                demanded_tokens_per_s=demanded,
                accelerator_tokens_per_s=rate.output_tokens_per_s,
                estimated=rate.estimated,
                reason=rate.reason,
            )
        )
    hosts = list(dict.fromkeys(plan.accelerator for plan in plans))
    if len(hosts) < 2:
        return tuple(plans)
    return tuple(replace(plan, pool=f"serving-{plan.accelerator}") for plan in plans)


def _serving_pools(serving: Sequence[ServingPlan], catalog: Catalog, terms: Terms) -> list[Pool]:
    by_pool: dict[str, list[ServingPlan]] = {}
    for plan in serving:
        by_pool.setdefault(plan.pool, []).append(plan)
    pools = []
    for name, plans in by_pool.items():
        host = catalog.accelerator(plans[0].accelerator)
        gpus = sum(plan.num_accelerators for plan in plans)
        busy = sum(plan.demanded_tokens_per_s / plan.accelerator_tokens_per_s for plan in plans)
        load = Load(
            gpus=gpus,
            workloads=tuple(plan.workload for plan in plans),
            demanded=min(1.0, busy / gpus),
        )
        server = catalog.server_for(host.name)
        pools.append(_pool(name, "serving", host, server, load, terms))
    return pools


def processing(terms: Terms, catalog: Catalog) -> Pool:
    """Return the pool of CPU servers for simulation and processing."""
    server = catalog.server(catalog.default_text("plan.cpu_server"))
    bursts, steady, names = 0, 0, []
    busy = 0.0
    for one in terms.demand.workloads:
        if isinstance(one, Simulation) and not one.case.num_gpus:
            cores = compute.simulation_cores(one)
            every = one.every_s or catalog.default("simulation.every", Seconds)
            bursts = max(bursts, cores)
            busy += cores * min(1.0, one.within_s / every)
            names.append(one.name)
        elif isinstance(one, Processing):
            steady += compute.processing_cores(one)
            busy += compute.processing_cores(one)
            names.append(one.name)
    cores = bursts + steady
    count = math.ceil(cores / server.num_cpus)
    return made(
        "processing",
        "processing",
        "",
        server,
        count,
        terms,
        workloads=tuple(names),
        demanded=min(1.0, busy / (count * server.num_cpus)) if count else 0.0,
    )


def _pool(
    name: str,
    role: PoolRole,
    accelerator: Accelerator,
    server: Server,
    load: Load,
    terms: Terms,
    *,
    spares: int = 0,
) -> Pool:
    count = math.ceil(load.gpus / server.num_accelerators) + spares
    return made(
        name,
        role,
        accelerator.name,
        server,
        count,
        terms,
        workloads=load.workloads,
        demanded=load.demanded,
        mig_profile=load.mig_profile,
        spares=spares,
    )


def made(
    name: str,
    role: PoolRole,
    accelerator: str,
    server: Server,
    count: int,
    terms: Terms,
    *,
    workloads: tuple[str, ...],
    demanded: float,
    mig_profile: str | None = None,
    owned: bool = False,
    spares: int = 0,
) -> Pool:
    """Return a pool of so many servers, spares included."""
    per_rack = per_rack_of(server, terms)
    return Pool(
        name=name,
        role=role,
        accelerator=accelerator,
        server=server.name,
        num_servers=count,
        num_accelerators=count * server.num_accelerators,
        num_spare_servers=spares,
        num_cpus=count * server.num_cpus,
        server_power_w=server.max_power_w,
        power_w=count * server.max_power_w,
        num_racks=math.ceil(count / per_rack),
        servers_per_rack=per_rack,
        workloads=workloads,
        demanded_fraction=demanded,
        mig_profile=mig_profile,
        owned=owned,
        estimated=server.provenance.estimated(""),
    )


def per_rack_of(server: Server, terms: Terms) -> int:
    """Return servers of a rack: by power and height, one where the rack is the server."""
    if server.whole_rack:
        return 1
    fit = servers_per_rack(
        server.max_power_w,
        server.rack_units,
        rack_power_w=terms.rack_power_w,
        rack_units=terms.rack_units,
    )
    return max(1, fit)


def _read_rate(pools: Sequence[Pool], catalog: Catalog) -> float:
    return hot_read_each(catalog) * sum(
        pool.num_accelerators for pool in pools if pool.role == "training"
    )
