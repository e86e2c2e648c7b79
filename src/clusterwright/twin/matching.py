"""Which accelerators a job is held to, where they differ: those that it makes best use of.

A linear program shares the work of all jobs out over the accelerators of their pool. Its prices
say what an hour of each is worth to the others; what a job costs on an accelerator is that price
over its speed there. On busy nodes a job is held to those that cost it least, or nearly so, and
waits for them, the fastest of them first; where much stands idle it may take any.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from clusterwright.model.cluster import Cluster
from clusterwright.model.job import Job
from clusterwright.sched import State, policy_of
from clusterwright.sched.nodes import Ask, Pool
from clusterwright.twin.speed import Roofline, speeds_on
from clusterwright.units import Ratio

Floats = npt.NDArray[np.float64]

_STEPS = 20  # memory-bound parts are told apart by twentieths
_ROOM = 0.85  # so far the program fills an accelerator before it makes others pay for it
_BUSY = 0.6  # below this load nobody is held back
_NEAR = 0.25  # how much dearer than the cheapest those may be that a job is held to
_SMALLER = 0.99
_FULL = 0.9  # load below which it may be dearer yet
_EASED = 2.0  # by how much, for each part of the load that is missing
_OVERLOAD = 1e3  # what filling beyond that costs, over all that is filled: it goes first


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What the accelerators of a pool are worth."""

    load_ratio: Ratio
    """Load at the best match: work over what its accelerators can do in the time it comes in."""
    price_ratio: Mapping[str, Ratio]
    """What an hour of each accelerator is worth, over an hour that nobody else wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Jobs, each with the accelerators that it tries."""

    jobs: tuple[Job, ...]
    """The jobs, with `gpu_models` in the order in which they are tried, the fastest first."""
    usable: Mapping[str, tuple[str, ...]]
    """What each job could use before; `Speeds` needs it."""
    pools: Mapping[str, Prices]
    """Load and prices by pool."""
    num_held: int
    """Jobs that are held to less than could hold them."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What tells jobs apart here."""

    pool: str
    ask: Ask
    waits: float | None


def matched(
    cluster: Cluster,
    jobs: Sequence[Job],
    bounds: Mapping[str, Roofline],
    *,
    pooled: bool = False,
    typical: Sequence[Job] = (),
) -> Matching:
    """Return jobs with the accelerators that each is held to.

    Nobody is held to nodes that could not hold them even if they were empty.

    Parameters
    ----------
    cluster
        The nodes.
    jobs
        The jobs.
    bounds
        What accelerators can do, of the models in the cluster.
    pooled
        Whether queues share all nodes, as for `run`.
    typical
        Jobs from which load and mix are taken, such as those of an earlier month; absent, `jobs`.
    """
    state = State(cluster, [*jobs, *typical], policy_of("fifo"), pooled=pooled)
    speeds: dict[_Shape, dict[str, float]] = {}
    shapes: list[_Shape | None] = []
    for number, job in enumerate(state.jobs):
        shape = _shape(state, number, job)
        shapes.append(shape)
        if shape is not None and shape not in speeds:
            speeds[shape] = _speeds(state.pools[shape.pool], job, shape, bounds)
    seen = slice(len(jobs), None) if typical else slice(None)
    pools: dict[str, Prices] = {}
    for name, pool in state.pools.items():
        told = [
            (job, speeds[shape])
            for job, shape in zip(state.jobs[seen], shapes[seen], strict=True)
            if shape is not None and shape.pool == name and speeds[shape]
        ]
        if told:
            pools[name] = _prices(pool, told, bounds)
    choice = {shape: _tried(found, pools.get(shape.pool)) for shape, found in speeds.items()}
    matched_jobs: list[Job] = []
    usable: dict[str, tuple[str, ...]] = {}
    num_held = 0
    for job, one in zip(jobs, shapes, strict=False):
        if one is None or not choice[one]:
            matched_jobs.append(job)
            continue
        usable[job.job_id] = job.gpu_models
        num_held += len(choice[one]) < len(speeds[one])
        matched_jobs.append(replace(job, gpu_models=choice[one]))
    return Matching(jobs=tuple(matched_jobs), usable=usable, pools=pools, num_held=num_held)


def _shape(state: State, number: int, job: Job) -> _Shape | None:
    if not job.num_gpus_ratio or job.queue not in state.line_of_queue:
        return None
    pool = state.pool(number)
    if pool.by_core:
        return None
    waits = job.memory_bound_fraction
    return _Shape(
        pool.name, state.ask(number), None if waits is None else round(waits * _STEPS) / _STEPS
    )


def _speeds(
    pool: Pool, job: Job, shape: _Shape, bounds: Mapping[str, Roofline]
) -> dict[str, float]:
    """Return the speed of a shape on each accelerator of its pool that could hold it."""
    here = {kind.model for kind in pool.kinds}
    known = {name: one for name, one in bounds.items() if name in here}
    found = speeds_on(replace(job, memory_bound_fraction=shape.waits), known)
    return {
        name: speed
        for name, speed in found.items()
        if pool.could_hold(replace(shape.ask, models=(name,)))
    }


def _tried(speeds: Mapping[str, float], prices: Prices | None) -> tuple[str, ...]:
    """Return the accelerators that a shape may take, its fastest first."""
    if prices is None or prices.load_ratio < _BUSY:
        return tuple(speeds)
    cost = {name: (1.0 + prices.price_ratio[name]) / speed for name, speed in speeds.items()}
    near = _NEAR + _EASED * max(0.0, _FULL - prices.load_ratio)
    bar = min(cost.values(), default=0.0) * (1.0 + near)
    return tuple(name for name in speeds if cost[name] <= bar)


def _prices(
    pool: Pool, told: Sequence[tuple[Job, Mapping[str, float]]], bounds: Mapping[str, Roofline]
) -> Prices:
    """Return load and prices of a pool by what its jobs ask for.

    The program, for each second of the time in which the jobs come: accelerators x that work for
    each kind of job on each model, as few as can be; the work that comes in is done; no model is
    filled by more than a load, which costs dearly above `_ROOM`. The price of a model is the
    multiplier of its bound.
    """
    sizes = dict.fromkeys(bounds, 0.0)
    for kind in pool.kinds:
        sizes[kind.model] = sizes.get(kind.model, 0.0) + kind.size * kind.mask.bit_count()
    models = [name for name in bounds if sizes[name]]
    work: dict[tuple[tuple[str, float], ...], float] = {}
    for job, speeds in told:
        key = tuple(speeds.items())
        work[key] = work.get(key, 0.0) + job.num_gpus_ratio * job.guess_s
    times = [job.submit_s for job, _ in told]
    span_s = max(times) - min(times)
    total = sum(work.values())
    if not span_s or not total:
        return Prices(load_ratio=0.0, price_ratio=dict.fromkeys(models, 0.0))
    pairs = [(row, name, speed) for row, key in enumerate(work) for name, speed in key]
    fills = np.zeros((len(models), len(pairs) + 1))
    does = np.zeros((len(work), len(pairs) + 1))
    for number, (row, name, speed) in enumerate(pairs):
        fills[models.index(name), number] = 1.0
        does[row, number] = speed
    fills[:, -1] = [-sizes[name] for name in models]
    comes = np.array(list(work.values())) / span_s
    load, _ = _solved(fills, does, comes, 0.0)
    # Where two models bind alike the multipliers are not unique, and a solver returns an extreme
    # one: the mean over programs in which one model each is a little smaller lies between them.
    found = []
    for number in range(len(models)):
        smaller = fills.copy()
        smaller[number, -1] *= _SMALLER
        found.append(_solved(smaller, does, comes, _ROOM)[1])
    price = np.mean(found, axis=0)
    return Prices(load_ratio=load, price_ratio=dict(zip(models, price.tolist(), strict=True)))


def _solved(fills: Floats, does: Floats, comes: Floats, room: float) -> tuple[float, Floats]:
    """Return load and prices of the program.

    Parameters
    ----------
    fills
        What each accelerator of a pair, and the load, does to the bounds of the models.
    does
        What it does of the work of each kind.
    comes
        Work that comes in.
    room
        Load that costs nothing.
    """
    count = fills.shape[1] - 1
    cost = np.append(np.full(count, 1.0 / comes.sum()), _OVERLOAD)
    found = linprog(
        cost,
        A_ub=fills,
        b_ub=np.zeros(len(fills)),
        A_eq=does,
        b_eq=comes,
        bounds=[(0.0, None)] * count + [(room, None)],
        method="highs",
    )
    assert found.x is not None, "each kind of job can be done on some accelerator, at some load"
    multipliers = np.asarray(found.ineqlin.marginals, dtype=float)
    return float(found.x[-1]), np.maximum(0.0, -multipliers) * comes.sum()
