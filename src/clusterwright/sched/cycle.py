"""One scheduling cycle: look at the state, decide who starts where, say why the others wait.

Decisions are applied as they are made, so each one sees those before it; the caller carries them
out. The heads of all queues of a pool are asked in order: first those within their guarantee, then
those whose patience has ended, then those within their deserved share, then those that borrow.
Without backfill a queue stops at its first job that does not fit.
"""

import heapq
import math
from dataclasses import dataclass, field

from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Reason
from clusterwright.sched import backfill, elastic, gates, starts, victims
from clusterwright.sched.line import Line, rank_of
from clusterwright.sched.nodes import Ask, Pool, Spot
from clusterwright.sched.progress import kept_s
from clusterwright.sched.quotas import Tier
from clusterwright.sched.state import State


@dataclass(slots=True)
class Decisions:
    """What one cycle has decided."""

    events: list[Event] = field(default_factory=list)
    """Releases, stops and starts in their order, applied to the state already."""
    blocked: list[int] = field(default_factory=list)
    """The first job of each queue that was asked and could not start; `why` says why."""
    wake_s: float = float("inf")
    """When time alone may change something: a begin, an end of patience or of a shield."""


def cycle(state: State, now_s: float) -> Decisions:
    """Start whatever can start now in the pools that events have touched since the last cycle.

    Parameters
    ----------
    state
        What waits, runs and is free; the decisions are applied to it.
    now_s
        Time of the decisions.

    Returns
    -------
    Decisions
        What was decided, in order; the first job of each queue that waits; when to look again.
    """
    found = Decisions()
    if state.timers or state.freed or state.arrays.roomy:
        _open_gates(state, now_s, found)
    if state.deferrals is not None:
        for event in state.deferrals.decide(now_s):
            _do(state, found, event)
    if state.permits is not None:
        for leaves in (state.permits.reserved.overstayers, state.permits.overload):
            for job in leaves(now_s):
                _stop(state, job, now_s, found)
    names = tuple(state.touched)
    state.touched.clear()
    for name in names:
        state.wakes.pop(name, None)
        _serve(state, state.pools[name], now_s, found)
    if state.policy.resize != "none":
        for name in names:
            events, wake_s = elastic.grown(state, state.pools[name], now_s)
            found.events += events
            _wake(state, state.pools[name], wake_s)
    for name in names:  # its own decisions do not call for another look
        state.touched.pop(name, None)
    # A pool that nothing has touched still waits for the time that its last look has found.
    found.wake_s = min(gates.next_begin_s(state), *state.wakes.values(), math.inf)
    if state.permits is not None:
        found.wake_s = min(found.wake_s, state.permits.next_s(now_s))
    if state.deferrals is not None:
        found.wake_s = min(found.wake_s, state.deferrals.next_s())
    return found


def _open_gates(state: State, now_s: float, found: Decisions) -> None:
    """Release jobs whose time, dependencies or data have come, unless they wait for more."""
    opened: list[int] = []
    while state.timers and state.timers[0][0] <= now_s:
        job = heapq.heappop(state.timers)[1]
        if state.gates.get(job) is Reason.BEGIN_TIME:
            opened.append(job)
    while state.freed:
        job = state.freed.pop()
        if state.gates.get(job) in (Reason.DEPENDENCY, Reason.STAGING_DATA):
            opened.append(job)
    for job in sorted(set(opened)):
        reason = gates.reason_of(state, job, now_s)
        if reason is None:
            _do(state, found, Event(time_s=now_s, kind=EventKind.RELEASE, job=job))
        elif reason is not state.gates[job]:
            gates.close(state, job, reason)
    for array in state.arrays.roomy:
        while (task := gates.next_in(state, array)) is not None:
            _do(state, found, Event(time_s=now_s, kind=EventKind.RELEASE, job=task))
    state.arrays.roomy.clear()


def _serve(state: State, pool: Pool, now_s: float, found: Decisions) -> None:
    """Start what can start in one pool."""
    lines = state.lines_of[pool.name]
    if len(lines) == 1 and not state.shared:
        _serve_one(state, lines[0], now_s, found)
        return
    heads = state.heads[pool.name]
    _refresh(state, pool, now_s)
    if not heads:
        return
    closed: set[Ask] = set()
    aside: list[Line] = []
    policy = state.policy
    may_skip = policy.backfill == "none" and not state.stops
    while (head := heads.first(closed, pool, skip_large=may_skip)) is not None:
        rank, line, ask = head
        job = line.head(now_s)
        assert job is not None  # an empty line has no head
        spot = starts.place(state, pool, job, ask, now_s)
        if spot is None and (state.shared or state.stops):
            spot = _make_way(state, line, job, now_s, found)
        if spot is not None:
            found.events.append(starts.start(state, now_s, job, spot))
            _refresh(state, pool, now_s)
            continue
        found.blocked.append(job)
        if policy.backfill != "none" or rank[0] is Tier.LATE:
            # A job that backfill must not delay, or whose patience has ended, keeps its place.
            break
        heads.drop(line)
        aside.append(line)
        if rank[0] is Tier.BORROWED and not state.stops and state.permits is None:
            closed.add(ask)
    for line in aside:
        _enter(state, line, now_s)
    if policy.backfill != "none":
        found.events += backfill.later_jobs(state, pool, now_s)
        _refresh(state, pool, now_s)
    _wake_for_patience(state, pool, now_s)


def _serve_one(state: State, line: Line, now_s: float, found: Decisions) -> None:
    """Start what can start of the only line of a pool, where no head competes with it."""
    pool, policy = line.pool, state.policy
    while (job := line.head(now_s)) is not None:
        ask = state.ask(job)
        spot = starts.place(state, pool, job, ask, now_s)
        if spot is None and state.stops:
            spot = _make_way(state, line, job, now_s, found)
        if spot is None:
            found.blocked.append(job)
            if policy.backfill != "none":
                found.events += backfill.later_jobs(state, pool, now_s)
            break
        found.events.append(starts.start(state, now_s, job, spot))
    state.stale[pool.name].clear()
    _wake_for_patience(state, pool, now_s)


def _wake_for_patience(state: State, pool: Pool, now_s: float) -> None:
    if state.policy.patience_s is None:
        return
    for line in state.lines_of[pool.name]:
        due_s = line.next_due_s(now_s)
        if due_s is not None:
            _wake(state, pool, due_s)


def _wake(state: State, pool: Pool, wake_s: float) -> None:
    """Note when time alone may change something in a pool."""
    if wake_s < state.wakes.get(pool.name, math.inf):
        state.wakes[pool.name] = wake_s


def _make_way(state: State, line: Line, job: int, now_s: float, found: Decisions) -> Spot | None:
    """Stop others for a job where the policy lets it, and return where it then fits."""
    choice = victims.choose(state, line, job, now_s)
    if choice.wake_s > now_s:
        _wake(state, line.pool, choice.wake_s)
    if choice.spot is None:
        return None
    moved = {one for one, _ in choice.moved}
    for victim in choice.stopped:
        smaller = elastic.shrunk(state, victim, choice.spot, now_s) if victim not in moved else None
        if smaller is None:
            _stop(state, victim, now_s, found)
        else:
            _do(state, found, smaller)
    for one, spot in choice.moved:
        found.events.append(starts.start(state, now_s, one, spot))
    return choice.spot


def _refresh(state: State, pool: Pool, now_s: float) -> None:
    """Enter the heads of lines that have changed, or whose order depends on the time."""
    if state.policy.patience_s is not None:
        for line in state.lines_of[pool.name]:
            if line.late(now_s) is not None:
                state.stale[pool.name][line.name] = None
    stale = state.stale[pool.name]
    while stale:
        name, _ = stale.popitem()
        _enter(state, state.lines[name], now_s)


def _enter(state: State, line: Line, now_s: float) -> None:
    heads = state.heads[line.pool.name]
    job = line.head(now_s)
    if job is None:
        heads.drop(line)
        return
    ask = state.ask(job)
    tier = Tier.BORROWED
    if state.shared:
        quanta = ask.quanta(line.pool.scale)
        if not line.account.within_limit(quanta):
            heads.drop(line)  # it comes back when something of its queue, or above, ends
            return
        tier = line.account.claim(quanta)[0]
        starts.watch(state, job, tier, now_s)
    if tier is not Tier.GUARANTEED and state.policy.patience_s is not None:
        tier = Tier.LATE if line.late(now_s) == job else tier
    heads.put(line, ask, rank_of(line, line.entries[job], tier, fair=state.fair))


def _stop(state: State, job: int, now_s: float, found: Decisions) -> None:
    kept = kept_s(state, job, now_s)
    _do(state, found, Event(time_s=now_s, kind=EventKind.PREEMPT, job=job, kept_s=kept))


def _do(state: State, found: Decisions, event: Event) -> None:
    state.apply(event)
    found.events.append(event)
