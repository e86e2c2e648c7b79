"""In which order jobs go: small functions by name. Lower keys first, equal keys in their order.

`fifo` by submission · `sjf` shortest true duration · `srtf` shortest remaining time, preemptive ·
`qssf` smallest estimated accelerator-time · `predicted` shortest estimated duration · `fair` the
user with the least accelerator-time so far, then by submission. Priority goes before all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clusterwright.errors import UnknownName
from clusterwright.model.job import Job

Key = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One way of ordering."""

    name: str
    """Its name."""
    rule: str
    """What it does, in a sentence."""
    key: Callable[[Job, float], Key]
    """Key of a waiting job, from the job and its remaining work in seconds."""
    preemptive: bool = False
    """True when a job first in order may interrupt preemptible ones behind it."""
    by_usage: bool = False
    """True when the order depends on what each user has used so far."""


def _guess(job: Job) -> float:
    return job.duration_s if job.estimate_s is None else job.estimate_s


POLICIES: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(
            name="fifo",
            rule="by submission",
            key=lambda job, _: (-job.priority, job.submit_s),
        ),
        Policy(
            name="sjf",
            rule="shortest true duration first",
            key=lambda job, _: (-job.priority, job.duration_s),
        ),
        Policy(
            name="srtf",
            rule="shortest remaining time first; a job first in order interrupts running jobs of "
            "its queue with more time left, the longest first, when that lets it start",
            key=lambda job, left: (-job.priority, left),
            preemptive=True,
        ),
        Policy(
            name="qssf",
            rule="smallest estimated duration times accelerators first",
            key=lambda job, _: (-job.priority, _guess(job) * (job.num_gpus_ratio or 1.0)),
        ),
        Policy(
            name="predicted",
            rule="shortest estimated duration first",
            key=lambda job, _: (-job.priority, _guess(job)),
        ),
        Policy(
            name="fair",
            rule="the user with the least accelerator-time so far first, then by submission",
            key=lambda job, _: (-job.priority, job.submit_s),
            by_usage=True,
        ),
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
