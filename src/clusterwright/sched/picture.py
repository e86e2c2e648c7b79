"""A frozen picture of a state, and the state taken up again from it, which then goes on alike.

Jobs are named, not numbered, so that a picture outlives the list that its state counted them in.
What follows from the jobs, the cluster and the policy is left out: free nodes, the order in each
line, what every queue uses, who waits behind which dependency or for which data.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from clusterwright import documents
from clusterwright.errors import Fault, InvalidInput, nearest
from clusterwright.model.cluster import Cluster
from clusterwright.model.job import Job, Reason
from clusterwright.model.policy import Policy
from clusterwright.sched import gates
from clusterwright.sched.nodes import Pool, bits
from clusterwright.sched.state import Lead, Rate, Running, State
from clusterwright.units import Ratio, Seconds, Unit, Watts

Charge = Annotated[float, Unit("", "_ratio", "ratio", signed=True)]
"""A charge; rounding may leave one that was paid back a hair below zero."""
_SAME = "take the cluster and the jobs that the picture was taken of, each job once"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingJob:
    """A job that waits."""

    job: str
    """Its name."""
    since_s: Seconds | None
    """Since when it waits in its line; absent while it may not be considered."""
    gate: Reason | None
    """What keeps it from being considered; absent when it stands in line."""
    left_s: Seconds | None
    """Work left; absent when it never ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A job on its nodes."""

    job: str
    """Its name."""
    nodes: tuple[tuple[int, int], ...]
    """Nodes with the quanta taken on each."""
    part: int
    """Which accelerator of its node, when it holds a share of one; else -1."""
    since_s: Seconds
    """When it started this time."""
    end_s: Seconds
    """When it should end, by what was known beforehand."""
    resumed: bool
    """True when it ran before."""
    rate_ratio: Ratio
    """Work done in a second, over that on all that it asks for, wherever it stands best."""
    lead_s: Seconds
    """Time on its nodes before work begins."""
    left_s: Seconds | None
    """Work that was left when it started; absent when it never ran before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What backfill has promised to the first job of some nodes."""

    pool: str
    """The nodes that belong together."""
    job: str
    """The job."""
    start_s: Seconds | None
    """When it can start at the latest; absent when nobody can say."""
    nodes: tuple[int, ...]
    """Where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPromise:
    """What the first job of some nodes is promised of a capped power."""

    pool: str
    """The nodes that belong together."""
    job: str
    """The job."""
    from_s: Seconds
    """From when on."""
    promised_w: Watts
    """How much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCharge:
    """What a user of a queue has been charged in fair sharing."""

    queue: str
    """The line that the user waits in."""
    user: str
    """The user."""
    charged_ratio: Charge
    """Usage as of the epoch, in seconds of all its nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCharge:
    """What a queue has been charged in fair sharing."""

    queue: str
    """The queue, or one above others."""
    charged_ratio: Charge
    """Usage over its weight as of the epoch, in seconds of all its nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A job that waits for what a guarantee covers."""

    job: str
    """The job, the first one of its queue."""
    since_s: Seconds
    """Since when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenGuarantee:
    """A wait beyond what a guarantee allows."""

    queue: str
    """Whose guarantee."""
    waited_s: Seconds
    """How long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """When time alone may change something on nodes that belong together."""

    pool: str
    """The nodes."""
    at_s: Seconds
    """When to look at them again."""


@documents.kind("Picture", layout="spec")
@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Everything in the state of a scheduler that cannot be worked out anew."""

    at_s: Seconds
    """When it was taken."""
    waiting: tuple[WaitingJob, ...]
    """Jobs that wait: those in line, then those that may not be considered yet."""
    running: tuple[RunningJob, ...]
    """Jobs that run, in the order of their starts."""
    down: tuple[int, ...]
    """Nodes that are down."""
    drained: tuple[int, ...]
    """Nodes that take no more jobs."""
    done: tuple[str, ...]
    """Jobs that are through, for those that depend on them."""
    hot: tuple[str, ...]
    """Data on the hot tier."""
    promises: tuple[Promise, ...]
    """What backfill has promised."""
    power_promises: tuple[PowerPromise, ...]
    """What is promised of a capped power."""
    deferred: tuple[str, ...]
    """Jobs that wait for a better hour; who decides on that asks about them anew."""
    epoch_s: Seconds
    """The moment as of which usage is charged."""
    user_charges: tuple[UserCharge, ...]
    """What users have been charged."""
    queue_charges: tuple[QueueCharge, ...]
    """What queues have been charged, those without any left out."""
    owed: tuple[Owed, ...]
    """Jobs that wait for what a guarantee covers."""
    broken: tuple[BrokenGuarantee, ...]
    """Waits beyond what a guarantee allows that are over."""
    freed: tuple[str, ...]
    """Jobs that the next cycle looks at, since what kept them has just gone."""
    touched: tuple[str, ...]
    """Nodes that belong together which the next cycle looks at, in this order."""
    wakes: tuple[Wake, ...] = ()
    """When to look at the others again, where time alone may change something."""


def picture(state: State, now_s: float) -> Picture:
    """Return a picture of a state at a time."""
    name = [job.job_id for job in state.jobs].__getitem__
    pools = state.pools.values()
    return Picture(
        at_s=now_s,
        waiting=tuple(_waiting(state)),
        running=tuple(_running(state)),
        down=tuple(node for pool in pools for node in _nodes(pool, pool.down)),
        drained=tuple(node for pool in pools for node in _nodes(pool, pool.drained)),
        done=tuple(sorted(state.done)),
        hot=tuple(sorted(state.hot)),
        promises=tuple(
            Promise(
                pool=pool,
                job=name(job),
                start_s=None if start_s == math.inf else start_s,
                nodes=tuple(_nodes(state.pools[pool], kept)),
            )
            for pool, (job, start_s, kept) in state.promises.items()
            if _waits(state, job)  # else it is void
        ),
        power_promises=tuple(
            PowerPromise(pool=pool, job=name(job), from_s=from_s, promised_w=watts)
            for pool, (job, from_s, watts) in _power_promised(state)
            if _waits(state, job)
        ),
        deferred=tuple(map(name, sorted(state.deferred))),
        epoch_s=state.epoch_s,
        user_charges=tuple(
            UserCharge(queue=line.name, user=user, charged_ratio=charged)
            for line in state.lines.values()
            for user, charged in line.used.items()
        ),
        queue_charges=tuple(
            QueueCharge(queue=one.name, charged_ratio=one.charged)
            for one in state.accounts.values()
            if one.charged
        ),
        owed=tuple(Owed(job=name(job), since_s=at_s) for job, at_s in state.owed_since.items()),
        broken=tuple(BrokenGuarantee(queue=one, waited_s=time_s) for one, time_s in state.broken),
        freed=tuple(name(job) for job in sorted(set(state.freed)) if job in state.gates),
        touched=tuple(state.touched),
        wakes=tuple(Wake(pool=pool, at_s=at_s) for pool, at_s in state.wakes.items()),
    )


def restored(
    cluster: Cluster,
    jobs: Sequence[Job],
    policy: Policy,
    seen: Picture,
    *,
    pooled: bool = False,
    rate: Rate | None = None,
    lead: Lead | None = None,
    staged: bool = False,
) -> State:
    """Return the state of a picture; from the same events it decides what the first one decides.

    Parameters
    ----------
    cluster
        The nodes of that state.
    jobs
        The jobs that wait and run in the picture, and those still to come. Jobs that are through
        may be missing; the others keep their order among each other, which decides between equals.
    policy
        How to go on: the same policy as before, or another one to try.
    seen
        The picture.
    pooled, rate, lead, staged
        As for `State`.

    Raises
    ------
    InvalidInput
        With every job, queue or node of the picture that there is not, or not free.
    """
    state = State(cluster, jobs, policy, pooled=pooled, rate=rate, lead=lead, staged=staged)
    _check(state, seen)
    numbers = {job.job_id: number for number, job in enumerate(jobs)}
    state.done.update(seen.done)
    state.hot.update(seen.hot)
    state.epoch_s = seen.epoch_s
    for run in seen.running:
        _put_on_nodes(state, numbers[run.job], run)
    for node in seen.down:
        state.pool_at[node].close(node)
    for node in seen.drained:
        state.pool_at[node].close(node, drain=True)
    for one in seen.waiting:
        _put_in_line(state, numbers[one.job], one)
    for user in seen.user_charges:
        state.lines[user.queue].used[user.user] = user.charged_ratio
    for queue in seen.queue_charges:
        state.accounts[queue.queue].charged = queue.charged_ratio
    for promise in seen.promises:
        kept = sum(1 << (node - state.pools[promise.pool].first) for node in promise.nodes)
        start_s = math.inf if promise.start_s is None else promise.start_s
        state.promises[promise.pool] = (numbers[promise.job], start_s, kept)
    if state.permits is not None:
        state.permits.promised.update(
            (one.pool, (numbers[one.job], one.from_s, one.promised_w))
            for one in seen.power_promises
        )
    state.deferred.update(dict.fromkeys(numbers[job] for job in seen.deferred))
    state.owed_since.update((numbers[one.job], one.since_s) for one in seen.owed)
    state.broken += [(one.queue, one.waited_s) for one in seen.broken]
    state.freed += [numbers[job] for job in seen.freed]
    state.touched = dict.fromkeys(seen.touched)
    state.wakes = {one.pool: one.at_s for one in seen.wakes}
    return state


def _waits(state: State, job: int) -> bool:
    return job in state.gates or job in state.line(job).entries


def _power_promised(state: State) -> Iterable[tuple[str, tuple[int, float, float]]]:
    return () if state.permits is None else state.permits.promised.items()


def _nodes(pool: Pool, mask: int) -> Iterator[int]:
    return (pool.first + bit for bit in bits(mask))


def _waiting(state: State) -> Iterator[WaitingJob]:
    for job in sorted(job for line in state.lines.values() for job in line.jobs()):
        yield WaitingJob(
            job=state.jobs[job].job_id,
            since_s=state.since[job],
            gate=None,
            left_s=state.remaining.get(job),
        )
    for job, gate in sorted(state.gates.items()):
        yield WaitingJob(
            job=state.jobs[job].job_id, since_s=None, gate=gate, left_s=state.remaining.get(job)
        )


def _running(state: State) -> Iterator[RunningJob]:
    for job, run in state.running.items():
        yield RunningJob(
            job=state.jobs[job].job_id,
            nodes=run.placed,
            part=run.part,
            since_s=run.since_s,
            end_s=run.end_s,
            resumed=run.resumed,
            rate_ratio=run.rate,
            lead_s=run.lead_s,
            left_s=state.remaining.get(job),
        )


def _put_on_nodes(state: State, job: int, one: RunningJob) -> None:
    lacks = state.pool(job).take(one.nodes, one.part, state.ask(job))
    if lacks is not None:
        message = f"{one.job} runs where node {lacks} has too little for it"
        raise InvalidInput([Fault(path="running", message=message, remedy=_SAME)])
    if one.left_s is not None:
        state.remaining[job] = one.left_s
    run = Running(
        placed=one.nodes,
        part=one.part,
        since_s=one.since_s,
        quanta=sum(quanta for _, quanta in one.nodes),
        end_s=one.end_s,
        resumed=one.resumed,
        rate=one.rate_ratio,
        lead_s=one.lead_s,
    )
    gates.enter(state, job)
    state.occupy(job, run)


def _put_in_line(state: State, job: int, one: WaitingJob) -> None:
    if one.left_s is not None:
        state.remaining[job] = one.left_s
    if one.gate is not None:
        gates.close(state, job, one.gate)
    elif one.since_s is not None:
        state.wait(job, one.since_s)


def _check(state: State, seen: Picture) -> None:
    """Refuse a picture that speaks of what there is not, with every such name."""
    faults: list[Fault] = []

    def refuse(path: str, what: str, names: Iterable[str], known: Collection[str]) -> None:
        for name in names:
            if name not in known:
                near = nearest(name, known)
                remedy = f"did you mean {near[0]}?" if near else _SAME
                message = f"there is {what} {name!r}"
                faults.append(Fault(path=path, message=message, remedy=remedy))

    count = Counter(job.job_id for job in state.jobs if job.queue in state.line_of_queue)
    single = {name for name, times in count.items() if times == 1}
    job = "not exactly one job"
    refuse("running", job, (one.job for one in seen.running), single)
    refuse("waiting", job, (one.job for one in seen.waiting), single)
    refuse("promises", job, (one.job for one in seen.promises), single)
    refuse("promises", "no pool", (one.pool for one in seen.promises), state.pools)
    refuse("power_promises", job, (one.job for one in seen.power_promises), single)
    refuse("deferred", job, seen.deferred, single)
    refuse("owed", job, (one.job for one in seen.owed), single)
    refuse("freed", job, seen.freed, single)
    refuse("touched", "no pool", seen.touched, state.pools)
    refuse("wakes", "no pool", (one.pool for one in seen.wakes), state.pools)
    refuse("user_charges", "no queue", (one.queue for one in seen.user_charges), state.lines)
    refuse("queue_charges", "no queue", (one.queue for one in seen.queue_charges), state.accounts)
    nodes = {node for run in seen.running for node, _ in run.nodes}
    faults += [
        Fault(path="nodes", message=f"there is no node {node}", remedy=_SAME)
        for node in sorted(nodes | {*seen.down, *seen.drained})
        if not 0 <= node < len(state.pool_at)
    ]
    if faults:
        raise InvalidInput(faults)
