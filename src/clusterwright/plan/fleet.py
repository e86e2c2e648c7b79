"""Pools for accelerators that the demand gives: each kind a pool, the work over all of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from clusterwright import compute
from clusterwright.catalog import Catalog
from clusterwright.compute import TrainingWork
from clusterwright.model.compute import PoolRole, ServingPlan
from clusterwright.model.parts import Accelerator, Server
from clusterwright.model.work import Experiments, Processing, Seats, Simulation, Training
from clusterwright.plan.pools import Workforce, active_share, made, processing, serve, wait_on
from clusterwright.plan.terms import Terms
from clusterwright.plan.training import Load, Trained, campaigns_of, hot_read_each, train

Kind = tuple[Accelerator, Server, int, bool]  # accelerator, its server, how many, owned already


def staff_fleet(terms: Terms, catalog: Catalog) -> Workforce:
    """Return pools for accelerators that are given."""
    campaigns = campaigns_of(terms, catalog)
    kinds: list[Kind] = []
    for given in terms.demand.fleet:
        accelerator = catalog.accelerator(given.accelerator)
        server = catalog.server_for(accelerator.name)
        kinds.append((accelerator, server, given.num_accelerators, given.owned))
    total = sum(count for _, _, count, _ in kinds)
    streams = [one for one in terms.demand.workloads if isinstance(one, Experiments)]
    seats = [one for one in terms.demand.workloads if isinstance(one, Seats)]
    serving = serve(terms, catalog, kinds[0][0])
    asked, profile_at, missing = _asked_of_fleet(streams, seats, serving, kinds, catalog)
    trained = _train_on(terms, catalog, campaigns, kinds)
    asked += trained.load.gpus * trained.load.demanded
    share = min(1.0, asked / total) if total else 0.0
    names = tuple(
        one.name for one in terms.demand.workloads if not isinstance(one, Processing | Simulation)
    )
    wide = any(max(one.gpus_fraction) > k[1].num_accelerators for one in streams for k in kinds)
    role: PoolRole = "training" if campaigns or wide else "development"
    pools = []
    for number, (accelerator, server, count, owned) in enumerate(kinds):
        pool = made(
            _fleet_name(accelerator, kinds, number),
            role,
            accelerator.name,
            server,
            math.ceil(count / server.num_accelerators),
            terms,
            workloads=names,
            demanded=share,
            mig_profile=profile_at.get(number),
            owned=owned,
        )
        pools.append(replace(pool, num_accelerators=count))
    pools.append(processing(terms, catalog))
    present = tuple(pool for pool in pools if pool.num_servers)
    free = max(0, total - sum(_seat_gpus(seats, kinds, catalog).values()))
    return Workforce(
        pools=present,
        strategies=tuple(replace(s, pool=pools[0].name) for s in trained.strategies),
        serving=tuple(replace(plan, pool=pools[0].name) for plan in serving),
        waiting=tuple(wait_on(one, "all", free) for one in streams),
        reliability=trained.reliability,
        read_bytes_per_s=hot_read_each(catalog) * total,
        checkpoint_bytes=trained.strategies[0].checkpoint_bytes if trained.strategies else 0.0,
        missing=(*missing, *trained.missing),
    )


def _fleet_name(accelerator: Accelerator, kinds: Sequence[Kind], number: int) -> str:
    short = accelerator.name.split("-")[0].lower()
    alike = [one for one, _, _, _ in kinds if one.name.split("-")[0].lower() == short]
    return short if len(alike) == 1 else f"{short}-{number + 1}"


def _seat_gpus(
    seats: Sequence[Seats],
    kinds: Sequence[Kind],
    catalog: Catalog,
) -> Mapping[int, int]:
    """Return GPUs for seats by kind; each group takes the first kind that can be cut its way."""
    taken: dict[int, int] = {}
    for one in seats:
        fitting = [n for n, kind in enumerate(kinds) if compute.has_profile(kind[0], one.gpu)]
        if fitting:
            gpus = compute.seat_gpus(one, kinds[fitting[0]][0], active=active_share(one, catalog))
            taken[fitting[0]] = taken.get(fitting[0], 0) + gpus
    return taken


def _asked_of_fleet(
    streams: Sequence[Experiments],
    seats: Sequence[Seats],
    serving: Sequence[ServingPlan],
    kinds: Sequence[Kind],
    catalog: Catalog,
) -> tuple[float, Mapping[int, str], tuple[str, ...]]:
    asked = sum(compute.offered(one).num_gpus_mean for one in streams)
    asked += sum(plan.num_accelerators for plan in serving)
    asked += sum(_seat_gpus(seats, kinds, catalog).values())
    profiles: dict[int, str] = {}
    missing = []
    for one in seats:
        fitting = [n for n, kind in enumerate(kinds) if compute.has_profile(kind[0], one.gpu)]
        if not fitting:
            missing.append(f"{one.name}: no accelerator of the fleet can be cut into {one.gpu}")
        elif one.gpu != "whole":
            profiles[fitting[0]] = one.gpu
    return asked, profiles, tuple(missing)


def _train_on(
    terms: Terms,
    catalog: Catalog,
    campaigns: Sequence[tuple[Training, TrainingWork]],
    kinds: Sequence[Kind],
) -> Trained:
    """Train on the kind with the most peak, on the whole servers that people's slices leave."""
    if not campaigns:
        return Trained(load=Load(), strategies=(), reliability=None)
    number = max(
        range(len(kinds)), key=lambda n: kinds[n][2] * max(kinds[n][0].peak_flop_per_s.values())
    )
    accelerator, server, count, _ = kinds[number]
    seats = [one for one in terms.demand.workloads if isinstance(one, Seats)]
    left = count - _seat_gpus(seats, kinds, catalog).get(number, 0)
    whole = max(1, left // server.num_accelerators) * server.num_accelerators
    return train(terms, catalog, campaigns, accelerator, server, min(whole, count))
