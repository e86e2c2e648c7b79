"""What keeps a waiting job from being considered at all: its dependencies, time, data, array."""

import heapq
from typing import TYPE_CHECKING

from clusterwright.model.job import Reason

if TYPE_CHECKING:
    from clusterwright.sched.state import State


def reason_of(state: "State", job: int, now_s: float) -> Reason | None:
    """Return what keeps a job that nobody holds from being considered; None for nothing."""
    one = state.jobs[job]
    if one.depends_on and any(name not in state.done for name in one.depends_on):
        return Reason.DEPENDENCY
    if one.start_after_s is not None and one.start_after_s > now_s:
        return Reason.BEGIN_TIME
    if state.staged and one.dataset_bytes and one.dataset and one.dataset not in state.hot:
        return Reason.STAGING_DATA
    if one.array_at_once and not has_room(state, one.array, one.array_at_once):
        return Reason.ARRAY_LIMIT
    return None


def has_room(state: "State", array: str, at_once: int) -> bool:
    """Return whether one more task of an array may go into its line."""
    return len(state.let_in.get(array, ())) < at_once


def close(state: "State", job: int, reason: Reason) -> None:
    """Keep a job from being considered, and note what will end that."""
    one = state.jobs[job]
    state.gates[job] = reason
    if reason is Reason.DEPENDENCY:
        for name in one.depends_on:
            if name not in state.done:
                state.behind.setdefault(name, []).append(job)
    elif reason is Reason.BEGIN_TIME and one.start_after_s is not None:
        heapq.heappush(state.timers, (one.start_after_s, job))
    elif reason is Reason.STAGING_DATA:
        state.until_hot.setdefault(one.dataset, []).append(job)
    elif reason is Reason.ARRAY_LIMIT:
        heapq.heappush(state.shut_out.setdefault(one.array, []), job)


def enter(state: "State", job: int) -> None:
    """Note that a task of a bounded array is in line; it counts until it is through or held."""
    state.let_in.setdefault(state.jobs[job].array, set()).add(job)


def leave(state: "State", job: int) -> None:
    """Note that a task of a bounded array is in line or runs no more."""
    array = state.jobs[job].array
    state.let_in.get(array, set()).discard(job)
    state.roomy[array] = None


def next_in(state: "State", array: str) -> int | None:
    """Return the task of an array that may go into its line now; None for none."""
    waiting = state.shut_out.get(array, [])
    while waiting and state.gates.get(waiting[0]) is not Reason.ARRAY_LIMIT:
        heapq.heappop(waiting)  # it is held, or gone, or was let in already
    if not waiting or not has_room(state, array, state.jobs[waiting[0]].array_at_once):
        return None
    return heapq.heappop(waiting)
