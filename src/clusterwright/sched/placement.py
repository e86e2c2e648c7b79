"""Where a job goes: nodes indexed by what is free on them, so that nothing is scanned.

`consolidate` takes the fullest node that still fits; a job larger than a node takes whole free
nodes and, for the remainder, the fullest node that still fits it. `leaf` does the same but keeps a
gang under as few leaf switches as it can: the leaf with the fewest free nodes that still holds it,
else the leaves with the most free nodes.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping

from clusterwright.errors import UnknownName
from clusterwright.model.cluster import NodeGroup

Placed = tuple[tuple[int, int], ...]  # node, quanta taken


class Partition:
    """The nodes of one queue, with an index by free quanta."""

    def __init__(self, queue: str, groups: list[tuple[int, NodeGroup]]) -> None:
        """Take the node groups with the index of the first node of each."""
        self.queue = queue
        self.size: dict[int, int] = {}
        self.leaf: dict[int, int] = {}
        for first, group in groups:
            for place in range(group.num_nodes):
                self.size[first + place] = group.quanta
                per_leaf = group.nodes_per_leaf or group.num_nodes or 1
                self.leaf[first + place] = first + place // per_leaf
        self.node_quanta = max(self.size.values(), default=0)
        self.total = sum(self.size.values())
        self.free: dict[int, int] = {}
        self.down: set[int] = set()
        self.free_total = 0
        self._heaps: dict[int, list[int]] = {}
        self._levels: list[int] = []  # levels of free quanta that have a heap, ascending
        self.idle_of_leaf: dict[int, set[int]] = {}
        for node, quanta in self.size.items():
            self.free[node] = 0
            self._give(node, quanta)

    def take(self, placed: Placed) -> None:
        """Hand quanta of nodes to a job."""
        for node, quanta in placed:
            self._set(node, self.free[node] - quanta)

    def give(self, placed: Placed) -> None:
        """Take quanta of nodes back; those of a node that is down stay out of use."""
        for node, quanta in placed:
            self._give(node, quanta)

    def fail(self, node: int) -> None:
        """Put a node out of use; its jobs have been stopped before."""
        assert self.free[node] == self.size[node]
        self.down.add(node)
        self._forget(node)
        self.free_total -= self.free[node]

    def repair(self, node: int) -> None:
        """Put a node back into use."""
        self.down.discard(node)
        self.free_total += self.free[node]
        self._remember(node)

    def could_hold(self, quanta: int) -> bool:
        """Return whether the partition could hold so much if it were empty and whole."""
        return quanta <= self.total

    def smallest_fit(self, quanta: int, taken: set[int]) -> int | None:
        """Return the fullest node with so much free; the lowest number among equals."""
        start = bisect_left(self._levels, quanta)
        for level in self._levels[start:]:
            node = self._peek(level, taken)
            if node is not None:
                return node
        return None

    def idle_nodes(self, count: int) -> list[int]:
        """Return so many whole free nodes, or fewer when there are not enough."""
        heap = self._heaps.get(self.node_quanta, [])
        found: list[int] = []
        kept: list[int] = []
        while heap and len(found) < count:
            node = heapq.heappop(heap)
            if self._is_at(node, self.node_quanta) and (not kept or kept[-1] != node):
                found.append(node)
                kept.append(node)
        for node in kept:
            heapq.heappush(heap, node)
        return found

    def _is_at(self, node: int, level: int) -> bool:
        return self.free[node] == level and node not in self.down

    def _peek(self, level: int, taken: set[int]) -> int | None:
        heap = self._heaps[level]
        while heap and not self._is_at(heap[0], level):
            heapq.heappop(heap)
        if not heap:
            self._levels.remove(level)
            del self._heaps[level]
            return None
        if heap[0] not in taken:
            return heap[0]
        others = [n for n in heap if n not in taken and self._is_at(n, level)]
        return min(others, default=None)

    def _give(self, node: int, quanta: int) -> None:
        self._set(node, self.free[node] + quanta)

    def _set(self, node: int, free: int) -> None:
        assert 0 <= free <= self.size[node], "a node holds more than it has"
        if node not in self.down:
            self.free_total += free - self.free[node]
            self._forget(node)
        self.free[node] = free
        if node not in self.down:
            self._remember(node)

    def _remember(self, node: int) -> None:
        level = self.free[node]
        if level not in self._heaps:
            self._heaps[level] = []
            insort(self._levels, level)
        heapq.heappush(self._heaps[level], node)
        if level == self.size[node]:
            self.idle_of_leaf.setdefault(self.leaf[node], set()).add(node)

    def _forget(self, node: int) -> None:
        # Heaps forget lazily, when the node comes up; only the leaves keep exact sets.
        if self.free[node] == self.size[node]:
            self.idle_of_leaf.get(self.leaf[node], set()).discard(node)


Placement = Callable[[Partition, int], Placed | None]


def consolidate(partition: Partition, quanta: int) -> Placed | None:
    """Return the nodes for a job, or None when it does not fit now."""
    if quanta > partition.free_total:
        return None
    whole, rest = divmod(quanta, partition.node_quanta)
    nodes = partition.idle_nodes(whole) if whole else []
    if len(nodes) < whole:
        return None
    placed = [(node, partition.node_quanta) for node in nodes]
    if rest:
        node = partition.smallest_fit(rest, set(nodes))
        if node is None:
            return None
        placed.append((node, rest))
    return tuple(placed)


def leaf_aware(partition: Partition, quanta: int) -> Placed | None:
    """Return the nodes for a job under as few leaves as possible, or None."""
    whole, rest = divmod(quanta, partition.node_quanta)
    count = whole + bool(rest)
    if count < 2:
        return consolidate(partition, quanta)
    if quanta > partition.free_total:
        return None
    leaves = [(len(nodes), leaf) for leaf, nodes in partition.idle_of_leaf.items() if nodes]
    holding = [one for one in leaves if one[0] >= count]
    order = [min(holding)] if holding else sorted(leaves, key=lambda one: (-one[0], one[1]))
    chosen: list[int] = []
    for _, leaf in order:
        chosen += sorted(partition.idle_of_leaf[leaf])[: count - len(chosen)]
        if len(chosen) == count:
            break
    if len(chosen) < whole:
        return None
    placed = [(node, partition.node_quanta) for node in chosen[:whole]]
    if rest:
        node = chosen[whole] if len(chosen) > whole else None
        node = partition.smallest_fit(rest, set(chosen[:whole])) if node is None else node
        if node is None:
            return None
        placed.append((node, rest))
    return tuple(placed)


PLACEMENTS: Mapping[str, Placement] = {"consolidate": consolidate, "leaf": leaf_aware}


def placement_of(name: str) -> Placement:
    """Return a placement by its name.

    Raises
    ------
    UnknownName
        If there is none of that name.
    """
    if name not in PLACEMENTS:
        raise UnknownName.of("placement", name, PLACEMENTS)
    return PLACEMENTS[name]
