"""Who may be stopped for a job, and at what cost.

A queue takes back what it is owed from queues above theirs; a job of higher priority, or first in
order, stops jobs of its own queue where the policy says so; and jobs move to other nodes where
enough is free for one that waits, but in pieces. The cost of stopping a job is what it
holds times the work it would lose and the time to start again.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from clusterwright.sched import starts
from clusterwright.sched.line import Line
from clusterwright.sched.nodes import ALL, Pool, Spot
from clusterwright.sched.progress import lost_s
from clusterwright.sched.quotas import Tier
from clusterwright.sched.room import NOBODY, Choice, cheapest
from clusterwright.sched.state import State

_SETTLED_S = 1.0  # after which what has just started is looked at again


def choose(state: State, line: Line, job: int, now_s: float) -> Choice:
    """Return whom to stop so that a waiting job can start now.

    Parameters
    ----------
    state
        What waits, runs and is free; it is left as it was.
    line
        The line of the job.
    job
        The job, which does not fit as things are.
    now_s
        Time of the decision.
    """
    within = ALL
    if state.permits is not None:
        within = state.permits.best_mask(line.pool, job, now_s)
        if state.place(line.pool, state.ask(job), within) is not None:
            return NOBODY  # it fits; what it lacks is not to be had from others
    choice = _chosen(state, line, job, now_s, within)
    if choice.spot is not None and state.permits is not None:
        approved = state.permits.approves(line.pool, job, choice.spot, now_s, choice.stopped)
        return choice if approved else NOBODY
    return choice


def _chosen(state: State, line: Line, job: int, now_s: float, within: int) -> Choice:
    """Return whom to stop so that a job fits on the nodes of a mask."""
    wake_s = float("inf")
    rules = state.policy.preempt
    if state.shared and "reclaim" in rules:
        choice = _reclaimed(state, line, job, now_s, within)
        if choice.spot is not None:
            return choice
        wake_s = choice.wake_s
    if "priority" in rules or "order" in rules:
        found, later_s = _behind(state, line, job, now_s)
        wake_s = min(wake_s, later_s)
        choice = cheapest(state, line.pool, job, found, ordered="order" in rules, within=within)
        if choice.spot is not None:
            return choice
    if "move" in rules and state.permits is None:
        choice = _gathered(state, line, job, now_s)
        if choice.spot is not None:
            return choice
        wake_s = min(wake_s, choice.wake_s)
    return Choice(wake_s=wake_s) if wake_s < float("inf") else NOBODY


def _reclaimed(state: State, line: Line, job: int, now_s: float, within: int) -> Choice:
    """Return whom a queue stops to get what it is owed."""
    pool, ask = line.pool, state.ask(job)
    tier, owed = line.account.claim(ask.quanta(pool.scale))
    if tier is Tier.BORROWED:
        return NOBODY
    due_s = state.since[job] + state.policy.reclaim_after_s
    if now_s < due_s:
        return Choice(wake_s=due_s)
    costs: dict[int, float] = {}
    wake_s = float("inf")
    for other in state.lines_of[pool.name]:
        if other.account.gives_to(owed, tier):
            wake_s = min(wake_s, _add(state, costs, state.in_queue[other.name], now_s))
    choice = cheapest(state, pool, job, costs, within=within)
    enough = partial(_leaves_enough, state, tier)
    if choice.spot is not None and not enough(choice.stopped):
        choice = cheapest(state, pool, job, costs, allowed=enough, within=within)
    if choice.spot is None and tier is Tier.GUARANTEED:
        choice = _moved(state, pool, job, costs, now_s, within, enough)
    return choice if choice.spot is not None else Choice(wake_s=wake_s)


def _surplus(state: State, job: int, tier: Tier) -> int:
    """Return what the queue of a running job holds above its own."""
    account = state.line(job).account
    own = account.guarantee if tier is Tier.GUARANTEED else max(account.deserved, account.guarantee)
    return account.used - own


def _leaves_enough(state: State, tier: Tier, stopped: Collection[int]) -> bool:
    """Return whether no queue would fall below its own by more than its last job crosses it."""
    taken: dict[str, list[int]] = {}
    for job in stopped:
        taken.setdefault(state.line(job).name, []).append(job)
    return all(
        sum(state.running[job].quanta for job in jobs)
        - max(state.running[job].quanta for job in jobs)
        < max(1, _surplus(state, jobs[0], tier))
        for jobs in taken.values()
    )


def _behind(state: State, line: Line, job: int, now_s: float) -> tuple[dict[int, float], float]:
    """Return the running jobs of a queue that a job goes before, with what each would cost."""
    one = state.jobs[job]
    if "order" in state.policy.preempt:
        mine = state.left_s(job)
        costs = {}
        for other, run in state.running.items():
            left = state.left_s(other) - (now_s - run.since_s) * run.rate
            same = state.line(other) is line and state.jobs[other].preemptible
            if run.since_s >= now_s:
                continue
            if same and left > mine and state.jobs[other].priority <= one.priority:
                costs[other] = -left  # the one with the most time left goes first
        return costs, float("inf")
    lower = [
        other for other in state.in_queue[line.name] if state.jobs[other].priority < one.priority
    ]
    costs = {}
    wake_s = _add(state, costs, lower, now_s)
    return costs, wake_s


def _add(state: State, costs: dict[int, float], jobs: Iterable[int], now_s: float) -> float:
    """Add what stopping jobs would cost; return when the next one loses its shield."""
    wake_s = float("inf")
    shield = state.policy.shield_s
    for job in jobs:
        if not state.jobs[job].preemptible:
            continue
        run = state.running[job]
        if run.since_s >= now_s or now_s - run.since_s < shield:
            # What this cycle has started is not stopped by it, so that every cycle ends.
            wake_s = min(wake_s, max(run.since_s + shield, now_s + _SETTLED_S))
            continue
        costs[job] = run.quanta * lost_s(state, job, now_s)
    return wake_s


def _moved(
    state: State,
    pool: Pool,
    job: int,
    costs: Mapping[int, float],
    now_s: float,
    within: int,
    enough: Callable[[Collection[int]], bool],
) -> Choice:
    """Return jobs to move out of the way of one that its queue is owed.

    Enough is free, or held by those that borrow, but in pieces. Jobs of any queue may be stopped
    when all that are within their own share can start again elsewhere at once.
    """
    everyone = dict(costs)
    for line in state.lines_of[pool.name]:
        _add(state, everyone, state.in_queue[line.name], now_s)
    choice = cheapest(state, pool, job, everyone, within=within)
    if choice.spot is None:
        return NOBODY
    given: list[int] = []  # what queues hold above their own
    moving: list[int] = []
    for one in choice.stopped:
        (given if one in costs and enough([*given, one]) else moving).append(one)
    return _settled(state, pool, job, choice, moving, now_s)


def _gathered(state: State, line: Line, job: int, now_s: float) -> Choice:
    """Return jobs to move so that what is free in pieces is free where a waiting job can use it.

    They are moved once the waiting of the job has cost as much as the work that they lose: nobody
    knows how long it would wait else, and so it never costs more than twice what it had to.
    """
    pool, ask = line.pool, state.ask(job)
    if ask.share or ask.units > pool.free_units:
        return NOBODY
    lines = state.lines_of[pool.name]
    if state.shared and line.account.claim(ask.quanta(pool.scale))[0] is Tier.BORROWED:
        lines = [line]  # who borrows takes no work from those who do not
    costs: dict[int, float] = {}
    wake_s = float("inf")
    for other in lines:
        saved = [
            one
            for one in state.in_queue[other.name]
            if state.jobs[one].checkpoint_interval_s is not None
        ]
        wake_s = min(wake_s, _add(state, costs, saved, now_s))
    choice = cheapest(state, pool, job, costs)
    if choice.spot is not None:
        choice = _settled(state, pool, job, choice, choice.stopped, now_s)
    if choice.spot is None:
        return Choice(wake_s=wake_s)
    lost = sum(costs[one] for one in choice.stopped)
    due_s = state.since[job] + lost / ask.quanta(pool.scale)
    return choice if now_s >= due_s else Choice(wake_s=min(wake_s, due_s))


def _settled(
    state: State, pool: Pool, job: int, choice: Choice, moving: Sequence[int], now_s: float
) -> Choice:
    """Return a choice with where those who move go; nobody where one of them fits nowhere."""
    assert choice.spot is not None
    for one in choice.stopped:
        run = state.running[one]
        pool.give(run.placed, run.part, state.ask(one))
    nodes, part = choice.spot
    pool.take(nodes, part, state.ask(job))
    settled: list[tuple[int, Spot]] = []
    for one in moving:
        spot = starts.place(state, pool, one, state.ask(one), now_s)
        if spot is None:
            break
        pool.take(*spot, state.ask(one))
        settled.append((one, spot))
    for one, spot in reversed(settled):
        pool.give(*spot, state.ask(one))
    pool.give(nodes, part, state.ask(job))
    for one in choice.stopped:
        run = state.running[one]
        pool.put_back(run.placed, run.part, state.ask(one))
    if len(settled) < len(moving):
        return NOBODY
    # Under permits they stand in their lines again, so that each start is asked about.
    return replace(choice, moved=tuple(settled)) if state.permits is None else choice
