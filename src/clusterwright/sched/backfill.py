"""Later jobs that may go first because they delay nobody who is before them.

`easy`: the first job that does not fit is promised the nodes on which it could start soonest, by
what is known of the running jobs; a later one may start now when it ends before that time, or keeps
off those nodes (Lifka, "The ANL/IBM SP Scheduling System", 1995). `conservative`: every waiting job
that is looked at is promised a time in a profile of free units, and a later one must keep to all of
these promises (Mu'alem and Feitelson, IEEE TPDS 12(6), 2001).
"""

import heapq
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import islice

from clusterwright.model.event import Event
from clusterwright.sched import starts
from clusterwright.sched.line import Line, Rank, rank_of
from clusterwright.sched.nodes import ALL, Ask, Pool, Spot
from clusterwright.sched.powercap import LITTLE_W
from clusterwright.sched.quotas import Tier
from clusterwright.sched.state import State

Look = tuple[int, float, int, int]  # first job, its promised time and nodes, gains of the pool
_NEVER = float("inf")


def later_jobs(state: State, pool: Pool, now_s: float) -> list[Event]:
    """Start jobs behind the first one that does not fit, and return their starts.

    Parameters
    ----------
    state
        What waits, runs and is free; the starts are applied to it.
    pool
        The nodes.
    now_s
        Time of the decision.
    """
    if not pool.free_units and not pool.open:
        return []  # nothing is free, so nothing can start
    if state.policy.backfill == "easy":
        return _easy(state, pool, now_s)
    depth = state.policy.backfill_depth + 1
    return _conservative(state, pool, now_s, islice(_in_order(state, pool, now_s), depth))


def _in_order(state: State, pool: Pool, now_s: float) -> Iterator[int]:
    """Yield the waiting jobs of a pool in order, those of a queue at its limit left out."""
    lines = [line for line in state.lines_of[pool.name] if len(line)]
    depth = state.policy.backfill_depth + 1
    if len(lines) == 1 and state.policy.patience_s is None:
        yield from list(islice(lines[0].ordered(), depth))
        return
    ranked = [
        sorted((_rank(state, line, job, now_s), job) for job in islice(line.ordered(), depth))
        for line in lines
    ]
    for _, job in heapq.merge(*ranked):
        if state.line(job).account.within_limit(state.quanta(job)):
            yield job


def _easy(state: State, pool: Pool, now_s: float) -> list[Event]:
    lines = [line for line in state.lines_of[pool.name] if len(line)]
    alone = len(lines) == 1 and not state.shared  # else its queue may be at its limit
    first = lines[0].head(now_s) if alone else next(_in_order(state, pool, now_s), None)
    if first is None:
        return []
    shadow_s, kept = _promise(state, pool, first, now_s)
    permits = state.permits
    started: list[Event] = []
    closed: set[Ask] = set()
    tight: set[Ask] = set()
    look, free_units = (first, shadow_s, kept, pool.num_gains), pool.free_units
    for job in _candidates(state, pool, now_s, closed, tight, look):
        ask, line = state.ask(job), state.line(job)
        if job == first or ask.units > pool.free_units:
            continue
        if not line.account.within_limit(ask.quanta(pool.scale)):
            continue
        if permits is not None:
            if permits.lacks_power(pool, ask, now_s):
                closed.add(ask)
                continue
            spot = _permitted(state, pool, job, now_s, shadow_s, kept)
            if spot is not None:
                started.append(starts.start(state, now_s, job, spot))
            elif state.place(pool, ask, ALL) is None:
                closed.add(ask)
            continue
        spot = None if ask in tight else state.place(pool, ask, ~kept)
        if spot is None:
            tight.add(ask)
            if now_s + state.guess_s(job) > shadow_s:
                continue
            spot = state.place(pool, ask, ALL)
            if spot is None:
                closed.add(ask)
                continue
        started.append(starts.start(state, now_s, job, spot))
        if not pool.free_units and not pool.open:
            break
    _note(state, pool, look, len(started), free_units)
    return started


def _note(state: State, pool: Pool, look: Look, num_started: int, free_units: int) -> None:
    """Note that all that waits has been looked at, where that is so and may be known."""
    line = _only_line(state, pool)
    # A shape that went with its last jobs was yielded twice as well.
    if line is not None and line.sees_all(3 * num_started, free_units):
        state.looked[pool.name] = look
    for one in state.lines_of[pool.name]:
        one.fresh.clear()


def _only_line(state: State, pool: Pool) -> Line | None:
    """Return the only line of a pool that has an index by shape and no other rules.

    Where permits are asked, time alone may let a job start: a reservation ends, power comes free.
    """
    lines = state.lines_of[pool.name]
    plain = len(lines) == 1 and not state.shared and state.policy.patience_s is None
    return lines[0] if plain and lines[0].by_shape and state.permits is None else None


def _newcomers(
    state: State, line: Line, tight: set[Ask], spare_s: float, loose_units: int
) -> Iterator[int]:
    """Yield those that came since the last look, as `fitting` would."""
    for job in line.newcomers():
        ask = state.ask(job)
        if ask.units > loose_units:
            tight.add(ask)
        if ask not in tight or state.guess_s(job) <= spare_s:
            yield job


def _permitted(
    state: State, pool: Pool, job: int, now_s: float, shadow_s: float, kept: int
) -> Spot | None:
    """Return where a later job may start: jobs of one shape differ in what they are permitted."""
    ask = state.ask(job)
    spot = starts.place(state, pool, job, ask, now_s, within=~kept, passes=True)
    if spot is None and now_s + state.guess_s(job) <= shadow_s:
        spot = starts.place(state, pool, job, ask, now_s, passes=True)
    return spot


def _candidates(
    state: State,
    pool: Pool,
    now_s: float,
    closed: set[Ask],
    tight: set[Ask],
    look: Look,
) -> Iterator[int]:
    """Yield the waiting jobs that could fit, in order; few where little is free.

    Where nothing came free since a look that saw all of them, and the promise is the same, what
    could not start then cannot start now, and only those that have come since are looked at.
    """
    _, shadow_s, kept, _ = look
    spare_s, loose_units = shadow_s - now_s, pool.units_in(~kept)
    known = state.looked.pop(pool.name, None)
    only = _only_line(state, pool)
    if only is not None and known == look and only.sees_all(len(only.fresh), pool.free_units):
        return _newcomers(state, only, tight, spare_s, loose_units)
    lines = [line for line in state.lines_of[pool.name] if len(line)]
    depth = state.policy.backfill_depth
    if len(lines) == 1 and state.policy.patience_s is None:
        return lines[0].fitting(depth, closed, tight, spare_s=spare_s, loose_units=loose_units)
    ranked = []
    for line in lines:
        some = line.fitting(depth, closed, tight, spare_s=spare_s, loose_units=loose_units)
        ranked.append(sorted((_rank(state, line, job, now_s), job) for job in some))
    return (job for _, job in heapq.merge(*ranked))


def _rank(state: State, line: Line, job: int, now_s: float) -> Rank:
    tier = Tier.BORROWED
    if state.shared:
        tier = line.account.claim(state.ask(job).quanta(line.pool.scale))[0]
    urgent = state.policy.patience_s is not None and tier is not Tier.GUARANTEED
    if urgent and line.late(now_s) == job:
        tier = Tier.LATE
    return rank_of(line, line.entries[job], tier, fair=state.fair)


def _promise(state: State, pool: Pool, job: int, now_s: float) -> tuple[float, int]:
    """Return the promise to the first job: the one it has, while that can be kept, else a new one.

    What ends early could make it start sooner, and then it does, since it is asked first; what was
    promised stays true, so it is worked out again only when its time has passed.
    """
    known = state.promises.get(pool.name)
    if known is not None and known[0] == job and now_s < known[1]:
        return known[1], known[2]
    shadow_s, kept = _promised(state, pool, job, now_s)
    state.promises[pool.name] = (job, shadow_s, kept)
    return shadow_s, kept


def _promised(state: State, pool: Pool, job: int, now_s: float) -> tuple[float, int]:
    """Return when the first job could start by what is known, and the mask of nodes it then takes.

    Nodes are given back one running job after the other, on a copy, until the job fits.
    """
    ask = state.ask(job)
    trial = pool.scratch()
    if state.permits is not None:
        return _permitted_from(state, pool, trial, job, now_s)
    units = trial.free_units
    for end_s, other in state.by_end[pool.name]:
        run = state.running[other]
        trial.give(run.placed, run.part, state.ask(other))
        if ask.units > trial.free_units or trial.free_units == units:
            continue
        units = trial.free_units
        spot = state.place(trial, ask, ALL)
        if spot is not None:
            kept = 0
            for node, _ in spot[0]:
                kept |= 1 << (node - pool.first)
            return max(end_s, now_s), kept
    return _NEVER, 0


def _permitted_from(
    state: State, pool: Pool, trial: Pool, job: int, now_s: float
) -> tuple[float, int]:
    """Return the same where more than the ends of running jobs decides when a job may start."""
    assert state.permits is not None
    ask = state.ask(job)
    ends = [(max(end_s, now_s), other) for end_s, other in state.by_end[pool.name]]
    edges = [(edge_s, -1) for edge_s in state.permits.edges_s(now_s)]
    for time_s, other in heapq.merge(ends, edges):
        if other >= 0:
            run = state.running[other]
            trial.give(run.placed, run.part, state.ask(other))
        if (ask.least or ask.units) > trial.free_units:
            continue
        spot = state.permits.place(pool, job, now_s, at_s=time_s, to_try=trial)
        if spot is not None:
            state.permits.promise(pool, job, time_s, spot)
            kept = 0
            for node, _ in spot[0]:
                kept |= 1 << (node - pool.first)
            return time_s, kept
    return _NEVER, 0


def _conservative(state: State, pool: Pool, now_s: float, waiting: Iterator[int]) -> list[Event]:
    started: list[Event] = []
    profile = Profile(now_s, pool.free_units)
    for end_s, job in state.by_end[pool.name]:
        units = state.running[job].quanta // pool.scale
        profile.give_back(max(end_s, now_s), units)
    watts = _headroom(state, now_s)
    for job in waiting:
        ask, guess = state.ask(job), state.guess_s(job)
        if not state.line(job).account.within_limit(ask.quanta(pool.scale)):
            continue
        units = ask.units or 1
        draw_w = 0.0 if watts is None else _draw_w(state, pool, ask)
        start_s = _earliest(profile, watts, (units, draw_w), guess, now_s)
        if start_s <= now_s:
            spot = starts.place(state, pool, job, ask, now_s)
            if spot is not None:
                started.append(starts.start(state, now_s, job, spot))
            else:  # enough is free, but in pieces: it is promised the next change
                after_s = profile.next_s(now_s)
                start_s = _earliest(profile, watts, (units, draw_w), guess, after_s)
        if start_s < _NEVER:
            profile.reserve(start_s, guess, units)
            if watts is not None:
                watts.reserve(start_s, guess, draw_w)
    return started


def _headroom(state: State, now_s: float) -> "Profile | None":
    """Return the power to be had over time; None where it is not counted."""
    book = None if state.permits is None else state.permits.power
    if book is None:
        return None
    watts = Profile(now_s, book.at_s(now_s) - book.drawn_w() + LITTLE_W)
    for time_s in book.steps_s(now_s):
        watts.give_back(time_s, book.at_s(time_s) - book.at_s(math.nextafter(time_s, now_s)))
    for end_s, draw_w in book.ends():
        if end_s > now_s:
            watts.give_back(end_s, draw_w)
    return watts


def _draw_w(state: State, pool: Pool, ask: Ask) -> float:
    """Return what a job draws at most, wherever in its pool it stands."""
    assert state.permits is not None
    assert state.permits.power is not None
    return state.permits.power.quantum_w(pool)[1] * ask.quanta(pool.scale)


def _earliest(
    profile: "Profile",
    watts: "Profile | None",
    wanted: tuple[float, float],
    lasts_s: float,
    from_s: float,
) -> float:
    """Return from when on there are units, and power where it is counted, for so long."""
    start_s = profile.earliest(wanted[0], lasts_s, from_s=from_s)
    while watts is not None and start_s < _NEVER:
        powered_s = watts.earliest(wanted[1], lasts_s, from_s=start_s)
        if powered_s <= start_s:
            break
        start_s = profile.earliest(wanted[0], lasts_s, from_s=powered_s)
    return start_s


class Profile:
    """Free units, or watts, over time, as steps."""

    def __init__(self, now_s: float, free: float) -> None:
        """Begin with what is free now."""
        self._times = [now_s]
        self._free = [free]

    def give_back(self, time_s: float, units: float) -> None:
        """Add units that come free at a time, and stay so."""
        at = self._step(time_s)
        for i in range(at, len(self._free)):
            self._free[i] += units

    def reserve(self, start_s: float, lasts_s: float, units: float) -> None:
        """Take units for a time."""
        first = self._step(start_s)
        last = self._step(start_s + lasts_s) if lasts_s < _NEVER else len(self._times)
        for i in range(first, last):
            self._free[i] -= units

    def next_s(self, now_s: float) -> float:
        """Return when the next step begins; infinity when the last one has."""
        after = bisect_right(self._times, now_s)
        return self._times[after] if after < len(self._times) else _NEVER

    def earliest(self, units: float, lasts_s: float, *, from_s: float) -> float:
        """Return from when on so many units are free for so long; infinity when never."""
        if from_s == _NEVER:
            return _NEVER
        times, free = self._times, self._free
        i = max(0, bisect_right(times, from_s) - 1)
        while i < len(times):
            if free[i] < units:
                i += 1
                continue
            start_s = max(times[i], from_s)
            end_s, j = start_s + lasts_s, i + 1
            while j < len(times) and times[j] < end_s and free[j] >= units:
                j += 1
            if j == len(times) or times[j] >= end_s:
                return start_s
            i = j
        return _NEVER

    def _step(self, time_s: float) -> int:
        at = bisect_left(self._times, time_s)
        if at == len(self._times) or self._times[at] != time_s:
            self._times.insert(at, time_s)
            self._free.insert(at, self._free[at - 1])
        return at
