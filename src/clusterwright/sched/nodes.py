"""The nodes of one pool, indexed by what is free on them, so that no decision scans them.

Sets of nodes are bit masks (Python integers): node `first + i` is bit `i`. For every kind of node
there is a mask for each number of free units, so the fullest node that still fits is the lowest bit
of the lowest mask that is not empty, and ten thousand whole nodes change hands in a few operations
on a kilobyte. A unit is a whole accelerator, or a core in a pool of nodes without accelerators.
An accelerator that is shared leaves the masks and is kept in a list sorted by its free quanta.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

from clusterwright.model.cluster import NodeGroup
from clusterwright.model.job import QUANTA, Topology

Placed = tuple[tuple[int, int], ...]  # node, quanta taken (cores, in a pool of cores)
Spot = tuple[Placed, int]  # where, and which accelerator when it is a share of one; else -1
ALL = -1
"""Mask of all nodes."""
_SPARSE = 12  # places of a mask that are walked in the time in which one set bit is sought
_FLAGS = bytes(byte == ord("1") for byte in range(256))  # digits of a mask as truths


class WholeNodes(tuple[tuple[int, int], ...]):
    """Whole nodes of one kind as they are placed, with their mask, so none is looked up again."""

    mask: int
    """The nodes, as the pool that made it counts them."""
    quanta: int
    """What they hold in all."""


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """What jobs of one shape ask for; jobs of equal shape fit alike, and share one object."""

    units: int
    """Whole accelerators, or cores; 0 for a share of an accelerator."""
    share: int = 0
    """Quanta of one accelerator; 0 when it asks for whole ones."""
    cores: int = 0
    """Cores beside its accelerators, in all."""
    memory_bytes: float = 0.0
    """Host memory in all."""
    models: tuple[str, ...] = ()
    """Accelerators that it may run on; empty for any."""
    topology: Topology | None = None
    """How close together its nodes must be."""
    least: int = 0
    """Fewest units that it can run on; 0 when it takes all or nothing."""
    per_node: int = 0
    """Units on each of its nodes; 0 leaves that to the placement."""

    def quanta(self, scale: int) -> int:
        """Return the quanta that it asks for, `scale` of them to a unit."""
        return self.share or self.units * scale


@dataclass(slots=True, eq=False)
class Kind:
    """Equal nodes of a pool."""

    size: int
    """Units of one node."""
    model: str
    """Accelerator; empty when unknown."""
    mask: int
    """Which nodes they are."""
    levels: list[int]
    """Nodes that take jobs, by free units."""


class Pool:
    """Nodes that some queues place on."""

    def __init__(self, name: str, groups: list[tuple[int, NodeGroup]]) -> None:
        """Take the node groups, each with the number of its first node."""
        self.name = name
        self.by_core = not any(group.gpus_per_node for _, group in groups)
        self.scale = 1 if self.by_core else QUANTA
        self.first = min(first for first, _ in groups)
        span = max(first + group.num_nodes for first, group in groups) - self.first
        self.free = [0] * span
        self.full_at = [(0, 0)] * span  # each node as it is placed whole; no start makes them anew
        self.kind_at: list[Kind | None] = [None] * span
        self.kinds: list[Kind] = []
        self.domains: dict[str, list[int]] = {"domain": [], "leaf": [], "pod": []}
        self.leaf_at = [0] * span
        self.idle_in_leaf: list[int] = []
        self.up = 0
        self.down = 0
        self.drained = 0
        self.free_units = 0
        self.num_gains = 0  # how often something came free
        self.total_units = 0
        self.open: list[tuple[int, int, int]] = []  # free quanta, node bit, accelerator
        self.shares: dict[tuple[int, int], int] = {}
        for first, group in groups:
            self._add(first - self.first, group)
        tracked = any(group.cpus_per_node for _, group in groups) and not self.by_core
        self.cores: list[int] | None = [0] * span if tracked else None
        self.memory: list[float] | None = [0.0] * span if tracked else None
        if self.cores is not None and self.memory is not None:
            for first, group in groups:
                for bit in range(first - self.first, first - self.first + group.num_nodes):
                    self.cores[bit] = group.cpus_per_node
                    self.memory[bit] = group.node_memory_bytes
        self._whole = (tuple(self.cores or ()), tuple(self.memory or ()))
        self._able: dict[tuple[float, ...], int] = {}  # nodes with enough beside, all empty

    @property
    def node_units(self) -> int:
        """Units of the largest node."""
        return max((kind.size for kind in self.kinds), default=0)

    def nodes(self) -> Iterator[int]:
        """Yield the numbers of the nodes."""
        for bit, kind in enumerate(self.kind_at):
            if kind is not None:
                yield self.first + bit

    def size_at(self, node: int) -> int:
        """Return the quanta of a node."""
        kind = self.kind_at[node - self.first]
        return kind.size * self.scale if kind is not None else 0

    def free_at(self, node: int) -> int:
        """Return the quanta that are free on a node."""
        bit = node - self.first
        spare = sum(free for (where, _), free in self.shares.items() if where == bit)
        return self.free[bit] * self.scale + spare

    def take(self, placed: Placed, part: int = -1, ask: Ask | None = None) -> int | None:
        """Hand quanta of nodes to a job; where a node has them not, do nothing and return it."""
        first, scale = self.first, self.scale
        if part >= 0:
            ((node, quanta),) = placed
            if not self._has_share(node - first, part, quanta):
                return node
            self._share(node - first, part, -quanta)
        elif len(placed) == 1:
            node, quanta = placed[0]
            bit, units = node - first, quanta // scale
            if not (0 <= bit < len(self.free) and self.up >> bit & 1) or self.free[bit] < units:
                return node
            self._move(bit, -units)
        else:
            whole, rest = self._parted(placed)
            lacks = self._lacks(placed, whole, rest)
            if lacks is not None:
                return lacks
            self._move_whole(placed, whole, taken=True)
            for bit, units in rest:
                self._move(bit, -units)
        if self.cores is not None:
            self._host(placed, ask, -1)
        return None

    def give(self, placed: Placed, part: int = -1, ask: Ask | None = None) -> None:
        """Take quanta of nodes back; those of a node that is down stay out of use."""
        self.num_gains += 1
        self._change(placed, part, ask, 1)

    def put_back(self, placed: Placed, part: int = -1, ask: Ask | None = None) -> None:
        """Undo a `give` that was a trial: on nodes that take no more jobs too, unlike `take`."""
        self._change(placed, part, ask, -1)

    def _change(self, placed: Placed, part: int, ask: Ask | None, sign: int) -> None:
        first = self.first
        if part >= 0:
            ((node, quanta),) = placed
            self._share(node - first, part, sign * quanta)
        elif len(placed) == 1:
            self._move(placed[0][0] - first, sign * (placed[0][1] // self.scale))
        else:
            whole, rest = self._parted(placed)
            self._move_whole(placed, whole, taken=sign < 0)
            for bit, units in rest:
                self._move(bit, sign * units)
        if self.cores is not None:
            self._host(placed, ask, sign)

    def close(self, node: int, *, drain: bool = False) -> None:
        """Let a node take no more jobs: it is down, or drained."""
        bit = node - self.first
        if drain:
            self.drained |= 1 << bit
        else:
            self.down |= 1 << bit
        self._set_up(bit)

    def reopen(self, node: int, *, drain: bool = False) -> None:
        """Undo `close` for one of its reasons."""
        bit = node - self.first
        if drain:
            self.drained &= ~(1 << bit)
        else:
            self.down &= ~(1 << bit)
        self._set_up(bit)

    def is_down(self, node: int) -> bool:
        """Return whether a node is out of use."""
        return bool(self.down >> (node - self.first) & 1)

    def idle(self) -> int:
        """Return the mask of nodes on which nothing runs."""
        found = 0
        for kind in self.kinds:
            found |= kind.levels[kind.size]
        return found

    def units_in(self, mask: int) -> int:
        """Return the free units of the nodes of a mask."""
        return sum(
            free * (level & mask).bit_count()
            for kind in self.kinds
            for free, level in enumerate(kind.levels)
            if free and level
        )

    def scratch(self) -> "Pool":
        """Return a copy to try things on."""
        other = object.__new__(Pool)
        for name, value in self.__dict__.items():
            setattr(other, name, value)
        other.free = self.free.copy()
        other.idle_in_leaf = self.idle_in_leaf.copy()
        other.kinds = [
            Kind(size=k.size, model=k.model, mask=k.mask, levels=k.levels.copy())
            for k in self.kinds
        ]
        renewed: dict[Kind | None, Kind | None] = {None: None}
        renewed.update(zip(self.kinds, other.kinds, strict=True))
        other.kind_at = list(map(renewed.__getitem__, self.kind_at))
        other.open = self.open.copy()
        other.shares = self.shares.copy()
        other.cores = None if self.cores is None else self.cores.copy()
        other.memory = None if self.memory is None else self.memory.copy()
        return other

    def could_hold(self, ask: Ask) -> bool:
        """Return whether nodes of the right kind could hold so much if all were empty and whole."""
        key = (ask.units, ask.per_node, ask.cores, ask.memory_bytes)
        able = self._able.get(key)
        if able is None:
            able = self._able[key] = self._with_beside(ask, -1, *self._whole)
        kinds = [(kind.size, (kind.mask & able).bit_count()) for kind in self.matching(ask)]
        if ask.share:
            return any(count for _, count in kinds)
        if ask.per_node:
            most = max((count for size, count in kinds if size >= ask.per_node), default=0)
            return (ask.least or ask.units) <= most * ask.per_node
        return (ask.least or ask.units) <= max((size * count for size, count in kinds), default=0)

    def matching(self, ask: Ask) -> list[Kind]:
        """Return the kinds of nodes that jobs of a shape may run on, in the order asked for."""
        if not ask.models:
            return self.kinds
        return [kind for model in ask.models for kind in self.kinds if kind.model == model]

    def roomy(self, ask: Ask, allowed: int) -> int:
        """Return which of the allowed nodes have the cores and the memory beside the units.

        Every node is asked for the share that goes with a node's accelerators.
        """
        if self.cores is None or self.memory is None:
            return allowed
        return self._with_beside(ask, allowed, self.cores, self.memory)

    def _with_beside(
        self, ask: Ask, allowed: int, cores_of: Sequence[int], memory_of: Sequence[float]
    ) -> int:
        """Return which of the allowed nodes have enough of the cores and the memory given."""
        if self.cores is None or not (ask.cores or ask.memory_bytes):
            return allowed
        count = max(1, -(-ask.units // max(1, ask.per_node or self.node_units)))
        cores, memory = -(-ask.cores // count), ask.memory_bytes // count
        found = 0
        for bit, (has, holds) in enumerate(zip(cores_of, memory_of, strict=True)):
            if has >= cores and (holds >= memory or not memory):
                found |= 1 << bit
        return found & allowed

    def whole_nodes(self, mask: int, kind: Kind) -> Placed:
        """Return nodes of one kind, at least one, as they are placed whole."""
        if not mask & (mask - 1):
            return (self.full_at[mask.bit_length() - 1],)
        placed = WholeNodes(self._full(mask))
        placed.mask, placed.quanta = mask, mask.bit_count() * kind.size * self.scale
        return placed

    def _full(self, mask: int) -> Iterator[tuple[int, int]]:
        """Yield node and all its quanta for each node of a mask."""
        low = (mask & -mask).bit_length() - 1
        span = mask.bit_length() - low
        if span > _SPARSE * mask.bit_count():
            return (self.full_at[bit] for bit in bits(mask))
        digits = bin(mask >> low)[:1:-1].encode()
        return compress(self.full_at[low : low + span], digits.translate(_FLAGS))

    def _add(self, bit: int, group: NodeGroup) -> None:
        size = group.cpus_per_node if self.by_core else group.gpus_per_node
        mask = ((1 << group.num_nodes) - 1) << bit
        kind = next((k for k in self.kinds if k.size == size and k.model == group.gpu_model), None)
        if kind is None:
            kind = Kind(size=size, model=group.gpu_model, mask=0, levels=[0] * (size + 1))
            self.kinds.append(kind)
        kind.mask |= mask
        kind.levels[size] |= mask
        self.up |= mask
        for place in range(bit, bit + group.num_nodes):
            self.free[place] = size
            self.full_at[place] = (self.first + place, size * self.scale)
            self.kind_at[place] = kind
        self.free_units += size * group.num_nodes
        self.total_units += size * group.num_nodes
        per_leaf = group.nodes_per_leaf or group.num_nodes or 1
        widths = {
            "domain": group.nodes_per_domain,
            "leaf": per_leaf,
            "pod": per_leaf * (group.leaves_per_pod or group.num_nodes or 1),
        }
        for level, width in widths.items():
            for start in range(0, group.num_nodes, width):
                span = min(width, group.num_nodes - start)
                self.domains[level].append(((1 << span) - 1) << (bit + start))
                if level == "leaf":
                    here = range(bit + start, bit + start + span)
                    self.leaf_at[here.start : here.stop] = [len(self.idle_in_leaf)] * span
                    self.idle_in_leaf.append(span)

    def _parted(self, placed: Placed) -> tuple[int, list[tuple[int, int]]]:
        """Return the mask of nodes that are taken whole, and bit and units of the others.

        A gang's whole nodes are of one kind; should they not be, they count among the others.
        """
        if isinstance(placed, WholeNodes):
            return placed.mask, []
        first, scale, kinds = self.first, self.scale, self.kind_at
        kind = kinds[placed[0][0] - first]
        size = kind.size * scale if kind is not None else 0
        whole, rest = 0, []
        for node, quanta in placed:
            bit = node - first
            if quanta == size and kinds[bit] is kind:
                whole |= 1 << bit
            else:
                rest.append((bit, quanta // scale))
        return whole, rest

    def _lacks(self, placed: Placed, whole: int, rest: list[tuple[int, int]]) -> int | None:
        """Return a node that does not have what is to be taken of it; None when all have it."""
        kind = self.kind_at[placed[0][0] - self.first]
        missing = whole & ~kind.levels[kind.size] if kind is not None else whole
        if missing:
            return self.first + (missing & -missing).bit_length() - 1
        for bit, units in rest:
            if not self.up >> bit & 1 or self.free[bit] < units:
                return self.first + bit
        return None

    def _move_whole(self, placed: Placed, whole: int, *, taken: bool) -> None:
        """Let the whole nodes of a gang, all of one kind, change hands at once."""
        if not whole:
            return
        first = self.first
        kind = self.kind_at[placed[0][0] - first]
        assert kind is not None
        size, levels, up = kind.size, kind.levels, whole & self.up
        levels[size] ^= up
        levels[0] ^= up
        after = 0 if taken else size
        free = self.free
        for node, _ in placed if isinstance(placed, WholeNodes) else self._full(whole):
            free[node - first] = after
        change = -1 if taken else 1
        self.free_units += change * size * up.bit_count()
        idle, leaves = self.idle_in_leaf, self.domains["leaf"]
        while up:
            leaf = self.leaf_at[(up & -up).bit_length() - 1]
            here = up & leaves[leaf]
            idle[leaf] += change * here.bit_count()
            up ^= here

    def _move(self, bit: int, units: int) -> None:
        kind, free = self.kind_at[bit], self.free[bit]
        assert kind is not None
        after = free + units
        assert 0 <= after <= kind.size, "a node holds what it has"
        self.free[bit] = after
        here = 1 << bit
        if self.up & here:
            self.free_units += units
            kind.levels[free] ^= here
            kind.levels[after] ^= here
            if after == kind.size:
                self.idle_in_leaf[self.leaf_at[bit]] += 1
            elif free == kind.size:
                self.idle_in_leaf[self.leaf_at[bit]] -= 1

    def _has_share(self, bit: int, part: int, quanta: int) -> bool:
        if not 0 <= bit < len(self.free) or not self.up >> bit & 1:
            return False
        free = self.shares.get((bit, part))
        return self.free[bit] > 0 if free is None else free >= quanta

    def _share(self, bit: int, part: int, quanta: int) -> None:
        before = self.shares.get((bit, part))
        if before is None:
            self._move(bit, -1)
            before = QUANTA
        else:
            del self.open[bisect_left(self.open, (before, bit, part))]
        after = before + quanta
        assert 0 <= after <= QUANTA, "an accelerator is shared out once"
        if after == QUANTA:
            del self.shares[bit, part]
            self._move(bit, 1)
            return
        self.shares[bit, part] = after
        insort(self.open, (after, bit, part))

    def _host(self, placed: Placed, ask: Ask | None, sign: int) -> None:
        """Book cores and memory beside accelerators, spread evenly over the nodes."""
        if self.cores is None or self.memory is None or ask is None:
            return
        if not (ask.cores or ask.memory_bytes):
            return
        # Whole bytes add up to the same in every order, so what is given back is all there again.
        cores, memory = -(-ask.cores // len(placed)), ask.memory_bytes // len(placed)
        for node, _ in placed:
            self.cores[node - self.first] += sign * cores
            self.memory[node - self.first] += sign * memory

    def _set_up(self, bit: int) -> None:
        kind, here = self.kind_at[bit], 1 << bit
        assert kind is not None
        should, is_up = not (self.down | self.drained) & here, bool(self.up & here)
        if should == is_up:
            return
        self.up ^= here
        self.num_gains += should
        kind.levels[self.free[bit]] ^= here
        self.free_units += self.free[bit] if should else -self.free[bit]
        if self.free[bit] == kind.size:
            self.idle_in_leaf[self.leaf_at[bit]] += 1 if should else -1


def bits(mask: int) -> Iterator[int]:
    """Yield the numbers of the bits of a mask, lowest first."""
    if mask.bit_length() > 256:  # a kilobyte shifted for each bit would cost more than a text
        text = bin(mask)[:1:-1]
        at = text.find("1")
        while at >= 0:
            yield at
            at = text.find("1", at + 1)
        return
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def lowest(mask: int, count: int) -> int:
    """Return the mask of the lowest `count` bits of a mask that has at least as many."""
    if mask.bit_count() == count:
        return mask
    start = (mask & -mask).bit_length() - 1
    mask >>= start  # short numbers are halved faster
    low, high = count, mask.bit_length()
    while low < high:
        middle = (low + high) // 2
        if (mask & ((1 << middle) - 1)).bit_count() < count:
            low = middle + 1
        else:
            high = middle
    return (mask & ((1 << low) - 1)) << start
