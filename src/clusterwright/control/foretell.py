"""When a job of this centre will start, how long it will run, and what that will cost.

The twin goes on from a picture of the scheduler's state, under run times drawn from what the
centre's own jobs have shown (`twin.forecast`, `learn.History`). Nobody waits for it: what is
needed is gathered while the book is held, and reckoned after it was let go.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from clusterwright import sched, twin
from clusterwright.control import accounts
from clusterwright.control.book import Book
from clusterwright.control.records import JobState, Record
from clusterwright.control.specs import completed
from clusterwright.control.views import rfc3339
from clusterwright.learn import History, Outlook, Past
from clusterwright.learn.outlook import bin_of
from clusterwright.model.centre import Centre, Nodes
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job
from clusterwright.model.jobspec import JobSpec
from clusterwright.model.policy import Policy
from clusterwright.sched import Picture, starts
from clusterwright.twin import Expected, Luck, Setting
from clusterwright.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, Seconds

_MOST_PAST = 2_000  # latest jobs that are learned from
_RECENT_S = 14 * SECONDS_PER_DAY  # later arrivals are drawn from so long
_NUM_SAMPLES = (10, 40)  # futures: so many at least, and where few jobs wait
_NUM_DRAWN = 30_000  # jobs over all futures, beyond which there are fewer of these
_LEVELS = (0.5, 0.9)
_TELLING = {JobState.COMPLETED, JobState.FAILED, JobState.TIMEOUT}  # what these ran for is learned


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What a forecast needs of a book, as of one moment."""

    centre: Centre
    """The centre."""
    policy: Policy
    """What its scheduler goes by."""
    picture: Picture
    """The scheduler's state."""
    epoch_s: float
    """Zero of the scheduler's time, in seconds since 1970."""
    jobs: tuple[Job, ...]
    """Jobs that wait and run, in the scheduler's order."""
    past: tuple[Past, ...]
    """Jobs that have ended, with how long they ran, the latest first."""
    recent: tuple[Job, ...]
    """Jobs of the last days, whatever became of them."""


def glance(book: Book, now_s: float) -> Glance:
    """Gather what a forecast needs; the caller holds the book."""
    at_s = book.sched_s(now_s)
    numbered = sorted(record.index for record in book.active.values())
    jobs = book.state.jobs
    recent = []
    for record in islice(reversed(book.order), _MOST_PAST):
        if record.submit_s < now_s - _RECENT_S:
            break
        if record.spec.queue in book.state.line_of_queue:  # a queue may have gone since
            recent.append(jobs[record.index])
    return Glance(
        centre=book.centre,
        policy=book.state.policy,
        picture=sched.picture(book.state, at_s),
        epoch_s=book.epoch_s,
        jobs=tuple(jobs[number] for number in numbered),
        past=tuple(islice(_past(book), _MOST_PAST)),
        recent=tuple(reversed(recent)),
    )


def start(seen: Glance, job: str) -> dict[str, Any]:
    """Return by when a waiting job will have started, with an even chance and nine in ten."""
    return _start(seen, Learned(seen), job, ())


def trial(seen: Glance, spec: JobSpec, job: Job) -> dict[str, Any]:
    """Return place, start, run time, energy and cost of a job that has not been submitted.

    Parameters
    ----------
    seen
        The centre.
    spec
        The job as it was written.
    job
        The same as the scheduler would see it.
    """
    learned = Learned(seen)
    # As if it came just after the picture, so that nobody's place in line is doubtful, and were let
    # go at once: when its owner will do that nobody knows.
    job = replace(job, submit_s=seen.picture.at_s + 1e-3, held=False)
    outlook = learned.outlook(job)
    group = _group(seen.centre, completed(spec))
    return {
        "place": _place(seen, job),
        "start": _start(seen, learned, job.job_id, (job,)),
        "expected": {
            "p50": _cost(seen.centre, group, spec, _run_s(outlook, job, 0.5)),
            "p90": _cost(seen.centre, group, spec, _run_s(outlook, job, 0.9)),
            "limit": _cost(seen.centre, group, spec, job.duration_s),
        },
    }


class Learned:
    """What the centre's own jobs tell of run times; nobody runs beyond their limit."""

    def __init__(self, seen: Glance) -> None:
        self.num_jobs = len(seen.past)
        self._at_s = seen.picture.at_s
        self._history = History()
        for one in reversed(seen.past):
            self._history.learn(one.job, one.end_s)
        by_name = {job.job_id: job for job in seen.jobs}
        ran = [(by_name[run.job], self._at_s - run.since_s) for run in seen.picture.running]
        self._history.learn_running([(job, max(1.0, ran_s)) for job, ran_s in ran], self._at_s)
        self._known: dict[tuple[object, ...], Outlook] = {}

    def outlook(self, job: Job) -> Outlook:
        """Return what is expected of a job's run time."""
        alike = (job.queue, job.user, job.num_gpus_ratio, job.num_cpus, job.time_limit_s)
        key = (*alike, job.submit_s // SECONDS_PER_HOUR)
        if key not in self._known:
            found = self._history.outlook(job, self._at_s)
            self._known[key] = _within(found, job.duration_s)
        return self._known[key]

    def expected(self, job: Job) -> Expected:
        """Return a job with what is expected of it."""
        return Expected(job=job, outlook=self.outlook(job))


def _start(seen: Glance, learned: Learned, job: str, more: tuple[Job, ...]) -> dict[str, Any]:
    known = [learned.expected(one) for one in (*seen.jobs, *more)]
    recent = [learned.expected(one) for one in seen.recent]
    least, most = _NUM_SAMPLES
    luck = Luck(num_samples=min(most, max(least, _NUM_DRAWN // len(known))))
    (found,) = twin.forecast(
        seen.picture,
        seen.centre.cluster,
        known,
        Setting(policy=seen.policy, pooled=True),
        recent=recent,
        asked=[job],
        luck=luck,
    )
    answer: dict[str, Any] = {}
    for level in _LEVELS:
        at_s = found.quantile_s(level)
        wait_s = None if at_s == math.inf else max(0.0, at_s - seen.picture.at_s)
        name = f"p{level * 100:.0f}"
        answer[f"start_in_{name}_s"] = None if wait_s is None else round(wait_s, 1)
        answer[f"start_{name}"] = None if wait_s is None else rfc3339(seen.epoch_s + at_s)
    return answer | {"num_samples": luck.num_samples, "learned_from_jobs": learned.num_jobs}


def _place(seen: Glance, job: Job) -> dict[str, Any]:
    """Return where a job would go if it came now and were alone in line, or why it would wait."""
    state = sched.restored(
        seen.centre.cluster, [*seen.jobs, job], seen.policy, seen.picture, pooled=True
    )
    index = len(seen.jobs)
    spot = starts.place(state, state.pool(index), index, state.ask(index), job.submit_s)
    if spot is None:
        state.apply(Event(job.submit_s, EventKind.SUBMIT, index))
        blocked = sched.why(state, index, job.submit_s)
        return {"nodes": [], "within": None, "reason": blocked.reason, "message": blocked.message}
    names = [seen.centre.node_names[node] for node, _ in spot[0]]
    within = _within_level(seen.centre, names)
    return {"nodes": names, "within": within, "reason": None, "message": ""}


def _within_level(centre: Centre, names: Sequence[str]) -> str | None:
    """Return the smallest part of the centre that holds some nodes; None where that is all of it.

    Only what the centre declares is told: scale-up domains, leaf switches, pods.
    """
    if len(names) == 1:
        return f"node {names[0]}"
    group = next((one for one in centre.nodes if names[0] in one.names), None)
    places = {name: number for number, name in enumerate(group.names)} if group else {}
    if group is None or any(name not in places for name in names):
        return None
    per_pod = group.nodes_per_leaf * group.leaves_per_pod
    levels = (
        ("scale-up domain", group.nodes_per_domain if group.nodes_per_domain > 1 else 0),
        ("leaf", group.nodes_per_leaf),
        ("pod", per_pod),
    )
    for word, width in levels:
        found = {places[name] // width for name in names} if width else set()
        if len(found) == 1:
            return f"{word} {found.pop() + 1} of {group.name}"
    return None


def _past(book: Book) -> Iterator[Past]:
    for record in reversed(book.order):
        ran_s = _ran_s(record)
        if record.state in _TELLING and ran_s > 0.0:
            job = replace(book.state.jobs[record.index], duration_s=ran_s)
            yield Past(job=job, end_s=book.sched_s(record.since_s))


def _ran_s(record: Record) -> Seconds:
    """Return how long a job ran over all of its starts, less what had to be done again."""
    return sum(
        max(0.0, one.ended_s - one.started_s - one.lost_s)
        for one in record.attempts
        if one.started_s is not None and one.ended_s is not None
    )


def _within(outlook: Outlook, limit_s: Seconds) -> Outlook:
    """Return an outlook on a job that is stopped at its limit."""
    last = bin_of(limit_s)
    shares = outlook.shares.copy()
    shares[last] += shares[last + 1 :].sum()
    shares[last + 1 :] = 0.0
    return Outlook(shares=shares)


def _run_s(outlook: Outlook, job: Job, level: float) -> Seconds:
    return min(outlook.quantile_s(level), job.duration_s)


def _group(centre: Centre, spec: JobSpec) -> Nodes:
    """Return nodes that the job could run on: those that it would hold the largest part of."""
    gpus = spec.devices_per_node_ratio
    fitting = [
        one
        for one in centre.nodes
        if one.num_gpus >= gpus
        and one.num_cpus >= spec.num_cpus_per_node
        and spec.gpu_model in (None, "", one.gpu_model)
        and one.mig_profile == (spec.mig_profile or "")
    ]
    return min(fitting or centre.nodes, key=lambda one: (one.num_gpus, one.num_cpus))


def _cost(centre: Centre, group: Nodes, spec: JobSpec, run_s: Seconds) -> dict[str, float]:
    whole = completed(spec)
    one = accounts.of_part(
        group, whole.devices_per_node_ratio, whole.num_cpus_per_node, run_s, centre.rates
    )
    return {
        "run_s": round(run_s, 1),
        "gpu_s": one.gpu_s * whole.num_nodes,
        "cpu_s": one.cpu_s * whole.num_nodes,
        "energy_j": one.energy_j * whole.num_nodes,
        "cost_usd": one.cost_usd * whole.num_nodes,
        "carbon_g": one.carbon_g * whole.num_nodes,
    }
