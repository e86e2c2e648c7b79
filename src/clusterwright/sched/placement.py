"""Where a job goes: small functions over a pool, by name.

`consolidate` takes the fullest node that still fits; a job larger than a node takes whole free
nodes and, for the remainder, the fullest node that still fits it. `leaf` does the same but keeps a
gang under as few leaf switches as it can, and under one scale-up domain where it fits in one.
What a job itself says about topology goes before either. `spread` takes the emptiest node.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache

from clusterwright.errors import UnknownName
from clusterwright.sched.gathering import gathered, under_fewest_leaves
from clusterwright.sched.nodes import ALL, Ask, Kind, Pool, Spot, bits, lowest

Placement = Callable[[Pool, Ask, int], Spot | None]
Choose = Callable[[Pool, int, int, int | None], int | None]


def consolidate(pool: Pool, ask: Ask, allowed: int = ALL) -> Spot | None:
    """Return the fullest nodes that fit a job, or None when it does not fit now."""
    return _placed(pool, ask, allowed, _first_nodes)


def leaf_aware(pool: Pool, ask: Ask, allowed: int = ALL) -> Spot | None:
    """Return the nodes for a job under as few leaves as possible, or None."""
    return _placed(pool, ask, allowed, under_fewest_leaves)


def spread(pool: Pool, ask: Ask, allowed: int = ALL) -> Spot | None:
    """Return the emptiest nodes that fit a job, or None: load and heat stay even."""
    if ask.units == 0 or ask.units > pool.node_units or ask.per_node:
        return consolidate(pool, ask, allowed)
    allowed = pool.roomy(ask, allowed)
    for kind in pool.matching(ask):
        for free in range(kind.size, ask.units - 1, -1):
            mask = kind.levels[free] & allowed
            if mask:
                return _at(pool, mask, ask.units), -1
    return None


PLACEMENTS: Mapping[str, Placement] = {
    "consolidate": consolidate,
    "leaf": leaf_aware,
    "spread": spread,
}


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


def _placed(pool: Pool, ask: Ask, allowed: int, choose: Choose) -> Spot | None:
    if ask.cores or ask.memory_bytes:
        allowed = pool.roomy(ask, allowed)
    if ask.share:
        return _shared(pool, ask, allowed)
    if ask.units > pool.free_units and not ask.least:
        return None
    if ask.per_node:
        return _on_each(pool, ask, allowed)
    for kind in pool.kinds if not ask.models else pool.matching(ask):
        if ask.units < kind.size and not ask.least:  # the usual case, without detours
            if choose is under_fewest_leaves:
                where = _in_blocks(pool, kind, ask.units, allowed)
                if where:
                    return _at(pool, where, ask.units), -1
                continue
            for mask in kind.levels[ask.units :]:
                if mask := mask & allowed:
                    return _at(pool, mask, ask.units), -1
            continue
        for units in _sizes(ask, kind):
            found = _whole_units(pool, ask, kind, units, allowed, choose)
            if found is not None:
                return found
    return None


def _on_each(pool: Pool, ask: Ask, allowed: int) -> Spot | None:
    """Return the fullest nodes of one kind that each have what one node of a gang asks for."""
    each, wish = ask.per_node, ask.topology
    least = -(-(ask.least or ask.units) // each)
    for kind in pool.matching(ask):
        fits = _union(kind.levels[each:]) & allowed
        for count in range(ask.units // each, least - 1, -1):
            if fits.bit_count() < count:
                continue
            if wish is None:
                found: int | None = _fullest(kind, each, fits, count)
            else:
                found = gathered(
                    pool,
                    fits,
                    count,
                    wish.level,
                    required=wish.required,
                    segment=wish.segment_nodes,
                )
            if found is not None:
                quanta = each * pool.scale
                return tuple([(pool.first + bit, quanta) for bit in bits(found)]), -1
    return None


def _fullest(kind: Kind, each: int, fits: int, count: int) -> int:
    """Return `count` of the nodes that fit, those with the least free first."""
    chosen = 0
    for level in kind.levels[each:]:
        part = level & fits
        chosen |= lowest(part, min(count - chosen.bit_count(), part.bit_count()))
        if chosen.bit_count() == count:
            break
    return chosen


def _sizes(ask: Ask, kind: Kind) -> Sequence[int]:
    """Return the numbers of units to try, the most first; an elastic job takes whole nodes."""
    if not ask.least or ask.least == ask.units:
        return (ask.units,)
    sizes = [*range(ask.units // kind.size * kind.size, ask.least, -kind.size), ask.least]
    return sizes if ask.units % kind.size == 0 else [ask.units, *sizes]


def _whole_units(
    pool: Pool, ask: Ask, kind: Kind, units: int, allowed: int, choose: Choose
) -> Spot | None:
    whole, rest = divmod(units, kind.size)
    chosen, levels = 0, kind.levels
    idle = levels[kind.size] & allowed
    if whole:
        partly = _union(levels[rest : kind.size]) & allowed if rest else None
        found = _by_wish(pool, ask, idle, whole, partly, choose)
        if found is None:
            return None
        chosen = found
    if not rest:
        return pool.whole_nodes(chosen, kind), -1
    left = allowed & ~chosen
    for near in _nearest_first(pool, chosen, ask, choose):
        order: Sequence[int] = range(rest, kind.size + 1)
        if choose is under_fewest_leaves:
            order = _fewest_blocks_broken(kind.size, rest)
        for free in order:
            mask = levels[free] & left & near
            if mask:
                some = pool.whole_nodes(chosen, kind) if chosen else ()
                return some + _at(pool, mask, rest), -1
    return None


def _in_blocks(pool: Pool, kind: Kind, units: int, allowed: int) -> int:
    """Return the nodes on which a part of one breaks the fewest blocks, an idle node last."""
    for free in _fewest_blocks_broken(kind.size, units):
        mask = kind.levels[free] & allowed
        if mask:
            if free < kind.size:
                return mask
            return under_fewest_leaves(pool, mask, 1, None) or mask
    return 0


@cache
def _fewest_blocks_broken(size: int, units: int) -> tuple[int, ...]:
    """Return the free units that a node may have, where a job breaks the fewest blocks first.

    Jobs ask for one, two, four, eight accelerators: what is free is worth the blocks of these
    sizes in it. One accelerator comes from a node with three free rather than from one with two.
    """
    blocks = {size, *(1 << power for power in range(size.bit_length()))}

    def broken(free: int) -> tuple[int, int]:
        after = free - units
        return sum((free // block - after // block) * block for block in blocks), free

    return tuple(sorted(range(units, size + 1), key=broken))


def _nearest_first(pool: Pool, chosen: int, ask: Ask, choose: Choose) -> Iterator[int]:
    """Yield where the remainder of a gang is looked for: beside its whole nodes, then anywhere."""
    wish = ask.topology
    if chosen and (wish is not None or choose is under_fewest_leaves):
        yield _around(pool, chosen, wish.level if wish is not None else "leaf")
    if wish is None or not wish.required or not chosen:
        yield ALL


def _by_wish(
    pool: Pool, ask: Ask, idle: int, whole: int, partly: int | None, choose: Choose
) -> int | None:
    wish = ask.topology
    if wish is None:
        return choose(pool, idle, whole, partly)
    return gathered(
        pool,
        idle,
        whole,
        wish.level,
        required=wish.required,
        segment=wish.segment_nodes,
        partly=partly,
    )


def _first_nodes(_: Pool, idle: int, count: int, partly: int | None) -> int | None:
    del partly  # its remainder goes to the fullest node, wherever that is
    return lowest(idle, count) if idle.bit_count() >= count else None


def _shared(pool: Pool, ask: Ask, allowed: int) -> Spot | None:
    """Return the fullest accelerator that is shared already, else a new one on the fullest node."""
    kinds = pool.matching(ask)
    fits = allowed & pool.up
    if ask.models:
        fits &= _union(kind.mask for kind in kinds)
    for free, bit, part in pool.open:
        if free >= ask.share and fits >> bit & 1:
            return ((pool.first + bit, ask.share),), part
    for kind in kinds:
        for free in range(1, kind.size + 1):
            mask = kind.levels[free] & allowed
            if mask:
                bit = (mask & -mask).bit_length() - 1
                part = next(n for n in range(kind.size) if (bit, n) not in pool.shares)
                return ((pool.first + bit, ask.share),), part
    return None


def _at(pool: Pool, mask: int, units: int) -> tuple[tuple[int, int], ...]:
    return ((pool.first + (mask & -mask).bit_length() - 1, units * pool.scale),)


def _around(pool: Pool, chosen: int, level: str) -> int:
    return _union(mask for mask in pool.domains[level] if mask & chosen)


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found
