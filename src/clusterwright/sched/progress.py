"""What a running job has done, what it has saved of it, and what stopping it now would cost.

A job that writes checkpoints keeps the work up to the last whole one; one that writes none keeps
nothing. After a stop it first loads its checkpoint again, which moves no work forward.
"""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clusterwright.sched.state import State


def kept_s(state: "State", job: int, now_s: float) -> float:
    """Return the work, in seconds on all that it asks for, that a stop now would not lose."""
    one, run = state.jobs[job], state.running[job]
    if not one.checkpoint_interval_s:
        return 0.0
    worked = now_s - run.since_s - run.lead_s - (one.restart_s if run.resumed else 0.0)
    whole = max(0.0, worked) // (one.checkpoint_interval_s + one.checkpoint_stall_s)
    return min(state.left_s(job), whole * one.checkpoint_interval_s * run.rate)


def lost_s(state: "State", job: int, now_s: float) -> float:
    """Return the seconds on its nodes that a stop now would make vain, with the restart to come."""
    one, run = state.jobs[job], state.running[job]
    return now_s - run.since_s - kept_s(state, job, now_s) / run.rate + one.restart_s


def to_come_s(state: "State", job: int, now_s: float) -> tuple[float, float]:
    """Return the time on its nodes that a running job still needs for its work, and for loading.

    The first is by what is known of it, checkpoints included; the second is 0 once work has begun.
    """
    one, run = state.jobs[job], state.running[job]
    loading_s = run.lead_s + (one.restart_s if run.resumed else 0.0)
    worked_s = now_s - run.since_s - loading_s
    guess_s = state.guess_s(job) / run.rate
    if one.checkpoint_interval_s:
        guess_s += guess_s // one.checkpoint_interval_s * one.checkpoint_stall_s
    return guess_s - max(0.0, worked_s), max(0.0, -worked_s)


def paused_s(state: "State", job: int, now_s: float) -> float:
    """Return the work that a job keeps which writes a checkpoint and stops now."""
    one, run = state.jobs[job], state.running[job]
    worked_s = now_s - run.since_s - run.lead_s - (one.restart_s if run.resumed else 0.0)
    interval_s = one.checkpoint_interval_s or 0.0
    whole = worked_s // (interval_s + one.checkpoint_stall_s) if interval_s else 0.0
    work_s = (worked_s - (whole + 1) * one.checkpoint_stall_s) * run.rate
    return max(kept_s(state, job, now_s), min(state.left_s(job), work_s))


def run_s(state: "State", job: int) -> float:
    """Return how long a job on its nodes takes from its start to its end, when nothing stops it."""
    one, run = state.jobs[job], state.running[job]
    work = state.left_s(job) / run.rate
    stalls = 0.0
    if one.checkpoint_interval_s:
        stalls = (math.ceil(work / one.checkpoint_interval_s) - 1) * one.checkpoint_stall_s
    return run.lead_s + work + max(0.0, stalls) + (one.restart_s if run.resumed else 0.0)
