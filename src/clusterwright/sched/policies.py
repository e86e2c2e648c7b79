"""In which order jobs go: small functions by name, and the policies composed of them.

A policy is text: a list of order keys with backfill, placement and rules of preemption
(`model.policy.Policy`). Lower keys go first, equal keys keep the order of submission.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clusterwright.errors import Fault, InvalidInput, UnknownName, nearest
from clusterwright.model.job import Job
from clusterwright.model.policy import Policy
from clusterwright.sched.placement import PLACEMENTS

Key = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One key by which waiting jobs are ordered."""

    name: str
    """Its name."""
    rule: str
    """What goes first."""
    key: Callable[[Job, float], float]
    """Key of a waiting job, from the job and its remaining work in seconds."""


def _raw_estimate(job: Job) -> float:
    # Noisy guesses may be negative; they still say who goes first.
    return job.duration_s if job.estimate_s is None else job.estimate_s


ORDERS: Mapping[str, Order] = {
    order.name: order
    for order in (
        Order(name="priority", rule="higher priority", key=lambda job, _: -job.priority),
        Order(name="submitted", rule="earlier submission", key=lambda job, _: job.submit_s),
        Order(name="duration", rule="shorter true duration", key=lambda job, _: job.duration_s),
        Order(name="remaining", rule="less time left", key=lambda _, left_s: left_s),
        Order(
            name="estimate",
            rule="shorter estimated duration",
            key=lambda job, _: _raw_estimate(job),
        ),
        Order(
            name="work",
            rule="smaller estimated duration times accelerators",
            key=lambda job, _: _raw_estimate(job) * (job.num_gpus_ratio or 1.0),
        ),
        Order(
            name="size",
            rule="fewer accelerators, or cores",
            key=lambda job, _: job.num_gpus_ratio or job.num_cpus,
        ),
        Order(
            name="deadline",
            rule="earlier deadline",
            key=lambda job, _: float("inf") if job.deadline_s is None else job.deadline_s,
        ),
        Order(
            name="fair",
            rule="the queue, then the user, with the smallest dominant share of what was used",
            key=lambda _job, _left: 0.0,  # usage is looked up when the heads are compared
        ),
    )
}

POLICIES: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(name="fifo", rule="by submission"),
        Policy(name="sjf", rule="shortest true duration first", order=("priority", "duration")),
        Policy(
            name="srtf",
            rule="shortest remaining time first; a job first in order interrupts running jobs of "
            "its queue with more time left, the longest first, when that lets it start",
            order=("priority", "remaining"),
            preempt=("reclaim", "order"),
        ),
        Policy(
            name="qssf",
            rule="smallest estimated duration times accelerators first",
            order=("priority", "work"),
        ),
        Policy(
            name="predicted",
            rule="shortest estimated duration first",
            order=("priority", "estimate"),
        ),
        Policy(
            name="smallest",
            rule="fewest accelerators first",
            order=("priority", "size", "submitted"),
        ),
        Policy(
            name="fair",
            rule="the queue, then the user, with the least dominant share so far first, then by "
            "submission",
            order=("priority", "fair", "submitted"),
        ),
        Policy(
            name="priority",
            rule="higher priority first, stopping lower ones of the queue; then by submission",
            preempt=("reclaim", "priority"),
        ),
        Policy(
            name="gather",
            rule="by submission, with backfill; where enough is free for the first job, but in "
            "pieces, jobs with checkpoints go on elsewhere once its waiting outweighs their loss",
            backfill="easy",
            preempt=("reclaim", "move"),
        ),
        Policy(name="edf", rule="earliest deadline first", order=("priority", "deadline")),
    )
}


def policy_of(name: str) -> Policy:
    """Return a policy by its name.

    Raises
    ------
    UnknownName
        If there is none of that name.
    """
    if name not in POLICIES:
        raise UnknownName.of("policy", name, POLICIES)
    return POLICIES[name]


def checked(policy: Policy, *, file: str = "") -> Policy:
    """Return a policy whose names all exist.

    Raises
    ------
    InvalidInput
        With every key or placement that there is none of, and every rule that cannot hold.
    """
    faults = [_unknown(file, "order", name, ORDERS) for name in policy.order if name not in ORDERS]
    if policy.placement not in PLACEMENTS:
        faults.append(_unknown(file, "placement", policy.placement, PLACEMENTS))
    if not policy.order:
        faults.append(Fault(file=file, path="order", message="is empty", remedy="name a key"))
    if "fair" in policy.order[2:] or policy.order[:2] == ("submitted", "fair"):
        message = "fair stands too late: submissions are hardly ever equal before it"
        remedy = "put it first, or second after priority"
        faults.append(Fault(file=file, path="order", message=message, remedy=remedy))
    if policy.backfill_depth < 1:
        faults.append(Fault(file=file, path="backfill_depth", message="is below 1"))
    if faults:
        raise InvalidInput(faults)
    return policy


def with_changes(policy: Policy, **changes: Any) -> Policy:
    """Return a policy with what is given in place of its own; None leaves a field as it is."""
    # Any: the fields of a policy differ in type, and `replace` checks their names.
    return replace(policy, **{name: one for name, one in changes.items() if one is not None})


def may_stop(policy: Policy, *, lending: bool) -> bool:
    """Return whether running jobs must be ready to be stopped for others.

    Parameters
    ----------
    policy
        The policy.
    lending
        Whether queues share nodes by quotas, so that one may take back what another borrows.
    """
    return lending or any(rule != "reclaim" for rule in policy.preempt)


def key_of(policy: Policy) -> Callable[[Job, float], Key]:
    """Return the function that gives the key of a waiting job under a policy.

    Waiting moves all jobs up alike, so ageing needs no clock: the key falls by the same for every
    job that waits, and only the time of submission tells them apart.
    """
    orders = [ORDERS[name].key for name in policy.order]
    aged = next(
        (i for i, name in enumerate(policy.order) if name not in ("priority", "fair")), None
    )
    rate = policy.ageing_ratio
    if rate and aged is not None and policy.order[aged] != "submitted":

        def key(job: Job, left_s: float) -> Key:
            values = [one(job, left_s) for one in orders]
            values[aged] += rate * job.submit_s
            return tuple(values)

        return key
    if len(orders) == 2:  # the usual case, without a loop
        first, second = orders
        return lambda job, left_s: (first(job, left_s), second(job, left_s))
    return lambda job, left_s: tuple([one(job, left_s) for one in orders])


def _unknown(file: str, path: str, name: str, known: Mapping[str, object]) -> Fault:
    near = nearest(name, known)
    remedy = f"one of {', '.join(known)}"
    if near:
        remedy = f"did you mean {near[0]}? {remedy}"
    return Fault(file=file, path=path, message=f"there is no {name!r}", remedy=remedy)
