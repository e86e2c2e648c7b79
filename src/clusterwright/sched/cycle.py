"""One scheduling cycle: look at the state, decide who starts where, say why the others wait.

Decisions are made on the state as it would be after the decisions before them; the caller carries
them out by applying the events. Without backfill a queue stops at its first job that does not fit.
With EASY backfill a later job may start when it ends, by its estimate, before the first one could,
or when it leaves enough for it (Lifka, "The ANL/IBM SP Scheduling System", 1995).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from clusterwright.errors import UnknownName, UsageError
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job, Reason
from clusterwright.sched.placement import Partition, Placement
from clusterwright.sched.state import State

Backfill = Literal["none", "easy"]
_LATER = ("conservative",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The first job of a queue that could not start, with the reason."""

    job: int
    """Its index."""
    reason: Reason
    """Why."""
    message: str
    """The reason with its figures."""


def check_backfill(name: str) -> Backfill:
    """Return a kind of backfill by its name.

    Raises
    ------
    UsageError
        If it is known but not built yet.
    UnknownName
        If there is none of that name.
    """
    if name in _LATER:
        msg = f"backfill {name} is not there yet; take easy or none"
        raise UsageError(msg)
    if name == "none":
        return "none"
    if name == "easy":
        return "easy"
    raise UnknownName.of("backfill", name, ("none", "easy", *_LATER))


def cycle(
    state: State,
    now_s: float,
    placement: Placement,
    *,
    queues: Iterable[str],
    backfill: Backfill = "none",
) -> tuple[list[Event], list[Blocked]]:
    """Start whatever can start now.

    Parameters
    ----------
    state
        What waits, runs and is free; the decisions are applied to it.
    now_s
        Time of the decisions.
    placement
        Where jobs go.
    queues
        Names of the partitions to look at; the others have not changed.
    backfill
        Whether later jobs may go before the first one that does not fit.

    Returns
    -------
    list of Event, list of Blocked
        What was decided, in order, and the first job of each queue that waits.
    """
    decided: list[Event] = []
    blocked: list[Blocked] = []
    for name in queues:
        part, waiting = state.partitions[name], state.waiting[name]
        while len(waiting):
            job = waiting.head()
            if job is None:
                break
            placed = placement(part, state.jobs[job].quanta)
            if placed is None and state.policy.preemptive:
                victims = _victims(state, part, job, now_s)
                for victim in victims:
                    event = Event(time_s=now_s, kind=EventKind.PREEMPT, job=victim)
                    state.remaining[victim] = _left_after(state, victim, now_s)
                    decided.append(event)
                    state.apply(event)
                placed = placement(part, state.jobs[job].quanta) if victims else None
            if placed is None:
                blocked.append(_why(state, part, job))
                if backfill == "easy":
                    decided += _backfilled(state, part, job, now_s, placement)
                break
            event = Event(time_s=now_s, kind=EventKind.START, job=job, nodes=placed)
            decided.append(event)
            state.apply(event)
            _use(state, part, state.jobs[job])
    return decided, blocked


def why(state: State, job: int) -> Blocked:
    """Return the one dominant reason why a job waits."""
    part = state.partition(job)
    head = state.waiting[part.queue].head()
    if head is not None and head != job and part.could_hold(state.jobs[job].quanta):
        first = state.jobs[head]
        return Blocked(
            job=job,
            reason=Reason.BEHIND_PRIORITY,
            message=f"{first.job_id} is before it in queue {part.queue}",
        )
    return _why(state, part, job)


def _why(state: State, part: Partition, job: int) -> Blocked:
    wanted = state.jobs[job].quanta
    if not part.could_hold(wanted):
        reason, message = Reason.NO_MATCHING_HARDWARE, "asks for more than its queue has in all"
    elif wanted <= part.free_total:
        reason, message = (
            Reason.TOPOLOGY_DOES_NOT_FIT,
            "enough is free, but in pieces that do not fit",
        )
    elif wanted <= part.free_total + sum(part.size[node] for node in part.down):
        reason, message = Reason.NODE_UNAVAILABLE, f"{len(part.down)} nodes are down"
    else:
        reason, message = Reason.WAITING_FOR_RESOURCES, "what it needs is in use"
    return Blocked(job=job, reason=reason, message=message)


def _use(state: State, part: Partition, job: Job) -> None:
    """Charge a user for what was granted, so that the next start sees it."""
    used = state.waiting[part.queue].used
    used[job.user] = used.get(job.user, 0.0) + job.quanta * (job.estimate_s or job.duration_s)


def _left_after(state: State, job: int, now_s: float) -> float:
    """Return the work left after a preemption: the job is warned and saves what it has done."""
    return max(0.0, state.left_s(job) - (now_s - state.running[job].since_s))


def _victims(state: State, part: Partition, job: int, now_s: float) -> list[int]:
    """Return running jobs to interrupt, most time left first; none if it is vain."""
    wanted = state.jobs[job].quanta
    mine = state.left_s(job)
    behind = [
        (state.left_s(one) - (now_s - run.since_s), one)
        for one, run in state.running.items()
        if state.partition(one) is part
        and state.jobs[one].preemptible
        and state.jobs[one].priority <= state.jobs[job].priority
        and state.left_s(one) - (now_s - run.since_s) > mine
    ]
    found, freed = [], part.free_total
    for _, victim in sorted(behind, reverse=True):
        if freed >= wanted:
            break
        found.append(victim)
        freed += state.jobs[victim].quanta
    return found if freed >= wanted else []


def _backfilled(
    state: State, part: Partition, head: int, now_s: float, placement: Placement
) -> list[Event]:
    """Start later jobs that do not delay the first one."""
    shadow_s, spare = _shadow(state, part, head, now_s)
    decided: list[Event] = []
    for job in list(state.waiting[part.queue].ordered()):
        one = state.jobs[job]
        if job == head or one.quanta > part.free_total:
            continue
        ends = now_s + (state.left_s(job) if one.estimate_s is None else one.estimate_s)
        if ends > shadow_s and one.quanta > spare:
            continue
        placed = placement(part, one.quanta)
        if placed is None:
            continue
        event = Event(time_s=now_s, kind=EventKind.START, job=job, nodes=placed)
        decided.append(event)
        state.apply(event)
        _use(state, part, one)
        if ends > shadow_s:
            spare -= one.quanta
    return decided


def _shadow(state: State, part: Partition, head: int, now_s: float) -> tuple[float, int]:
    """Return when the first job could start by the estimates, and what would then be left over."""
    wanted = state.jobs[head].quanta
    ends = sorted(
        (
            run.since_s
            + (state.left_s(job) if state.jobs[job].estimate_s is None else _guess(state, job)),
            state.jobs[job].quanta,
        )
        for job, run in state.running.items()
        if state.partition(job) is part
    )
    free = part.free_total
    for end, quanta in ends:
        free += quanta
        if free >= wanted:
            return max(end, now_s), free - wanted
    return float("inf"), 0


def _guess(state: State, job: int) -> float:
    return max(0.0, state.jobs[job].estimate_s or 0.0)
