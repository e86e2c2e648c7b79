"""Dumps of Kubernetes, with Volcano and Kueue, as jobs: a gang is one job.

Objects that belong together (by owner, pod group or label) are one job: it is submitted when the
first of them is made, starts when its first pod is placed, and ends when the object that speaks
for it says so.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from clusterwright.model.job import Job
from clusterwright.traces import kube_objects as kube
from clusterwright.traces.kube_objects import Entry, Request
from clusterwright.traces.trace import Cause, Ledger, Place, Reading, Trace

QUEUES = ("queue", "namespace")
"""What of a gang may be the queue; the first is, unless another is asked for."""

FIELDS: Mapping[str, str] = {
    "metadata.creationTimestamp": "submission: the earliest of the gang",
    "metadata.ownerReferences, pod group annotations, labels of JobSet, Volcano, Kueue and "
    "LeaderWorkerSet": "which objects are one gang; pods of Deployments and the like stand alone",
    "Workload spec.podSets, JobSet spec.replicatedJobs, Volcano Job spec.tasks, Job "
    "spec.parallelism": "size, in this order; else what its pods held at one time; else "
    "PodGroup spec.minResources",
    "Pod PodScheduled, else Job status.startTime, Volcano Running, Workload Admitted, JobSet "
    "Suspended=False": "start",
    "Workload Finished, JobSet Completed or Failed, Volcano status.state, Job completionTime or "
    "Failed; else the last container of the last pod": "end",
    "Workload admission.clusterQueue or spec.queueName, Volcano spec.queue, queue labels": "queue",
    "metadata.namespace": "user; the API has none",
    "Workload or Pod spec.priority": "priority",
    "Job spec.activeDeadlineSeconds, Workload spec.maximumExecutionTimeSeconds": "estimate of the "
    "duration",
    "Workload schedulingStats.evictions, JobSet restarts, Volcano retryCount": "how often it ran "
    "again (repaired)",
    "Event": "counted; an object that the dump has events of alone is dropped",
}
"""What is read from the objects."""

_POD = "Pod"
_JOB = "Job.batch"
_VOLCANO = "Job.batch.volcano.sh"
_JOBSET = "JobSet.jobset.x-k8s.io"
_WORKLOAD = "Workload.kueue.x-k8s.io"
_POD_GROUPS = (
    "PodGroup.scheduling.volcano.sh",
    "PodGroup.scheduling.x-k8s.io",
    "PodGroup.scheduling.run.ai",
)
_EVENTS = ("Event", "Event.events.k8s.io")
_NAMING = (_JOBSET, _VOLCANO, _JOB, _WORKLOAD, *_POD_GROUPS, _POD)
"""Kinds of a gang's objects; the first that it has gives it its name."""

_APART = frozenset(
    {
        *("ReplicaSet.apps", "StatefulSet.apps", "DaemonSet.apps", "Deployment.apps", "Node"),
        *("CronJob.batch", "CronJob.batch.volcano.sh", "Workflow.argoproj.io"),
    }
)
"""Owners whose objects are no gang: each runs for itself."""

_LINKS = (
    # label or annotation of an object, kind of what it names
    ("scheduling.k8s.io/group-name", _POD_GROUPS[0]),
    ("scheduling.volcano.sh/group-name", _POD_GROUPS[0]),
    ("scheduling.x-k8s.io/pod-group", _POD_GROUPS[1]),
    ("pod-group-name", _POD_GROUPS[2]),
    ("volcano.sh/job-name", _VOLCANO),
    ("jobset.sigs.k8s.io/jobset-name", _JOBSET),
    ("kueue.x-k8s.io/pod-group-name", "pod group of Kueue"),
    ("leaderworkerset.sigs.k8s.io/group-key", "group of a LeaderWorkerSet"),
)
_QUEUE_MARKS = (
    "kueue.x-k8s.io/queue-name",
    "scheduling.volcano.sh/queue-name",
    "volcano.sh/queue-name",
)
_VOLCANO_ENDS = frozenset({"Completed", "Failed", "Aborted", "Terminated"})
_POD_ENDS = frozenset({"Succeeded", "Failed"})


@dataclass(slots=True, kw_only=True)
class _Gang:
    """The objects that are one job."""

    members: dict[str, list[Entry]] = field(default_factory=dict)
    """Objects by kind."""

    def of(self, kind: str) -> Sequence[Entry]:
        """Return its objects of a kind."""
        return self.members.get(kind, ())

    @property
    def every(self) -> list[Entry]:
        """Return all its objects."""
        return [entry for some in self.members.values() for entry in some]

    @property
    def head(self) -> Entry:
        """Return the object that gives the gang its name."""
        return next(self.members[kind][0] for kind in _NAMING if kind in self.members)


class _Unusable(Exception):
    """A gang that is no job; the arguments are the cause and its words."""


def read(text: str, file: str, how: Reading) -> Trace:
    """Return the jobs of a dump.

    Raises
    ------
    InvalidInput
        If it is no JSON.
    """
    ledger = Ledger(file)
    every = kube.entries(text, file, ledger)
    work = [entry for entry in every if entry.kind in _NAMING]
    events = [entry for entry in every if entry.kind in _EVENTS]
    for entry in every:
        if entry.kind not in _NAMING and entry.kind not in _EVENTS:
            ledger.no_job(entry.kind)
    found: list[Job] = []
    for gang in _gangs(work):
        head = gang.head
        at = Place(path=f"{head.namespace}/{head.name}")
        for kind, some in gang.members.items():
            ledger.no_job(f"{kind} of a gang", len(some) - (head in some))
        try:
            found.append(_job(gang, at, how, ledger))
        except _Unusable as reason:
            cause, message = reason.args
            ledger.drop(cause, message, at)
        except (AttributeError, TypeError, ValueError, KeyError, OverflowError) as error:
            # The objects of kinds that others define may have any form below spec and status.
            ledger.drop(Cause.MALFORMED, f"has not the form of its kind ({error!r})", at)
    _tell_events(events, work, ledger)
    start = min((job.submit_s for job in found), default=0.0)
    found.sort(key=lambda job: job.submit_s)
    jobs = _named_once(found, start, ledger)
    return ledger.close(jobs, start_unix_s=start if jobs else None)


# --- which objects are one gang -------------------------------------------------------------------


def _gangs(entries: Sequence[Entry]) -> list[_Gang]:
    """Return the objects in gangs, in the order of their first object."""
    uid_of = {entry.key: entry.uid for entry in entries}
    above: dict[str, str] = {}

    def top(uid: str) -> str:
        while above.get(uid, uid) != uid:
            above[uid] = above.get(above[uid], above[uid])
            uid = above[uid]
        return uid

    for entry in entries:
        for other in _linked(entry, uid_of):
            above[top(entry.uid)] = top(other)
    gangs: dict[str, _Gang] = {}
    for entry in entries:
        gang = gangs.setdefault(top(entry.uid), _Gang())
        gang.members.setdefault(entry.kind, []).append(entry)
    return list(gangs.values())


def _linked(entry: Entry, uid_of: Mapping[str, str]) -> Iterable[str]:
    """Yield the identities of what an object belongs to, whether the dump has it or not."""
    meta = entry.body.get("metadata") or {}
    for owner in meta.get("ownerReferences") or ():
        kind = kube.kind_of(str(owner.get("kind")), str(owner.get("apiVersion", "")))
        if kind not in _APART:
            key = f"{kind}/{entry.namespace}/{owner.get('name')}"
            yield str(owner.get("uid") or uid_of.get(key, key))
    for mark, kind in _LINKS:
        name = _mark(entry, mark)
        if name:
            key = f"{kind}/{entry.namespace}/{name}"
            yield uid_of.get(key, key)


def _mark(entry: Entry, name: str) -> str:
    """Return a label or annotation of an object; empty when it has none of that name."""
    meta = entry.body.get("metadata") or {}
    marks = {**(meta.get("annotations") or {}), **(meta.get("labels") or {})}
    return str(marks.get(name) or "")


# --- a gang becomes a job -------------------------------------------------------------------------


def _job(gang: _Gang, at: Place, how: Reading, ledger: Ledger) -> Job:
    made = [kube.moment(entry.body["metadata"].get("creationTimestamp")) for entry in gang.every]
    known = [one for one in made if one is not None]
    if not known:
        raise _Unusable(Cause.BAD_TIME, "metadata.creationTimestamp is absent")
    start = _start(gang)
    if start is None:
        raise _Unusable(Cause.NEVER_STARTED, "no pod of it was placed, and nothing was admitted")
    end = _end(gang)
    if end is None:
        raise _Unusable(Cause.STILL_RUNNING, "has not finished")
    if end < start:
        message = f"ends {start - end:g} s before it starts"
        raise _Unusable(Cause.UNKNOWN_DURATION, message)
    request = _size(gang)
    if request.uncounted:
        message = f"{request.uncounted}: how much of an accelerator that is, is not told"
        raise _Unusable(Cause.UNKNOWN_SIZE, message)
    if not all(0 <= one < math.inf for one in (request.num_gpus_ratio, request.num_cores_ratio)):
        raise _Unusable(Cause.BAD_SIZE, "asks for less than nothing, or without end")
    cores = math.ceil(round(request.num_cores_ratio, 6))
    if not request.num_gpus_ratio and not cores:
        raise _Unusable(Cause.NO_SIZE, "asks for neither accelerators nor cores")
    submit = min(known)
    if start < submit:
        message = f"starts {submit - start:g} s before it is made; the start is taken for both"
        ledger.repair(Cause.NEGATIVE_WAIT, message, at)
        submit = start
    again = _times_again(gang)
    if again:
        message = f"was stopped and ran again {again} times; its time since the last start is taken"
        ledger.repair(Cause.RUN_AGAIN, message, at)
    if cores != round(request.num_cores_ratio, 6):
        message = f"asks for {request.num_cores_ratio:g} cores; {cores} are taken"
        ledger.repair(Cause.CORES_ROUNDED, message, at)
    limits = [*_all(gang, _JOB, "spec", "activeDeadlineSeconds")]
    limits += _all(gang, _WORKLOAD, "spec", "maximumExecutionTimeSeconds")
    return Job(
        job_id=f"{gang.head.namespace}/{gang.head.name}",
        queue=_queue(gang, how),
        user=gang.head.namespace,
        submit_s=submit,
        duration_s=end - start,
        num_gpus_ratio=request.num_gpus_ratio,
        num_cpus=cores,
        priority=int(_first(gang, (_WORKLOAD, _POD), "spec", "priority") or 0),
        estimate_s=float(limits[0]) if limits else None,
    )


def _named_once(found: Sequence[Job], start: float, ledger: Ledger) -> list[Job]:
    """Return jobs from the start of the trace on, none called as another."""
    jobs, used = [], dict[str, int]()
    for job in found:
        times = used[job.job_id] = used.get(job.job_id, 0) + 1
        name = job.job_id if times == 1 else f"{job.job_id}.{times}"
        if times > 1:
            message = f"an object of that name was there before; called {name}"
            ledger.repair(Cause.ID_REUSED, message, Place(path=job.job_id))
        jobs.append(replace(job, job_id=name, submit_s=job.submit_s - start))
    return jobs


def _start(gang: _Gang) -> float | None:
    """Return when its first pod was placed; without pods, when it was let in."""
    placed = [one for pod in gang.of(_POD) if (one := _placed(pod)) is not None]
    if placed:
        return min(placed)
    told: list[float | None] = [kube.moment(one) for one in _all(gang, _JOB, "status", "startTime")]
    told += [_volcano_time(entry, "Running") for entry in gang.of(_VOLCANO)]
    told += [kube.condition_time(entry.body, "Admitted") for entry in gang.of(_WORKLOAD)]
    told += [kube.condition_time(entry.body, "Suspended", "False") for entry in gang.of(_JOBSET)]
    return next((one for one in told if one is not None), None)


def _end(gang: _Gang) -> float | None:
    """Return when it ended: what speaks for it says so, or its pods have all ended."""
    speakers: tuple[tuple[str, Callable[[Entry], float | None]], ...] = (
        (_WORKLOAD, lambda entry: kube.condition_time(entry.body, "Finished")),
        (_JOBSET, lambda entry: _either(entry, "Completed", "Failed")),
        (_VOLCANO, _volcano_end),
        (_JOB, _batch_end),
        (_POD, _pod_end),
    )
    for kind, end_of in speakers:
        some = gang.of(kind)
        ends = [one for entry in some if (one := end_of(entry)) is not None]
        if some and len(ends) == len(some):
            return max(ends)
        if some and kind in {_JOBSET, _VOLCANO, _JOB}:
            return None  # it is there and has not ended, whatever became of single pods
    return None


def _placed(pod: Entry) -> float | None:
    begun = kube.moment((pod.body.get("status") or {}).get("startTime"))
    placed = kube.condition_time(pod.body, "PodScheduled")
    return begun if placed is None else placed


def _pod_end(pod: Entry) -> float | None:
    status = pod.body.get("status") or {}
    ends = [
        kube.moment(state.get("finishedAt"))
        for one in status.get("containerStatuses") or ()
        for state in ((one.get("state") or {}).get("terminated") or {},)
        if state
    ]
    known = [one for one in ends if one is not None]
    if status.get("phase") in _POD_ENDS and known:
        return max(known)
    if pod.is_deleted or status.get("phase") in _POD_ENDS:
        gone = kube.moment(pod.body["metadata"].get("deletionTimestamp"))
        return gone if gone is not None else kube.condition_time(pod.body, "Ready", "False")
    return None


def _batch_end(entry: Entry) -> float | None:
    done = kube.moment((entry.body.get("status") or {}).get("completionTime"))
    return _either(entry, "Complete", "Failed") if done is None else done


def _either(entry: Entry, *kinds: str) -> float | None:
    told = (kube.condition_time(entry.body, kind) for kind in kinds)
    return next((one for one in told if one is not None), None)


def _volcano_end(entry: Entry) -> float | None:
    state = (entry.body.get("status") or {}).get("state") or {}
    if state.get("phase") not in _VOLCANO_ENDS:
        return None
    return kube.moment(state.get("lastTransitionTime"))


def _volcano_time(entry: Entry, phase: str) -> float | None:
    """Return when a Volcano Job came into a phase, the last time if it did more than once."""
    listed = (entry.body.get("status") or {}).get("conditions") or ()
    times = [
        kube.moment(one.get("lastTransitionTime")) for one in listed if one.get("status") == phase
    ]
    return max((one for one in times if one is not None), default=None)


def _size(gang: _Gang) -> Request:
    """Return what it holds together, as declared, or as its pods held it at one time."""
    sizes: tuple[tuple[str, Callable[[Entry], Request]], ...] = (
        (_WORKLOAD, _workload_size),
        (_JOBSET, _jobset_size),
        (_VOLCANO, _volcano_size),
        (_JOB, lambda entry: _batch_size(entry.body.get("spec") or {})),
    )
    try:
        for kind, size_of in sizes:
            some = gang.of(kind)
            if some:
                counted = some[-1:] if kind == _WORKLOAD else some
                return sum(map(size_of, counted), Request())
        if gang.of(_POD):
            return _held(gang.of(_POD))
        least = [_all(gang, kind, "spec", "minResources") for kind in _POD_GROUPS]
        spec: Mapping[str, Any] = next((one[0] for one in least if one), {})
        return kube.asked_by({"containers": [{"resources": {"requests": spec}}]})
    except ValueError as error:
        raise _Unusable(Cause.BAD_SIZE, str(error)) from error


def _workload_size(entry: Entry) -> Request:
    status = (entry.body.get("status") or {}).get("admission") or {}
    admitted = {one.get("name"): one for one in status.get("podSetAssignments") or ()}
    total = Request()
    for one in (entry.body.get("spec") or {}).get("podSets") or ():
        count = (admitted.get(one.get("name")) or {}).get("count", one.get("count", 1))
        total += _template(one).times(int(count))
    return total


def _jobset_size(entry: Entry) -> Request:
    total = Request()
    for one in (entry.body.get("spec") or {}).get("replicatedJobs") or ():
        job = (one.get("template") or {}).get("spec") or {}
        total += _batch_size(job).times(int(one.get("replicas", 1)))
    return total


def _volcano_size(entry: Entry) -> Request:
    total = Request()
    for one in (entry.body.get("spec") or {}).get("tasks") or ():
        total += _template(one).times(int(one.get("replicas", 1)))
    return total


def _batch_size(spec: Mapping[str, Any]) -> Request:
    side_by_side = int(spec.get("parallelism", 1))
    return _template(spec).times(min(side_by_side, int(spec.get("completions") or side_by_side)))


def _template(holder: Mapping[str, Any]) -> Request:
    return kube.asked_by((holder.get("template") or {}).get("spec"))


def _held(pods: Sequence[Entry]) -> Request:
    """Return the most that pods held at one time: a pod that took another's place is not added."""
    changes = []
    for pod in pods:
        start, end = _placed(pod), _pod_end(pod)
        if start is not None:
            request = kube.asked_by(pod.body.get("spec"))
            changes += [(start, 1, request), (math.inf if end is None else end, 0, request)]
    now, most = Request(), Request()
    for _, arrives, request in sorted(changes, key=lambda change: change[:2]):
        if arrives:
            now += request
            most = most.or_more(now)
        else:
            now += request.times(-1)
    return most


def _queue(gang: _Gang, how: Reading) -> str:
    if how.queue_from == "namespace":
        return gang.head.namespace
    for status in _all(gang, _WORKLOAD, "status", "admission"):
        if status.get("clusterQueue"):
            return str(status["clusterQueue"])
    told = _first(gang, (_WORKLOAD,), "spec", "queueName")
    told = told or _first(gang, (_VOLCANO, *_POD_GROUPS), "spec", "queue")
    marks = (_mark(entry, mark) for mark in _QUEUE_MARKS for entry in gang.every)
    return str(told or next(filter(None, marks), "") or how.queue)


def _times_again(gang: _Gang) -> int:
    evicted = sum(
        int(one.get("count", 0))
        for stats in _all(gang, _WORKLOAD, "status", "schedulingStats")
        for one in stats.get("evictions") or ()
    )
    restarts = _all(gang, _JOBSET, "status", "restarts")
    return evicted + sum(map(int, [*restarts, *_all(gang, _VOLCANO, "status", "retryCount")]))


def _all(gang: _Gang, kind: str, part: str, name: str) -> list[Any]:
    values = ((entry.body.get(part) or {}).get(name) for entry in gang.of(kind))
    return [value for value in values if value is not None]


def _first(gang: _Gang, kinds: Iterable[str], part: str, name: str) -> Any:
    return next((value for kind in kinds for value in _all(gang, kind, part, name)), None)


def _tell_events(events: Sequence[Entry], work: Sequence[Entry], ledger: Ledger) -> None:
    """Count events, and drop what there are events of alone: they do not say what it asks for."""
    known = {entry.key for entry in work}
    for event in events:
        told = event.body.get("involvedObject") or event.body.get("regarding")
        about = told if isinstance(told, Mapping) else {}
        kind = kube.kind_of(str(about.get("kind")), str(about.get("apiVersion", "")))
        key = f"{kind}/{about.get('namespace', '')}/{about.get('name')}"
        if kind not in _NAMING or key in known:
            ledger.no_job("event")
            continue
        known.add(key)
        message = f"the dump has events of the {kind} but not itself, so not what it asks for"
        at = Place(path=f"{about.get('namespace', '')}/{about.get('name')}")
        ledger.drop(Cause.ONLY_EVENTS, message, at)
