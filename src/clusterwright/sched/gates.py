"""What keeps a waiting job from being considered at all: its dependencies, its time, its data."""

import heapq
import math
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
    return None


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


def next_begin_s(state: "State") -> float:
    """Return when the next job that waits for its time may begin; infinity when there is none."""
    timers = state.timers
    while timers and state.gates.get(timers[0][1]) is not Reason.BEGIN_TIME:
        heapq.heappop(timers)  # held or taken back in the meantime
    return timers[0][0] if timers else math.inf
