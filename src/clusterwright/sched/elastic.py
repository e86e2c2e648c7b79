"""Elastic gangs change their size: they shrink instead of being stopped, and grow when nodes idle.

Both restart the gang from a checkpoint. One that grows writes it first; one that shrinks goes back
to its last, as it would when stopped. Growing waits until the gang has run for a while at its size,
so that sizes do not swing; shrinking does not, since the gang would be stopped instead.
"""

from typing import TYPE_CHECKING

from clusterwright.model.event import Event, EventKind
from clusterwright.sched import starts
from clusterwright.sched.nodes import Placed, Pool, Spot
from clusterwright.sched.progress import kept_s, paused_s, to_come_s

if TYPE_CHECKING:
    from clusterwright.sched.state import State


def shrunk(state: "State", job: int, spot: Spot, now_s: float) -> Event | None:
    """Return how a job that is to make way for another keeps a part of its nodes; None if not.

    Parameters
    ----------
    state
        What runs.
    job
        The job that makes way.
    spot
        Where the other one goes.
    now_s
        Time of the decision.
    """
    if state.policy.resize not in ("shrink", "both"):
        return None
    least = state.ask(job).least * state.pool(job).scale
    run = state.running[job]
    taken = {node for node, _ in spot[0]}
    rest = tuple((node, quanta) for node, quanta in run.placed if node not in taken)
    held = sum(quanta for _, quanta in rest)
    if not least or not least <= held < run.quanta:
        return None
    return _resized(job, rest, now_s, kept_s(state, job, now_s))


def grown(state: "State", pool: Pool, now_s: float) -> tuple[list[Event], float]:
    """Let the gangs of a pool grow where nobody waits; return that, and when to look again."""
    events: list[Event] = []
    wake_s = float("inf")
    lines = state.lines_of[pool.name]
    if state.policy.resize not in ("grow", "both") or not pool.free_units or any(map(len, lines)):
        return events, wake_s
    for job in [job for line in lines for job in state.in_queue[line.name]]:
        ask, run = state.ask(job), state.running[job]
        able = ask.least and state.jobs[job].checkpoint_interval_s
        if not able or run.quanta >= ask.quanta(pool.scale):
            continue
        due_s = run.since_s + state.policy.resize_after_s
        if now_s < due_s:
            wake_s = min(wake_s, due_s)
            continue
        placed = _larger(state, pool, job, now_s)
        if placed is not None:
            event = _resized(job, placed, now_s, paused_s(state, job, now_s))
            state.apply(event)
            events.append(event)
    return events, wake_s


def _larger(state: "State", pool: Pool, job: int, now_s: float) -> Placed | None:
    """Return more nodes for a gang on which it is through earlier; None when there are none."""
    ask, run, one = state.ask(job), state.running[job], state.jobs[job]
    pool.give(run.placed, run.part, ask)
    spot = starts.place(state, pool, job, ask, now_s)
    pool.put_back(run.placed, run.part, ask)
    if spot is None:
        return None
    quanta = sum(taken for _, taken in spot[0])
    if quanta <= run.quanta or not state.line(job).account.within_limit(quanta - run.quanta):
        return None
    rate = quanta / ask.quanta(pool.scale)
    if state.rate is not None:
        rate *= state.rate(job, spot[0])
    left_s = max(0.0, state.guess_s(job) - paused_s(state, job, now_s)) / rate + one.restart_s
    return spot[0] if left_s < sum(to_come_s(state, job, now_s)) else None


def _resized(job: int, placed: Placed, now_s: float, kept: float) -> Event:
    return Event(time_s=now_s, kind=EventKind.RESIZE, job=job, nodes=placed, kept_s=max(0.0, kept))
