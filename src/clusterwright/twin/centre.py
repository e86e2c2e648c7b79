"""A design as the twin runs it: its nodes, its failures, its power, and the jobs of its demand.

Training campaigns are gangs of the chosen strategy. Experiments arrive at random (Poisson) with
log-normal durations through the two points of the demand. Simulation comes in bursts, one job a
server; processing fills its cores day by day; people hold their slice on working days; services run
all the time.
"""

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from clusterwright import compute
from clusterwright.catalog import Catalog
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.compute import Pool
from clusterwright.model.demand import Demand
from clusterwright.model.design import Design
from clusterwright.model.job import Job
from clusterwright.model.parts import Server
from clusterwright.model.work import Experiments, Inference, Processing, Seats, Simulation, Training
from clusterwright.twin.bills import Power
from clusterwright.twin.failures import restart_s
from clusterwright.twin.staging import Staging
from clusterwright.units import (
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    Bytes,
    Fraction,
    Seconds,
)

_WORKDAYS = 5  # of the seven days of a week; a run begins on a Monday
_MORNING_S = 9 * SECONDS_PER_HOUR  # people come around nine
_SPREAD_S = 1 * SECONDS_PER_HOUR  # within an hour of each other


def cluster_of(design: Design, catalog: Catalog) -> Cluster:
    """Return the nodes of a design, one queue for each pool."""
    plane = design.spec.fabric.planes.compute
    # On a rail-optimised plane the servers of one group share all their leaves, a leaf for a rail.
    leaves_per_pod = plane.radix // 2 // max(1, plane.num_rails) if plane.levels > 2 else 0
    groups = []
    for pool in design.spec.compute.pools:
        server = catalog.server(pool.server)
        groups.append(
            NodeGroup(
                queue=pool.name,
                num_nodes=pool.num_servers - pool.num_spare_servers,
                num_spares=pool.num_spare_servers,
                gpus_per_node=server.num_accelerators,
                cpus_per_node=server.num_cpus,
                nodes_per_domain=_nodes_per_domain(pool.accelerator, server, catalog),
                nodes_per_leaf=plane.radix // 2 if pool.role == "training" else 0,
                leaves_per_pod=leaves_per_pod if pool.role == "training" else 0,
                node_power_w=pool.server_power_w,
                gpu_model=pool.accelerator,
            )
        )
    return Cluster(groups=tuple(groups))


def power_of(design: Design, catalog: Catalog, *, hourly: bool) -> Power:
    """Return what a centre draws, pays and emits."""
    house = design.spec.facility
    servers = math.fsum(pool.power_w for pool in design.spec.compute.pools)
    region = catalog.region(house.region)
    series = catalog.series.get(region.series) if hourly else None
    return Power(
        idle_fraction=catalog.default("plan.idle_power", Fraction),
        busy_fraction=catalog.default("plan.busy_power", Fraction),
        asleep_fraction=catalog.default("plan.sleep_power", Fraction),
        down_fraction=catalog.default("plan.down_power", Fraction),
        other_power_w=(house.it_power_w - servers) * catalog.default("plan.busy_power", Fraction),
        pue_ratio=house.pue_ratio,
        price_usd_per_j=series.price_usd_per_j if series else (house.power_price_usd_per_j,),
        carbon_g_per_j=series.carbon_g_per_j if series else (house.carbon_g_per_j,),
    )


def staging_of(design: Design, *, prefetch: bool = True) -> Staging:
    """Return the way of a design's data: what the lake reads, and the hot tier takes and holds."""
    tiers = {tier.name: tier for tier in design.spec.storage.tiers}
    lake, hot = tiers["lake"], tiers["hot"]
    return Staging(
        hot_bytes=hot.usable_bytes,
        way_bytes_per_s=min(lake.read_bytes_per_s, hot.write_bytes_per_s),
        prefetch=prefetch,
    )


def jobs_of(
    demand: Demand, design: Design, catalog: Catalog, *, horizon_s: float, seed: int
) -> tuple[Job, ...]:
    """Return the jobs that a demand sends to its design in so much time."""
    jobs: list[Job] = []
    for work in demand.workloads:
        rng = np.random.default_rng([seed, zlib.crc32(work.name.encode())])
        pools = [pool for pool in design.spec.compute.pools if work.name in pool.workloads]
        if not pools:
            continue
        match work:
            case Training():
                jobs.extend(_campaigns(work, design, catalog, horizon_s))
            case Experiments():
                jobs.extend(_experiments(work, pools, catalog, horizon_s, rng))
            case Simulation():
                jobs.extend(_bursts(work, pools[0], catalog, horizon_s))
            case Processing():
                jobs.extend(_daily(work, pools[0], catalog, horizon_s))
            case Seats():
                jobs.extend(_at_work(work, pools, catalog, horizon_s, rng))
            case Inference():
                jobs.extend(_serving(work, design, catalog, horizon_s))
    return tuple(jobs)


def _nodes_per_domain(accelerator: str, server: Server, catalog: Catalog) -> int:
    if not accelerator or not server.num_accelerators:
        return 1
    return max(1, catalog.accelerator(accelerator).scaleup_domain // server.num_accelerators)


def _campaigns(work: Training, design: Design, catalog: Catalog, horizon_s: float) -> Iterator[Job]:
    chosen = next(
        (s for s in design.spec.compute.strategies if s.workload == work.name and s.chosen), None
    )
    rated = design.spec.reliability
    if chosen is None or rated is None:
        return
    steps = chosen.model_flop / (
        chosen.num_accelerators * chosen.peak_flop_per_s * chosen.mfu_fraction
    )
    starts = np.arange(0, horizon_s, work.every_s) if work.every_s else np.zeros(1)
    for number, start in enumerate(starts, start=1):
        yield Job(
            job_id=f"{work.name}-{number}",
            queue=chosen.pool,
            user=work.name,
            submit_s=float(start),
            duration_s=steps,
            deadline_s=float(start) + min(work.within_s, work.every_s or math.inf),
            num_gpus_ratio=float(chosen.num_accelerators),
            priority=work.priority,
            checkpoint_interval_s=rated.checkpoint_interval_s,
            checkpoint_stall_s=rated.checkpoint_write_s,
            restart_s=restart_s(catalog),
            dataset=work.name,
            dataset_bytes=chosen.num_accelerators * catalog.default("data.hot.capacity", Bytes),
        )


def _experiments(
    work: Experiments,
    pools: Sequence[Pool],
    catalog: Catalog,
    horizon_s: float,
    rng: np.random.Generator,
) -> Iterator[Job]:
    rate = work.jobs_per_day / SECONDS_PER_DAY
    count = int(rng.poisson(rate * horizon_s))
    submits = np.sort(rng.uniform(0, horizon_s, count))
    mu, sigma = compute.lognormal(work.duration)
    durations = rng.lognormal(mu, sigma, count)
    sizes = sorted(work.gpus_fraction)
    shares = np.array([work.gpus_fraction[size] for size in sizes])
    drawn = rng.choice(len(sizes), size=count, p=shares / shares.sum())
    lots = rng.random(count)
    for number in range(count):
        gpus = sizes[int(drawn[number])]
        yield Job(
            job_id=f"{work.name}-{number + 1}",
            queue=_pool_for(gpus, pools, catalog, float(lots[number])).name,
            user=f"{work.name}-{number % 16}",
            submit_s=float(submits[number]),
            duration_s=float(durations[number]),
            num_gpus_ratio=float(gpus),
            priority=work.priority,
        )


def _pool_for(gpus: int, pools: Sequence[Pool], catalog: Catalog, lot: float) -> Pool:
    """Return the pool of a job: where it fits, by lot in proportion to the pools' sizes."""
    per_server = {pool.name: catalog.server(pool.server).num_accelerators for pool in pools}
    wide = [pool for pool in pools if gpus > per_server[pool.name] and pool.role == "training"]
    narrow = [pool for pool in pools if gpus <= per_server[pool.name] and pool.role != "training"]
    fitting = wide or narrow or [pool for pool in pools if gpus <= pool.num_accelerators] or pools
    total = sum(pool.num_accelerators for pool in fitting)
    reached = 0.0
    for pool in fitting:
        reached += pool.num_accelerators / total
        if lot < reached:
            return pool
    return fitting[-1]


def _bursts(work: Simulation, pool: Pool, catalog: Catalog, horizon_s: float) -> Iterator[Job]:
    every = work.every_s or catalog.default("simulation.every", Seconds)
    waves = max(1, math.floor(work.within_s / work.case.duration_s))
    server = catalog.server(pool.server)
    cases_each = (
        server.num_accelerators // work.case.num_gpus
        if work.case.num_gpus
        else server.num_cpus // work.case.num_cpus
    )
    jobs = math.ceil(work.num_cases / (waves * max(1, cases_each)))
    for burst, start in enumerate(np.arange(0, horizon_s, every), start=1):
        for number in range(jobs):
            yield Job(
                job_id=f"{work.name}-{burst}-{number + 1}",
                queue=pool.name,
                user=work.name,
                submit_s=float(start),
                duration_s=waves * work.case.duration_s,
                num_gpus_ratio=float(server.num_accelerators if work.case.num_gpus else 0),
                num_cpus=server.num_cpus,
                priority=work.priority,
            )


def _daily(work: Processing, pool: Pool, catalog: Catalog, horizon_s: float) -> Iterator[Job]:
    cores = compute.processing_cores(work)
    each = catalog.server(pool.server).num_cpus
    for day, start in enumerate(np.arange(0, horizon_s, SECONDS_PER_DAY), start=1):
        left, number = cores, 0
        while left > 0:
            number += 1
            yield Job(
                job_id=f"{work.name}-day{day}-{number}",
                queue=pool.name,
                user=work.name,
                submit_s=float(start),
                duration_s=SECONDS_PER_DAY,
                num_cpus=min(each, left),
                priority=work.priority,
            )
            left -= each


def _at_work(
    work: Seats,
    pools: Sequence[Pool],
    catalog: Catalog,
    horizon_s: float,
    rng: np.random.Generator,
) -> Iterator[Job]:
    share = work.active_fraction
    active = share if share is not None else catalog.default("seats.active", Fraction)
    people = math.ceil(work.num_people * active)
    pool = next((one for one in pools if one.mig_profile == work.gpu), pools[0])
    accelerator = catalog.accelerator(pool.accelerator)
    slices = 1
    if work.gpu != "whole" and compute.has_profile(accelerator, work.gpu):
        slices = compute.mig_profile(accelerator, work.gpu).num_instances
    hours = catalog.default("seats.day", Seconds)
    for day in range(math.ceil(horizon_s / SECONDS_PER_DAY)):
        if day % 7 >= _WORKDAYS:
            continue
        comes = day * SECONDS_PER_DAY + _MORNING_S + rng.uniform(0, _SPREAD_S, people)
        for person in range(people):
            if comes[person] < horizon_s:
                yield Job(
                    job_id=f"{work.name}-day{day + 1}-{person + 1}",
                    queue=pool.name,
                    user=f"{work.name}-{person + 1}",
                    submit_s=float(comes[person]),
                    duration_s=hours,
                    num_gpus_ratio=1 / slices,
                    priority=work.priority,
                )


def _serving(work: Inference, design: Design, catalog: Catalog, horizon_s: float) -> Iterator[Job]:
    plan = next((one for one in design.spec.compute.serving if one.workload == work.name), None)
    pool = (
        None
        if plan is None
        else next((p for p in design.spec.compute.pools if p.name == plan.pool), None)
    )
    if plan is None or pool is None:
        return
    each = catalog.server(pool.server).num_accelerators
    left, number = plan.num_accelerators, 0
    while left > 0:
        number += 1
        job = Job(
            job_id=f"{work.name}-{number}",
            queue=pool.name,
            user=work.name,
            submit_s=0.0,
            duration_s=horizon_s,
            num_gpus_ratio=float(min(each, left)),
            priority=work.priority,
        )
        yield replace(job, priority=max(job.priority, 1))  # a service goes before experiments
        left -= each
