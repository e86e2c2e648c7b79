"""A start as the cycle and backfill decide it, and the watch over what guarantees cover."""

from clusterwright.model.event import Event, EventKind
from clusterwright.model.quota import BROKEN_AFTER_S
from clusterwright.sched.nodes import ALL, Ask, Pool, Spot
from clusterwright.sched.quotas import Tier
from clusterwright.sched.state import State


def place(
    state: State,
    pool: Pool,
    job: int,
    ask: Ask,
    now_s: float,
    *,
    within: int = ALL,
    passes: bool = False,
) -> Spot | None:
    """Return where a job fits and may start; None when nowhere.

    It `passes` when it goes before the first job of its pool.
    """
    if state.permits is None:
        return state.place(pool, ask, within)
    return state.permits.place(pool, job, now_s, within=within, passes=passes)


def start(state: State, now_s: float, job: int, spot: Spot) -> Event:
    """Start a job where it fits, and return the event."""
    nodes, part = spot
    _end_watch(state, job, now_s)
    event = Event(now_s, EventKind.START, job, -1, nodes, part)
    state.apply(event)
    return event


def watch(state: State, job: int, tier: Tier, now_s: float) -> None:
    """Note since when the first job of a queue waits for what its guarantee covers."""
    if tier is Tier.GUARANTEED:
        state.owed_since.setdefault(job, now_s)
    else:
        _end_watch(state, job, now_s)


def _end_watch(state: State, job: int, now_s: float) -> None:
    since_s = state.owed_since.pop(job, now_s)
    if now_s - since_s > BROKEN_AFTER_S:
        state.broken.append((state.jobs[job].queue, now_s - since_s))
