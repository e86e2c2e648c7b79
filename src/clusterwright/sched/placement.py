"""Where a job goes: small functions over a pool, by name.

`consolidate` takes the fullest node that still fits; a job larger than a node takes whole free
nodes and, for the remainder, the fullest node that still fits it. `leaf` does the same but keeps a
gang under as few leaf switches as it can, and under one scale-up domain where it fits in one.
What a job itself says about topology goes before either. `spread` takes the emptiest node.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from clusterwright.errors import UnknownName
from clusterwright.sched.nodes import ALL, Ask, Kind, Placed, Pool, Spot, bits, lowest

Placement = Callable[[Pool, Ask, int], Spot | None]


def consolidate(pool: Pool, ask: Ask, allowed: int = ALL) -> Spot | None:
    """Return the fullest nodes that fit a job, or None when it does not fit now."""
    return _placed(pool, ask, allowed, _first_nodes)


def leaf_aware(pool: Pool, ask: Ask, allowed: int = ALL) -> Spot | None:
    """Return the nodes for a job under as few leaves as possible, or None."""
    return _placed(pool, ask, allowed, _fewest_leaves)


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


def gathered(
    pool: Pool, idle: int, count: int, level: str, *, required: bool = False, segment: int = 0
) -> int | None:
    """Return `count` of the idle nodes, as close together as may be.

    Parameters
    ----------
    pool
        Whose topology counts.
    idle
        Mask of the nodes to choose from.
    count
        How many.
    level
        Domain, leaf or pod, within which they should stay.
    required
        True when they must.
    segment
        Nodes that must stay together, when the whole need not; 0 for all of them.

    Returns
    -------
    int or None
        Mask of the nodes; None when there are not enough, or not close enough.
    """
    if idle.bit_count() < count:
        return None
    domains = [(free, mask) for mask in pool.domains[level] if (free := idle & mask)]
    if segment:
        return _in_segments(domains, count, segment, required=required)
    counted = [(free.bit_count(), free) for free, _ in domains]
    holding = [one for one in counted if one[0] >= count]
    if holding:
        return lowest(min(holding, key=_fewest_then_first)[1], count)
    if required:
        return None
    return _from_most(counted, count)


def _placed(
    pool: Pool, ask: Ask, allowed: int, choose: Callable[[Pool, int, int], int | None]
) -> Spot | None:
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
    pool: Pool,
    ask: Ask,
    kind: Kind,
    units: int,
    allowed: int,
    choose: Callable[[Pool, int, int], int | None],
) -> Spot | None:
    count, rest = divmod(units, kind.size)
    chosen, levels = 0, kind.levels
    idle = levels[kind.size] & allowed
    if count:
        found = _by_wish(pool, ask, idle, count, choose)
        if found is None:
            return None
        chosen = found
    whole: Placed = pool.whole_nodes(chosen, kind) if chosen else ()
    if not rest:
        return whole, -1
    near = ALL
    if ask.topology is not None and ask.topology.required and chosen:
        near = _around(pool, chosen, ask.topology.level)
    left = allowed & near & ~chosen
    if chosen and choose is _fewest_leaves and ask.topology is None:
        beside = idle & ~chosen & _around(pool, chosen, "leaf")
        if beside:  # a node of the same leaf before the fullest one elsewhere
            return whole + _at(pool, beside, rest), -1
    for free in range(rest, kind.size + 1):
        mask = levels[free] & left
        if mask:
            return whole + _at(pool, mask, rest), -1
    return None


def _by_wish(
    pool: Pool, ask: Ask, idle: int, whole: int, choose: Callable[[Pool, int, int], int | None]
) -> int | None:
    wish = ask.topology
    if wish is None:
        return choose(pool, idle, whole)
    return gathered(
        pool, idle, whole, wish.level, required=wish.required, segment=wish.segment_nodes
    )


def _first_nodes(_: Pool, idle: int, count: int) -> int | None:
    return lowest(idle, count) if idle.bit_count() >= count else None


def _fewest_leaves(pool: Pool, idle: int, count: int) -> int | None:
    if count == 1:
        return _first_nodes(pool, idle, count)
    if len(pool.domains["domain"]) < len(pool.free):
        within = gathered(pool, idle, count, "domain", required=True)
        if within is not None:
            return within
    # The counts of the pool tell where to look first: the emptiest leaf that may hold it.
    fewest = min(filter(count.__le__, pool.idle_in_leaf), default=0)
    if fewest:
        there = idle & pool.domains["leaf"][pool.idle_in_leaf.index(fewest)]
        if there.bit_count() >= count:
            return lowest(there, count)
    return gathered(pool, idle, count, "leaf")


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


def _fewest_then_first(one: tuple[int, int]) -> tuple[int, int]:
    count, free = one
    return count, (free & -free).bit_length()


def _from_most(counted: Sequence[tuple[int, int]], count: int) -> int:
    """Return nodes of the domains with the most free; the last one is the fullest that does."""
    chosen, left = 0, count
    rest = sorted(counted, key=lambda one: (-one[0], (one[1] & -one[1]).bit_length()))
    for number, (has, free) in enumerate(rest):
        if has >= left:
            enough = [one for one in rest[number:] if one[0] >= left]
            return chosen | lowest(min(enough, key=_fewest_then_first)[1], left)
        chosen |= free
        left -= has
    return chosen


def _in_segments(
    domains: Sequence[tuple[int, int]], count: int, segment: int, *, required: bool
) -> int | None:
    """Return nodes in whole segments, each within one domain, the fewest domains first."""
    chosen, left = 0, count
    order = sorted(domains, key=lambda one: (-one[0].bit_count(), (one[0] & -one[0]).bit_length()))
    for free, _ in order:
        fits = free.bit_count() // segment * segment
        if left < segment:  # what is left over is a segment that is not full
            fits = left if free.bit_count() >= left else 0
        part = min(left, fits)
        if part:
            chosen |= lowest(free, part)
            left -= part
        if not left:
            return chosen
    if required:
        return None
    rest = 0
    for free, _ in domains:
        rest |= free & ~chosen
    return chosen | lowest(rest, left) if rest.bit_count() >= left else None
