"""Gangs of Kubernetes objects: which objects are one, and its start, its end and its size.

Any stands where a value of the API is handed on: its form is the server's, not ours.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clusterwright.traces import kube_objects as kube
from clusterwright.traces.kube_objects import Entry, Request
from clusterwright.traces.trace import Cause

POD = "Pod"
JOB = "Job.batch"
VOLCANO = "Job.batch.volcano.sh"
JOBSET = "JobSet.jobset.x-k8s.io"
WORKLOAD = "Workload.kueue.x-k8s.io"
POD_GROUPS = (
    "PodGroup.scheduling.volcano.sh",
    "PodGroup.scheduling.x-k8s.io",
    "PodGroup.scheduling.run.ai",
)
EVENTS = ("Event", "Event.events.k8s.io")
NAMING = (JOBSET, VOLCANO, JOB, WORKLOAD, *POD_GROUPS, POD)
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
    ("scheduling.k8s.io/group-name", POD_GROUPS[0]),
    ("scheduling.volcano.sh/group-name", POD_GROUPS[0]),
    ("scheduling.x-k8s.io/pod-group", POD_GROUPS[1]),
    ("pod-group-name", POD_GROUPS[2]),
    ("volcano.sh/job-name", VOLCANO),
    ("jobset.sigs.k8s.io/jobset-name", JOBSET),
    ("kueue.x-k8s.io/pod-group-name", "pod group of Kueue"),
    ("leaderworkerset.sigs.k8s.io/group-key", "group of a LeaderWorkerSet"),
)
_VOLCANO_ENDS = frozenset({"Completed", "Failed", "Aborted", "Terminated"})
_POD_ENDS = frozenset({"Succeeded", "Failed"})


@dataclass(slots=True, kw_only=True)
class Gang:
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
        return next(self.members[kind][0] for kind in NAMING if kind in self.members)


class Unusable(Exception):
    """A gang that is no job; the arguments are the cause and its words."""


def gangs_of(entries: Sequence[Entry]) -> list[Gang]:
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
    gangs: dict[str, Gang] = {}
    for entry in entries:
        gang = gangs.setdefault(top(entry.uid), Gang())
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
        name = mark_of(entry, mark)
        if name:
            key = f"{kind}/{entry.namespace}/{name}"
            yield uid_of.get(key, key)


def mark_of(entry: Entry, name: str) -> str:
    """Return a label or annotation of an object; empty when it has none of that name."""
    meta = entry.body.get("metadata") or {}
    marks = {**(meta.get("annotations") or {}), **(meta.get("labels") or {})}
    return str(marks.get(name) or "")


def start_s(gang: Gang) -> float | None:
    """Return when its first pod was placed; without pods, when it was let in."""
    placed = [one for pod in gang.of(POD) if (one := _placed(pod)) is not None]
    if placed:
        return min(placed)
    begun = values_of(gang, JOB, "status", "startTime")
    told: list[float | None] = [kube.moment(one) for one in begun]
    told += [_volcano_time(entry, "Running") for entry in gang.of(VOLCANO)]
    told += [kube.condition_time(entry.body, "Admitted") for entry in gang.of(WORKLOAD)]
    told += [kube.condition_time(entry.body, "Suspended", "False") for entry in gang.of(JOBSET)]
    return next((one for one in told if one is not None), None)


def end_s(gang: Gang) -> float | None:
    """Return when it ended: what speaks for it says so, or its pods have all ended."""
    speakers: tuple[tuple[str, Callable[[Entry], float | None]], ...] = (
        (WORKLOAD, lambda entry: kube.condition_time(entry.body, "Finished")),
        (JOBSET, lambda entry: _either(entry, "Completed", "Failed")),
        (VOLCANO, _volcano_end),
        (JOB, _batch_end),
        (POD, _pod_end),
    )
    for kind, end_of in speakers:
        some = gang.of(kind)
        ends = [one for entry in some if (one := end_of(entry)) is not None]
        if some and len(ends) == len(some):
            return max(ends)
        if some and kind in {JOBSET, VOLCANO, JOB}:
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


def size_of(gang: Gang) -> Request:
    """Return what it holds together, as declared, or as its pods held it at one time."""
    sizes: tuple[tuple[str, Callable[[Entry], Request]], ...] = (
        (WORKLOAD, _workload_size),
        (JOBSET, _jobset_size),
        (VOLCANO, _volcano_size),
        (JOB, lambda entry: _batch_size(entry.body.get("spec") or {})),
    )
    try:
        for kind, size_of in sizes:
            some = gang.of(kind)
            if some:
                counted = some[-1:] if kind == WORKLOAD else some
                return sum(map(size_of, counted), Request())
        if gang.of(POD):
            return _held(gang.of(POD))
        least = [values_of(gang, kind, "spec", "minResources") for kind in POD_GROUPS]
        spec: Mapping[str, Any] = next((one[0] for one in least if one), {})
        return kube.asked_by({"containers": [{"resources": {"requests": spec}}]})
    except ValueError as error:
        raise Unusable(Cause.BAD_SIZE, str(error)) from error


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


def values_of(gang: Gang, kind: str, part: str, name: str) -> list[Any]:
    """Return the values of a field, such as `spec` and `queue`, of its objects of a kind."""
    values = ((entry.body.get(part) or {}).get(name) for entry in gang.of(kind))
    return [value for value in values if value is not None]


def first_of(gang: Gang, kinds: Iterable[str], part: str, name: str) -> Any:
    """Return the first value of a field in its objects of these kinds; None when there is none."""
    return next((value for kind in kinds for value in values_of(gang, kind, part, name)), None)
