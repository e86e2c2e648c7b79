"""How close together the nodes of a gang stand: in the fewest domains, leaves or pods.

Among equals the nodes come from where they leave least: the group with the fewest idle nodes that
still holds the gang, its remainder included.
"""

from collections.abc import Sequence

from clusterwright.sched.nodes import Pool, lowest

_Group = tuple[int, int, int]  # idle nodes of a group, their mask, mask of all its nodes


def gathered(
    pool: Pool,
    idle: int,
    count: int,
    level: str,
    *,
    required: bool = False,
    segment: int = 0,
    partly: int | None = None,
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
    partly
        Mask of other nodes that have room for the remainder of the gang, which should stand beside
        its whole nodes; an idle node more does too. None when there is no remainder.

    Returns
    -------
    int or None
        Mask of the nodes; None when there are not enough, or not close enough.
    """
    if idle.bit_count() < count:
        return None
    groups = [
        (free.bit_count(), free, mask) for mask in pool.domains[level] if (free := idle & mask)
    ]
    if segment:
        return _in_segments(groups, count, segment, required=required, partly=partly)
    holding = [one for one in groups if one[0] >= count]
    whole = [one for one in holding if _has_rest(one, count, partly)]
    if whole or (holding and not required):
        return lowest(min(whole or holding, key=_fewest_then_first)[1], count)
    return None if required else _from_most(groups, count)


def under_fewest_leaves(pool: Pool, idle: int, count: int, partly: int | None) -> int | None:
    """Return idle nodes in one scale-up domain, else under one leaf, else under few leaves."""
    if count > 1 and len(pool.domains["domain"]) < len(pool.free):
        within = gathered(pool, idle, count, "domain", required=True, partly=partly)
        if within is not None:
            return within
    # The counts of the pool tell where to look first: the emptiest leaf that may hold it.
    leaves = pool.domains["leaf"]
    has = pool.idle_in_leaf
    if partly is None:  # the usual gang leaves no remainder, and the counts decide
        fewest = min(filter(count.__le__, has), default=0)
        leaf = has.index(fewest) if fewest else -1
    else:
        holding = ((n, i) for i, n in enumerate(has) if n >= count)
        leaf = min(
            ((n, i) for n, i in holding if n > count or partly & leaves[i]), default=(0, -1)
        )[1]
    if leaf >= 0:
        there = idle & leaves[leaf]
        if there.bit_count() >= count:
            return lowest(there, count)
    return gathered(pool, idle, count, "leaf", partly=partly)


def _has_rest(group: _Group, taken: int, partly: int | None) -> bool:
    """Return whether the remainder of a gang finds room in a group beside what it takes."""
    return partly is None or group[0] > taken or bool(partly & group[2])


def _fewest_then_first(one: _Group) -> tuple[int, int]:
    return one[0], (one[1] & -one[1]).bit_length()


def _most_then_first(one: _Group) -> tuple[int, int]:
    return -one[0], (one[1] & -one[1]).bit_length()


def _from_most(groups: Sequence[_Group], count: int) -> int:
    """Return nodes of the groups with the most free; the last one is the fullest that does."""
    chosen, left = 0, count
    rest = sorted(groups, key=_most_then_first)
    for number, (has, free, _) in enumerate(rest):
        if has >= left:
            enough = [one for one in rest[number:] if one[0] >= left]
            return chosen | lowest(min(enough, key=_fewest_then_first)[1], left)
        chosen |= free
        left -= has
    return chosen


def _in_segments(
    groups: Sequence[_Group], count: int, segment: int, *, required: bool, partly: int | None
) -> int | None:
    """Return nodes in whole segments, each within one group, the fewest groups first."""
    order = sorted(groups, key=_most_then_first)
    taken = _segments_by_group(order, count, segment, partly)
    if taken is not None and partly is not None and not _rest_beside(order, taken, partly):
        other = _segments_with_rest(order, count, segment, partly)
        if other is not None:
            order, taken = other
        elif required:
            return None
    if taken is None:
        return None if required else _from_most(groups, count)
    chosen = 0
    for (_, free, _), nodes in zip(order, taken, strict=True):
        chosen |= lowest(free, nodes) if nodes else 0
    return chosen


def _segments_with_rest(
    order: Sequence[_Group], count: int, segment: int, partly: int
) -> tuple[list[_Group], list[int]] | None:
    """Return groups with what they hold of a gang, one of them with room for the remainder too."""
    for number, (has, free, mask) in enumerate(order):
        # Where no other node has room, an idle one is kept for the remainder.
        spare = has if partly & mask else has - 1
        first = [(spare, free, mask), *order[:number], *order[number + 1 :]]
        taken = _segments_by_group(first, count, segment, partly, from_first=True)
        if taken is not None and taken[0]:
            return first, taken
    return None


def _segments_by_group(
    order: Sequence[_Group],
    count: int,
    segment: int,
    partly: int | None,
    *,
    from_first: bool = False,
) -> list[int] | None:
    """Return how many nodes of each group hold the segments; None when they do not fit.

    The last segment may be smaller than the others; it goes where one is already, if it can. With
    `from_first` the first group holds something of the gang, if it can.
    """
    left, last = divmod(count, segment)
    taken = [0] * len(order)
    for number, (has, _, _) in enumerate(order):
        room = has // segment
        if not left or not room:
            continue
        at = number
        if room >= left and not (from_first and number == 0):
            fits = [n for n in range(number, len(order)) if order[n][0] // segment >= left]
            wanted = left * segment + last
            at = min(fits, key=lambda n: _ends_with(order[n], wanted, partly))
        part = min(left, order[at][0] // segment)
        taken[at] = part * segment
        left -= part
    if left:
        return None
    if last:
        fits = [n for n, one in enumerate(order) if one[0] - taken[n] >= last]
        if not fits:
            return None
        if from_first and not taken[0] and 0 in fits:
            fits = [0]
        taken[min(fits, key=lambda n: (not taken[n], *_fewest_then_first(order[n])))] += last
    return taken


def _ends_with(one: _Group, wanted: int, partly: int | None) -> tuple[bool, bool, int, int]:
    """Return how a group ranks as the last of a gang: holding all that is left, then the rest."""
    lacks = one[0] < wanted
    return lacks, lacks or not _has_rest(one, wanted, partly), *_fewest_then_first(one)


def _rest_beside(order: Sequence[_Group], taken: Sequence[int], partly: int) -> bool:
    return any(n and _has_rest(one, n, partly) for one, n in zip(order, taken, strict=True))
