"""Placement: one job on a half full cluster, and a row of jobs until nothing more fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from clusterwright.model.job import Topology
from clusterwright.sched.nodes import Ask, Pool
from clusterwright.sched.placement import PLACEMENTS
from exact import clusters
from exact.table import Case, Row, Solver

HUNDREDTHS = 100
"""Room is counted in hundredths of an accelerator: arrivals are given by the hundred."""


def rows() -> list[Row]:
    """Return what is measured about placement."""
    made = [
        Row("part of a node, leaf", partial(_part, "leaf")),
        Row("part of a node, leaf, with cores and memory", partial(_part, "leaf", hosts=True)),
        Row("part of a node, spread: evenness of load", partial(_part, "spread")),
        Row("gang without a wish, leaf", partial(_gang, "leaf")),
        Row("gang without a wish, leaf, with cores and memory", partial(_gang, "leaf", hosts=True)),
    ]
    for level in clusters.LEVELS:
        for required in (False, True):
            word = "required" if required else "preferred"
            made.append(
                Row(f"gang, {level} {word}", partial(_gang, "leaf", level=level, required=required))
            )
    for required in (False, True):
        word = "required" if required else "preferred"
        made.append(
            Row(
                f"gang in segments, leaf {word}",
                partial(_gang, "leaf", level="leaf", required=required, segments=True),
            )
        )
    made += [
        Row("part of a node, consolidate", partial(_part, "consolidate"), bar=False),
        Row(
            "part of a node, consolidate, with cores and memory",
            partial(_part, "consolidate", hosts=True),
            bar=False,
        ),
        Row("gang without a wish, consolidate", partial(_gang, "consolidate"), bar=False),
    ]
    return made


def sequences() -> list[Row]:
    """Return what is measured about rows of jobs."""
    return [
        Row(
            f"{what}, {name}",
            partial(_sequence, name, in_order=in_order, leaf=leaf),
            most=True,
            bar=False,
        )
        for what, in_order, leaf in (
            ("jobs before the first that does not fit", True, False),
            ("jobs before the first that does not fit, gangs under one leaf required", True, True),
            ("accelerators placed, what does not fit is passed over", False, False),
        )
        for name in ("consolidate", "leaf")
    ]


def _part(
    name: str, rng: np.random.Generator, solver: Solver, *, hosts: bool = False
) -> Case | None:
    pool = _pool(rng, hosts=hosts)
    ask = clusters.random_ask(rng, pool, int(rng.integers(1, pool.node_units)))
    even = name == "spread"
    values = _evenness(pool.node_units) if even else clusters.node_room(pool.node_units)
    before = _worth(pool, values, groups=not even)
    problem = _problem(
        pool, clusters.gang(ask, pool), {} if even else clusters.group_room(pool), values
    )
    best = solver.optimum(problem)
    spot = PLACEMENTS[name](pool, ask, -1)
    if spot is None:
        return Case.missed(best)
    pool.take(*spot, ask)
    return Case(ours=before - _worth(pool, values, groups=not even), best=best)


def _gang(
    name: str,
    rng: np.random.Generator,
    solver: Solver,
    *,
    level: str | None = None,
    required: bool = False,
    segments: bool = False,
    hosts: bool = False,
) -> Case | None:
    pool = _pool(rng, hosts=hosts)
    width = max(mask.bit_count() for mask in pool.domains[level or "leaf"])
    most = max(2, width if required and not segments else 8)
    units = clusters.random_gang(rng, pool.node_units, most_nodes=most)
    segment = int(rng.integers(2, 4)) if segments else 0
    wish = None
    if level is not None:
        wish = Topology(level=level, required=required, segment_nodes=segment)  # type: ignore[arg-type]  # a level
    ask = clusters.random_ask(rng, pool, units, topology=wish)
    price = HUNDREDTHS * units
    asked = clusters.gang(ask, pool, span_cost=price)
    if segment:
        asked |= {"segment": segment, "level": level, "required": required}
    if not segment or required:
        asked["spans"] = level or "leaf"
    if required and not segment:
        asked["within"] = level
    values = clusters.node_room(pool.node_units)
    best = solver.optimum(_problem(pool, asked, clusters.group_room(pool), values))
    before = clusters.room(pool)
    spot = PLACEMENTS[name](pool, ask, -1)
    if spot is None:
        return Case.missed(best)
    apart = (
        clusters.pieces(pool, spot, level or "leaf", segment)
        if segment and not required
        else clusters.spans(pool, spot, level or "leaf")
    )
    pool.take(*spot, ask)
    return Case(ours=price * apart + before - clusters.room(pool), best=best)


def _sequence(
    name: str, rng: np.random.Generator, solver: Solver, *, in_order: bool, leaf: bool
) -> Case | None:
    group = replace(clusters.random_group(rng), num_nodes=12)
    pool = Pool("all", [(0, group)])
    clusters.half_full(rng, pool)
    wish = Topology(level="leaf", required=True) if leaf else None
    asks = []
    while sum(ask.units for ask in asks) < 1.5 * pool.free_units:
        units = clusters.random_units(rng, pool.node_units, most_nodes=4)
        asks.append(Ask(units, topology=wish if units > pool.node_units else None))
    jobs = [{"units": a.units, "within": "leaf" if a.topology else None} for a in asks]
    problem = {
        "kind": "sequence",
        "nodes": clusters.facts(pool),
        "groups": clusters.groups(pool),
        "size": pool.node_units,
        "jobs": jobs,
        "in_order": in_order,
    }
    best = solver.optimum(problem)
    count = units = 0
    for ask in asks:
        spot = PLACEMENTS[name](pool, ask, -1)
        if spot is None:
            if in_order:
                break
            continue
        pool.take(*spot, ask)
        count, units = count + 1, units + ask.units
    return Case(ours=count if in_order else units, best=best)


def _pool(rng: np.random.Generator, *, hosts: bool) -> Pool:
    pool = Pool("all", [(0, clusters.random_group(rng, hosts=hosts))])
    clusters.half_full(rng, pool)
    return pool


def _problem(
    pool: Pool, asked: dict[str, Any], room: dict[str, list[int]], values: list[int]
) -> dict[str, Any]:
    return {
        "kind": "gang",
        "nodes": clusters.facts(pool),
        "groups": clusters.groups(pool),
        "gang": asked,
        "room": room or {"leaf": [0] * 99},
        "node_room": values,
    }


def _evenness(units: int) -> list[int]:
    """Return the worth of a node by what is free: its load squared is lost."""
    return [-((units - free) ** 2) for free in range(units + 1)]


def _worth(pool: Pool, values: list[int], *, groups: bool) -> int:
    return clusters.room(pool) if groups else sum(values[free] for free in pool.free)


Measure = Callable[[np.random.Generator, Solver], Case | None]
