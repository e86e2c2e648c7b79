"""Small random clusters, what stands on them, and what later arrivals still find on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.model.cluster import NodeGroup
from clusterwright.sched.nodes import Ask, Pool, Spot, bits
from clusterwright.sched.placement import consolidate

LEVELS = ("domain", "leaf", "pod")
ARRIVALS = {1: 40, 2: 15, 4: 10, 8: 15, 16: 10, 32: 6, 64: 4}
"""Later arrivals: how many of a hundred ask for so many accelerators."""
CORES, MEMORY_GIB = 96, 1024
"""Of one node, where cores and memory count."""
GIB = 2.0**30


def random_group(rng: np.random.Generator, *, hosts: bool = False) -> NodeGroup:
    """Return 12 to 36 nodes in leaves, most of them in pods, some in scale-up domains."""
    per_leaf = int(rng.choice([4, 6, 8]))
    return NodeGroup(
        queue="a",
        num_nodes=per_leaf * int(rng.integers(3, 5 if per_leaf == 8 else 7)),
        gpus_per_node=int(rng.choice([4, 8, 8])),
        nodes_per_domain=int(rng.choice([1, 1, 2, 3 if per_leaf == 6 else 4])),
        nodes_per_leaf=per_leaf,
        leaves_per_pod=int(rng.choice([0, 2, 3])),
        cpus_per_node=CORES if hosts else 0,
        node_memory_bytes=MEMORY_GIB * GIB if hosts else 0.0,
    )


def random_ask(rng: np.random.Generator, pool: Pool, units: int, **more: Any) -> Ask:
    """Return what a job of some accelerators asks for, host resources too where they count."""
    if pool.cores is None:
        return Ask(units, **more)
    share = units / pool.node_units
    cores = int(min(1.0, share * rng.choice([0.5, 1.0, 1.5])) * CORES) if share < 1 else 0
    memory = int(min(1.0, share * rng.choice([0.5, 1.0, 1.5])) * MEMORY_GIB) if share < 1 else 0
    if share >= 1:
        nodes = -(-units // pool.node_units)
        cores, memory = nodes * CORES // 2, nodes * MEMORY_GIB // 2
    return Ask(units, cores=cores, memory_bytes=memory * GIB, **more)


def half_full(rng: np.random.Generator, pool: Pool) -> None:
    """Fill about half of a pool: at random, or as arrivals and departures leave it."""
    if rng.random() < 0.5:
        for node in range(len(pool.free)):
            if rng.random() < 0.5:
                ask = random_ask(rng, pool, int(rng.integers(1, pool.node_units + 1)))
                pool.take(((node, ask.units * pool.scale),), -1, ask)
        return
    running: list[tuple[Spot, Ask]] = []
    while pool.free_units:
        ask = random_ask(rng, pool, random_units(rng, pool.node_units, most_nodes=4))
        spot = consolidate(pool, ask)
        if spot is None:
            break
        pool.take(*spot, ask)
        running.append((spot, ask))
    for number in rng.permutation(len(running)).tolist():
        if pool.free_units < pool.total_units / 2:
            (placed, part), ask = running[number]
            pool.give(placed, part, ask)


def random_units(rng: np.random.Generator, node_units: int, *, most_nodes: int) -> int:
    """Return how many accelerators a job asks for, as later arrivals do, up to some nodes."""
    sizes = [size for size in ARRIVALS if size <= most_nodes * node_units]
    weights = np.array([ARRIVALS[size] for size in sizes], dtype=np.float64)
    return int(rng.choice(sizes, p=weights / weights.sum()))


def random_gang(rng: np.random.Generator, node_units: int, *, most_nodes: int) -> int:
    """Return the accelerators of a gang of two whole nodes or more, a third with a remainder."""
    rest = int(rng.integers(1, node_units)) if rng.random() < 1 / 3 else 0
    return int(rng.integers(2, most_nodes + 1)) * node_units + rest


def facts(pool: Pool) -> list[dict[str, Any]]:
    """Return the nodes of a pool as the solver reads them."""
    return [
        {
            "size": pool.node_units,
            "free": free if pool.up >> bit & 1 else 0,
            "cores": pool.cores[bit] if pool.cores is not None else 0,
            "memory": round(pool.memory[bit] / GIB) if pool.memory is not None else 0,
        }
        for bit, free in enumerate(pool.free)
    ]


def groups(pool: Pool) -> dict[str, list[list[int]]]:
    """Return the nodes of each domain, leaf and pod."""
    return {level: [list(bits(mask)) for mask in pool.domains[level]] for level in LEVELS}


def gang(ask: Ask, pool: Pool, **more: Any) -> dict[str, Any]:
    """Return a gang as the solver reads it; cores and memory go evenly over its nodes."""
    each = ask.per_node or pool.node_units
    whole, rest = divmod(ask.units, each)
    count = whole + (1 if rest else 0)
    return {
        "whole": whole,
        "each": each,
        "rest": rest,
        "cores": -(-ask.cores // count) if pool.cores is not None else 0,
        "memory": -(-round(ask.memory_bytes / GIB) // count) if pool.memory is not None else 0,
        **more,
    }


def node_room(node_units: int) -> list[int]:
    """Return what arrivals below a node find on one, by its free units, in hundredths of a GPU."""
    small = {size: many for size, many in ARRIVALS.items() if size < node_units}
    return [
        sum(many * (free // size) * size for size, many in small.items())
        for free in range(node_units + 1)
    ]


def group_room(pool: Pool) -> dict[str, list[int]]:
    """Return what gangs find in one group of a level, by its idle nodes.

    A gang is looked for in the smallest of domain, leaf and pod that could hold it.
    """
    level_of = {
        max(mask.bit_count() for mask in pool.domains[level]): level for level in reversed(LEVELS)
    }
    rooms, below = {}, 0
    for width, level in sorted(level_of.items()):
        gangs = {
            size // pool.node_units: many
            for size, many in ARRIVALS.items()
            if below < size / pool.node_units <= width and size >= pool.node_units
        }
        rooms[level] = [
            sum(many * (idle // n) * n * pool.node_units for n, many in gangs.items())
            for idle in range(width + 1)
        ]
        below = width
    return rooms


def room(pool: Pool) -> int:
    """Return what later arrivals find in a pool, in hundredths of a GPU."""
    small = node_room(pool.node_units)
    found = sum(small[free] for free in pool.free)
    idle = pool.idle()
    for level, values in group_room(pool).items():
        found += sum(values[(idle & mask).bit_count()] for mask in pool.domains[level])
    return found


def spans(pool: Pool, spot: Spot, level: str) -> int:
    """Return how many domains, leaves or pods a job stands in."""
    nodes = [node - pool.first for node, _ in spot[0]]
    return sum(1 for mask in pool.domains[level] if any(mask >> bit & 1 for bit in nodes))


def pieces(pool: Pool, spot: Spot, level: str, segment: int) -> int:
    """Return in how many pieces of at most a segment the whole nodes of a gang come."""
    whole = [n - pool.first for n, quanta in spot[0] if quanta == pool.node_units * pool.scale]
    return sum(-(-sum(mask >> bit & 1 for bit in whole) // segment) for mask in pool.domains[level])
