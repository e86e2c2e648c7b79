"""Preemption and reclaim: whom to stop so that a job, or several, can start."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from clusterwright.model.cluster import Cluster
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import QUANTA, Job, Topology
from clusterwright.model.policy import Policy
from clusterwright.model.quota import Quota
from clusterwright.sched import State, victims
from clusterwright.sched.placement import PLACEMENTS
from exact import clusters
from exact.table import Case, Row, Solver

NOW_S = 6 * 3600.0
SHIELD_S = 600.0
POLICY = Policy(name="exact", placement="leaf", preempt=("reclaim", "priority"), shield_s=SHIELD_S)
URGENT = 2
"""Priority of the job that waits; as high a priority is not stopped for it."""


def rows() -> list[Row]:
    """Return what is measured about stopping jobs."""
    made = [
        Row("preemption for one node or part of one", partial(_one, nodes=1)),
        Row(
            "preemption for part of a node, with cores and memory",
            partial(_one, nodes=1, hosts=True),
        ),
        Row("preemption for a share of an accelerator", _share),
        Row("preemption for a gang, within one leaf if any can hold it", partial(_one, nodes=6)),
        Row(
            "preemption for a gang within a leaf, with cores and memory",
            partial(_one, nodes=6, hosts=True),
        ),
        Row(
            "preemption for a gang, anywhere (consolidate)",
            partial(_one, nodes=6, placement="consolidate"),
        ),
    ]
    made.append(
        Row(
            "preemption for a gang of equal parts of nodes, anywhere",
            partial(_one, nodes=6, placement="consolidate", equal=True),
        )
    )
    made += [
        Row(f"preemption for a gang, {level} required", partial(_one, nodes=6, level=level))
        for level in clusters.LEVELS
    ]
    made.append(
        Row(
            "preemption for a gang in segments, leaf required",
            partial(_one, nodes=6, level="leaf", segments=True),
        )
    )
    made.append(Row("reclaim for one job", partial(_reclaim, jobs=1)))
    made.append(Row("reclaim for two to four jobs, together", partial(_reclaim, jobs=4), bar=False))
    return made


def _one(
    rng: np.random.Generator,
    solver: Solver,
    *,
    nodes: int,
    placement: str = "leaf",
    level: str | None = None,
    segments: bool = False,
    hosts: bool = False,
    equal: bool = False,
) -> Case | None:
    group = clusters.random_group(rng, hosts=hosts)
    pool = State(Cluster(groups=(group,)), (), POLICY).pools["a"]
    width = max(mask.bit_count() for mask in pool.domains[level or "leaf"])
    size = pool.node_units
    most = max(2, min(nodes, width) if level and not segments else nodes)
    wish = None
    if level:
        segment = int(rng.integers(2, 4)) if segments else 0
        wish = Topology(level=level, required=True, segment_nodes=segment)  # type: ignore[arg-type]  # a level
    units = (
        int(rng.integers(1, size + 1))
        if nodes == 1
        else clusters.random_gang(rng, size, most_nodes=most)
    )
    parts = 0
    if equal:
        parts = int(rng.integers(2, nodes + 1))
        units = parts * int(rng.integers(1, size))
    ask = clusters.random_ask(rng, pool, units)
    waiting = Job(
        job_id="waiting",
        queue="a",
        submit_s=NOW_S,
        duration_s=3600.0,
        priority=URGENT,
        num_gpus_ratio=float(units),
        num_cpus=ask.cores,
        memory_bytes=ask.memory_bytes,
        topology=wish,
        num_nodes=parts,
    )
    policy = replace(POLICY, placement=placement)
    state, job = _filled(rng, Cluster(groups=(group,)), policy, [waiting], ["a"])
    pool = state.pools["a"]
    if state.place(pool, state.ask(job), -1) is not None:
        return None
    names, found = _victims(state, lambda one: one.priority < URGENT)
    asked = clusters.gang(state.ask(job), pool)
    if segments and wish is not None:
        asked |= {"segment": wish.segment_nodes, "level": level, "required": True, "span_cost": 0}
    problem = {
        "kind": "gang",
        "nodes": clusters.facts(pool),
        "groups": clusters.groups(pool),
        "victims": found,
        "gang": asked,
    }
    within = level if not segments else None
    if nodes > 1 and placement == "leaf" and not level:
        within = "leaf"
    best = solver.optimum({**problem, "gang": {**asked, "within": within}})
    if best is None and within and not level:
        within, best = None, solver.optimum(problem)
    choice = victims.choose(state, state.line(job), job, NOW_S)
    if choice.spot is None or (within and clusters.spans(pool, choice.spot, within) > 1):
        return Case.missed(best)
    cost = {name: victim["cost"] for name, victim in zip(names, found, strict=True)}
    return Case(sum(cost[one] for one in choice.stopped), best)


def _share(rng: np.random.Generator, solver: Solver) -> Case | None:
    group = replace(clusters.random_group(rng), num_nodes=int(rng.integers(2, 7)))
    share = float(rng.choice([0.2, 0.3, 0.5, 0.7, 0.9]))
    waiting = Job(
        job_id="waiting",
        queue="a",
        submit_s=NOW_S,
        duration_s=3600.0,
        priority=URGENT,
        num_gpus_ratio=share,
    )
    state, job = _filled(rng, Cluster(groups=(group,)), POLICY, [waiting], ["a"], shares=True)
    pool = state.pools["a"]
    if state.place(pool, state.ask(job), -1) is not None:
        return None
    names, found = _victims(state, lambda one: one.priority < URGENT)
    parts: dict[tuple[int, int], int] = {}
    nodes: list[dict[str, int]] = []
    for key, free in pool.shares.items():
        parts[key] = len(nodes)
        nodes.append({"size": QUANTA, "free": free, "cores": 0, "memory": 0})
    for name, victim in zip(names, found, strict=True):
        run = state.running[name]
        if run.part >= 0:
            at = parts[run.placed[0][0], run.part]
            victim["holds"] = [(at, run.quanta, 0, 0)]
            continue
        victim["holds"] = []
        for _ in range(run.quanta // QUANTA):
            victim["holds"].append((len(nodes), QUANTA, 0, 0))
            nodes.append({"size": QUANTA, "free": 0, "cores": 0, "memory": 0})
    asked = {"whole": 0, "rest": state.ask(job).share, "cores": 0, "memory": 0}
    best = solver.optimum(
        {"kind": "gang", "nodes": nodes, "groups": {}, "victims": found, "gang": asked}
    )
    choice = victims.choose(state, state.line(job), job, NOW_S)
    if choice.spot is None:
        return Case.missed(best)
    cost = {name: victim["cost"] for name, victim in zip(names, found, strict=True)}
    return Case(sum(cost[one] for one in choice.stopped), best)


def _reclaim(rng: np.random.Generator, solver: Solver, *, jobs: int) -> Case | None:
    group = clusters.random_group(rng)
    total = group.num_nodes * group.gpus_per_node
    owed = float(total // 2)
    guarantees = {"a": owed, "b": float(total // 4), "c": float(total // 4)}
    cluster = Cluster(
        groups=(group,),
        quotas=tuple(Quota(queue=q, guarantee_ratio=g) for q, g in guarantees.items()),
    )
    waiting = []
    for number in range(int(rng.integers(2, jobs + 1)) if jobs > 1 else 1):
        units = clusters.random_units(rng, group.gpus_per_node, most_nodes=3)
        wish = Topology(level="leaf", required=True) if units > group.gpus_per_node else None
        waiting.append(
            Job(
                job_id=f"waiting{number}",
                queue="a",
                submit_s=NOW_S,
                duration_s=3600.0,
                num_gpus_ratio=float(units),
                topology=wish,
            )
        )
    if sum(one.num_gpus_ratio for one in waiting) > owed:
        return None
    state, first = _filled(rng, cluster, POLICY, waiting, ["b", "c"])
    pool = state.pools["all-gpus"]
    names, found = _victims(state, lambda one: one.queue != "a")
    quotas = []
    for queue in ("b", "c"):
        surplus = state.accounts[queue].used // QUANTA - int(guarantees[queue])
        mine = [i for i, name in enumerate(names) if state.jobs[name].queue == queue]
        if surplus <= 0:
            for i in mine:
                found[i]["cost"] = 10**12  # nobody may stop it
        else:
            quotas.append({"victims": mine, "surplus": surplus})
    asked = [
        clusters.gang(state.ask(first + i), pool, within="leaf" if one.topology else None)
        for i, one in enumerate(waiting)
    ]
    best = solver.optimum(
        {
            "kind": "gangs",
            "nodes": clusters.facts(pool),
            "groups": clusters.groups(pool),
            "victims": found,
            "gangs": asked,
            "quotas": quotas,
        }
    )
    if not best or best >= 10**12:
        return None  # nothing need be stopped, or nothing may be
    cost = {name: victim["cost"] for name, victim in zip(names, found, strict=True)}
    paid = 0
    for job in range(first, first + len(waiting)):
        # As a cycle does for the first of a queue, without what the stopped jobs do next.
        spot = state.place(pool, state.ask(job), -1)
        if spot is None:
            choice = victims.choose(state, state.line(job), job, NOW_S)
            if choice.spot is None:
                return Case.missed(best)
            for one in choice.stopped:
                state.apply(Event(NOW_S, EventKind.PREEMPT, one))
            spot, paid = choice.spot, paid + sum(cost[one] for one in choice.stopped)
        state.apply(Event(NOW_S, EventKind.START, job, -1, *spot))
    return Case(paid, best)


def _filled(
    rng: np.random.Generator,
    cluster: Cluster,
    policy: Policy,
    waiting: list[Job],
    queues: list[str],
    *,
    shares: bool = False,
) -> tuple[State, int]:
    """Return a state nine tenths full, with some jobs waiting, and the index of the first."""
    jobs = _running_jobs(rng, cluster, queues, shares=shares)
    state = State(cluster, (*jobs, *waiting), policy, pooled=bool(cluster.quotas))
    scattered = rng.random() < 0.5
    started = []
    for index, job in enumerate(jobs):
        pool = state.pool(index)
        ask = state.ask(index)
        allowed = -1
        if scattered and (ask.share or ask.units < pool.node_units):
            allowed = int("".join(rng.choice(["0", "1"], len(pool.free))), 2)
        spot = PLACEMENTS["consolidate" if scattered else "leaf"](pool, ask, allowed)
        if spot is None:
            continue
        state.apply(Event(job.submit_s, EventKind.SUBMIT, index))
        state.apply(Event(job.submit_s, EventKind.START, index, -1, *spot))
        started.append(index)
    for index in started:
        if rng.random() < 0.1:
            state.apply(Event(NOW_S, EventKind.FINISH, index))
    for number, job in enumerate(waiting):
        state.apply(Event(job.submit_s, EventKind.SUBMIT, len(jobs) + number))
    return state, len(jobs)


def _running_jobs(
    rng: np.random.Generator, cluster: Cluster, queues: list[str], *, shares: bool
) -> list[Job]:
    (group,) = cluster.groups
    pool = State(cluster, (), POLICY, pooled=bool(cluster.quotas)).pools
    (one_pool,) = pool.values()
    jobs: list[Job] = []
    asked = 0.0
    while asked < 1.6 * group.num_nodes * group.gpus_per_node:
        units = float(clusters.random_units(rng, group.gpus_per_node, most_nodes=6))
        ask = clusters.random_ask(rng, one_pool, int(units))
        if shares and rng.random() < 0.7:
            units = float(rng.choice([0.1, 0.2, 0.25, 0.4, 0.5, 0.6]))
        asked += units
        jobs.append(
            Job(
                job_id=f"j{len(jobs)}",
                queue=str(rng.choice(queues)),
                submit_s=0.0,
                duration_s=1e6,
                num_gpus_ratio=units,
                num_cpus=ask.cores,
                memory_bytes=ask.memory_bytes,
                priority=int(rng.choice([0, 0, 1, URGENT])),
                preemptible=bool(rng.random() < 0.9),
                checkpoint_interval_s=[None, 1800.0, 3600.0][rng.integers(3)],
                restart_s=float(rng.choice([60.0, 300.0, 600.0])),
            )
        )
    starts = np.sort(rng.uniform(0.0, NOW_S, len(jobs)))
    return [replace(job, submit_s=float(s)) for job, s in zip(jobs, starts, strict=True)]


def _victims(state: State, may: Any) -> tuple[list[int], list[dict[str, Any]]]:
    """Return who may be stopped, with the accelerator-seconds lost and what each frees by node."""
    names, found = [], []
    for index, run in state.running.items():
        job = state.jobs[index]
        ran_s = NOW_S - run.since_s
        if not job.preemptible or not may(job) or ran_s < SHIELD_S:
            continue
        saved_s = (
            ran_s // job.checkpoint_interval_s * job.checkpoint_interval_s
            if job.checkpoint_interval_s
            else 0.0
        )
        gpus = run.quanta / QUANTA
        names.append(index)
        found.append(
            {
                "cost": round(gpus * (ran_s - saved_s + job.restart_s)),
                "units": run.quanta // QUANTA,
                "holds": [
                    (
                        node,
                        quanta // QUANTA,
                        -(-job.num_cpus // len(run.placed)),
                        round(job.memory_bytes / len(run.placed) / clusters.GIB),
                    )
                    for node, quanta in run.placed
                ],
            }
        )
    return names, found
