"""What keeps a waiting job from being considered at all: its dependencies, time, data, array."""

import heapq
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterwright.model.job import Reason

if TYPE_CHECKING:
    from clusterwright.sched.state import State


@dataclass(slots=True)
class Arrays:
    """Which tasks of arrays that bound their tasks are in line, and which wait for room."""

    let_in: dict[str, set[int]] = field(default_factory=dict)
    """Tasks in line or running, by array."""
    shut_out: dict[str, list[int]] = field(default_factory=dict)
    """Tasks that wait for room, a heap for each array; some are held or gone by now."""
    roomy: dict[str, None] = field(default_factory=dict)
    """Arrays that there may be room in, to be looked at by the next cycle."""


def reason_of(state: "State", job: int, now_s: float) -> Reason | None:
    """Return what keeps a job that nobody holds from being considered; None for nothing."""
    one = state.jobs[job]
    if one.depends_on and any(name not in state.done for name in one.depends_on):
        return Reason.DEPENDENCY
    if one.start_after_s is not None and one.start_after_s > now_s:
        return Reason.BEGIN_TIME
    if state.staged and one.dataset_bytes and one.dataset and one.dataset not in state.hot:
        return Reason.STAGING_DATA
    if one.array_at_once and not has_room(state, job):
        return Reason.ARRAY_LIMIT
    return None


def has_room(state: "State", job: int) -> bool:
    """Return whether one more task of a job's array may go into its line."""
    one = state.jobs[job]
    return len(state.arrays.let_in.get(one.array, ())) < one.array_at_once


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
        heapq.heappush(state.arrays.shut_out.setdefault(one.array, []), job)
        state.arrays.roomy[one.array] = None


def enter(state: "State", job: int) -> None:
    """Note that a job is in line; a task of a bounded array counts until it is through or held."""
    one = state.jobs[job]
    if one.array_at_once:
        state.arrays.let_in.setdefault(one.array, set()).add(job)


def leave(state: "State", job: int) -> None:
    """Note that a job is neither in line nor runs any more."""
    one = state.jobs[job]
    if one.array_at_once:
        state.arrays.let_in.get(one.array, set()).discard(job)
        state.arrays.roomy[one.array] = None


def next_in(state: "State", array: str) -> int | None:
    """Return the task of an array that may go into its line now; None for none."""
    waiting = state.arrays.shut_out.get(array, [])
    while waiting and state.gates.get(waiting[0]) is not Reason.ARRAY_LIMIT:
        heapq.heappop(waiting)  # it is held, or gone, or was let in already
    if not waiting or not has_room(state, waiting[0]):
        return None
    return heapq.heappop(waiting)


def next_begin_s(state: "State") -> float:
    """Return when the next job that waits for its time may begin; infinity when there is none."""
    timers = state.timers
    while timers and state.gates.get(timers[0][1]) is not Reason.BEGIN_TIME:
        heapq.heappop(timers)  # held or taken back in the meantime
    return timers[0][0] if timers else math.inf
