"""Why a job waits: exactly one dominant reason, with its evidence.

The first that holds of: it can never run as things stand; somebody holds it; its time, its
dependencies or its data have not come; its queue is at its limit; another job goes before it; and
last, for a job that is first in order, what exactly is lacking.
"""

from dataclasses import dataclass, replace

from clusterwright.model.job import Job, Reason
from clusterwright.sched import deferrals
from clusterwright.sched.line import Line
from clusterwright.sched.nodes import ALL, Ask, Pool
from clusterwright.sched.quotas import Tier
from clusterwright.sched.state import State
from clusterwright.units import Bytes
from clusterwright.units import format as show


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A job that waits, with the reason."""

    job: int
    """Its index."""
    reason: Reason
    """Why."""
    message: str
    """The reason with its figures."""


def why(state: State, job: int, now_s: float = 0.0) -> Blocked:
    """Return the one dominant reason why a job waits."""
    line, ask = state.line(job), state.ask(job)
    impossible = _never(state, line, ask)
    if impossible is not None:
        return Blocked(job=job, reason=impossible[0], message=impossible[1])
    gate = state.gates.get(job)
    if gate is not None:
        return Blocked(job=job, reason=gate, message=_gate_message(state, job, gate))
    quota = _quota(line, job, ask.quanta(line.pool.scale))
    if quota is not None:
        return quota
    head = line.head(now_s)
    if head is not None and head != job:
        return _behind(state, job, head, f"in queue {line.name}")
    late = _late_elsewhere(state, line, now_s)
    if late is not None:
        return _behind(state, job, late, "and has waited beyond the patience of the policy")
    return blocked_by(state, job, now_s)


def blocked_by(state: State, job: int, now_s: float) -> Blocked:
    """Return what the first job of a line lacks."""
    line, ask = state.line(job), state.ask(job)
    impossible = _never(state, line, ask)
    if impossible is not None:
        return Blocked(job=job, reason=impossible[0], message=impossible[1])
    pool = line.pool
    quota = _quota(line, job, ask.quanta(pool.scale))
    if quota is not None:
        return quota
    reason, message = _lacking(state, line, job, now_s)
    return Blocked(job=job, reason=reason, message=message)


def never(state: State, job: Job) -> tuple[Reason, str] | None:
    """Return why a job, known here or not, could never start; None when it could."""
    return _never(state, state.line_of_queue[job.queue], state.shape(job))


def _never(state: State, line: Line, ask: Ask) -> tuple[Reason, str] | None:
    pool = line.pool
    if not (ask.units or ask.share):
        message = "asks for neither accelerators nor cores of its queue's nodes"
        return Reason.MISCONFIGURED, message
    if not pool.could_hold(ask):
        models = f" of {', '.join(ask.models)}" if ask.models else ""
        message = f"asks for {_count(ask, pool)}{models}, more than its queue has in all"
        if pool.could_hold(_bare(ask)):
            message = (
                f"asks for {_count(ask, pool)}{models} with {_beside(ask)}, more than nodes have"
            )
        return Reason.NO_MATCHING_HARDWARE, message
    quanta = ask.quanta(pool.scale)
    if state.shared and line.account.over_limit_alone(quanta):
        limit = min(one.limit for one in line.account.chain())
        message = f"asks for {_count(ask, pool)}, the limit is {limit / pool.scale:g}"
        return Reason.EXCEEDS_QUOTA_LIMIT, message
    return None


def _quota(line: Line, job: int, quanta: int) -> Blocked | None:
    if line.account.within_limit(quanta):
        return None
    full = next(one for one in line.account.chain() if one.used + quanta > one.limit)
    scale = line.pool.scale
    message = (
        f"queue {full.name} uses {full.used / scale:g} of at most {full.limit / scale:g}, "
        f"it asks for {quanta / scale:g}"
    )
    return Blocked(job=job, reason=Reason.WAITING_FOR_QUOTA, message=message)


def _behind(state: State, job: int, first: int, where: str) -> Blocked:
    message = f"{state.jobs[first].job_id} is before it {where}"
    return Blocked(job=job, reason=Reason.BEHIND_PRIORITY, message=message)


def _late_elsewhere(state: State, line: Line, now_s: float) -> int | None:
    for other in state.lines_of[line.pool.name]:
        late = other.late(now_s)
        if late is not None and other is not line:
            return late
    return None


def _lacking(state: State, line: Line, job: int, now_s: float) -> tuple[Reason, str]:
    pool, ask = line.pool, state.ask(job)
    wanted = _count(ask, pool)
    if ask.share or ask.units <= pool.free_units:
        if state.place(pool, ask, ALL) is not None:
            if state.permits is not None:
                barred = state.permits.why(pool, job, now_s)
                if barred is not None:
                    return barred
            return Reason.WAITING_FOR_RESOURCES, f"{wanted} are free; the next cycle decides"
        free = f"{pool.free_units} are free" if ask.units else "no accelerator has so much free"
        if (ask.cores or ask.memory_bytes) and state.place(pool, _bare(ask), ALL) is not None:
            message = (
                f"asks for {wanted} with {_beside(ask)}; {free}, but without as much beside them"
            )
            return Reason.WAITING_FOR_RESOURCES, message
        return Reason.TOPOLOGY_DOES_NOT_FIT, f"asks for {wanted}; {free}, but in pieces"
    out = pool.down | pool.drained
    lost = sum(free for bit, free in enumerate(pool.free) if out >> bit & 1)
    if ask.units <= pool.free_units + lost:
        down, drained = pool.down.bit_count(), (pool.drained & ~pool.down).bit_count()
        return Reason.NODE_UNAVAILABLE, f"{down} nodes are down and {drained} drained"
    free = f"asks for {wanted}, {pool.free_units} are free"
    if state.shared:
        tier, _ = line.account.claim(ask.quanta(pool.scale))
        if tier is not Tier.BORROWED and "reclaim" in state.policy.preempt:
            return Reason.WAITING_FOR_VICTIMS, f"{free}; its queue is owed them, others must stop"
    ends = [run.end_s for other, run in state.running.items() if state.pool(other) is pool]
    if ends:
        soon = max(0.0, min(ends) - now_s)
        free += f"; the next of {len(ends)} running jobs should end in {soon:.0f} s"
    return Reason.WAITING_FOR_RESOURCES, free


def _bare(ask: Ask) -> Ask:
    """Return what a job asks for without cores and memory beside its accelerators."""
    return replace(ask, cores=0, memory_bytes=0.0)


def _beside(ask: Ask) -> str:
    parts = [f"{ask.cores} cores"] if ask.cores else []
    if ask.memory_bytes:
        parts.append(f"{show(ask.memory_bytes, Bytes)} of memory")
    return " and ".join(parts)


def _count(ask: Ask, pool: Pool) -> str:
    if ask.share:
        return f"{ask.share / pool.scale:.3g} of an accelerator"
    return f"{ask.units} {'cores' if pool.by_core else 'accelerators'}"


def _gate_message(state: State, job: int, gate: Reason) -> str:
    one = state.jobs[job]
    if gate is Reason.DEPENDENCY:
        missing = [name for name in one.depends_on if name not in state.done]
        return f"waits for {', '.join(missing)}"
    if gate is Reason.BEGIN_TIME:
        better = deferrals.message_of(state, job)
        if better is not None:
            return better
        return f"is not to start before {one.start_after_s:g} s"
    if gate is Reason.STAGING_DATA:
        return f"its data {one.dataset!r} are not on the hot tier yet"
    if gate is Reason.ARRAY_LIMIT:
        return f"its array has {one.array_at_once} tasks in line or running, the most at once"
    return "an operator holds it" if gate is Reason.HELD_BY_ADMIN else "its owner holds it"
