"""Dumps of Kubernetes, with Volcano and Kueue, as jobs: a gang is one job.

Objects that belong together (by owner, pod group or label) are one job: it is submitted when the
first of them is made, starts when its first pod is placed, and ends when the object that speaks
for it says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from clusterwright.model.job import Job
from clusterwright.traces import kube_gangs as gangs
from clusterwright.traces import kube_objects as kube
from clusterwright.traces.kube_gangs import (
    EVENTS,
    JOB,
    JOBSET,
    NAMING,
    POD,
    POD_GROUPS,
    VOLCANO,
    WORKLOAD,
    Gang,
    Unusable,
)
from clusterwright.traces.kube_objects import Entry
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

_QUEUE_MARKS = (
    "kueue.x-k8s.io/queue-name",
    "scheduling.volcano.sh/queue-name",
    "volcano.sh/queue-name",
)


def read(text: str, file: str, how: Reading) -> Trace:
    """Return the jobs of a dump.

    Raises
    ------
    InvalidInput
        If it is no JSON.
    """
    ledger = Ledger(file)
    every = kube.entries(text, file, ledger)
    work = [entry for entry in every if entry.kind in NAMING]
    events = [entry for entry in every if entry.kind in EVENTS]
    for entry in every:
        if entry.kind not in NAMING and entry.kind not in EVENTS:
            ledger.no_job(entry.kind)
    found: list[Job] = []
    for gang in gangs.gangs_of(work):
        head = gang.head
        at = Place(path=f"{head.namespace}/{head.name}")
        for kind, some in gang.members.items():
            ledger.no_job(f"{kind} of a gang", len(some) - (head in some))
        try:
            found.append(_job(gang, at, how, ledger))
        except Unusable as reason:
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


def _job(gang: Gang, at: Place, how: Reading, ledger: Ledger) -> Job:
    made = [kube.moment(entry.body["metadata"].get("creationTimestamp")) for entry in gang.every]
    known = [one for one in made if one is not None]
    if not known:
        raise Unusable(Cause.BAD_TIME, "metadata.creationTimestamp is absent")
    start = gangs.start_s(gang)
    if start is None:
        raise Unusable(Cause.NEVER_STARTED, "no pod of it was placed, and nothing was admitted")
    end = gangs.end_s(gang)
    if end is None:
        raise Unusable(Cause.STILL_RUNNING, "has not finished")
    if end < start:
        message = f"ends {start - end:g} s before it starts"
        raise Unusable(Cause.UNKNOWN_DURATION, message)
    request = gangs.size_of(gang)
    if request.uncounted:
        message = f"{request.uncounted}: how much of an accelerator that is, is not told"
        raise Unusable(Cause.UNKNOWN_SIZE, message)
    if not all(0 <= one < math.inf for one in (request.num_gpus_ratio, request.num_cores_ratio)):
        raise Unusable(Cause.BAD_SIZE, "asks for less than nothing, or without end")
    cores = math.ceil(round(request.num_cores_ratio, 6))
    if not request.num_gpus_ratio and not cores:
        raise Unusable(Cause.NO_SIZE, "asks for neither accelerators nor cores")
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
    limits = [*gangs.values_of(gang, JOB, "spec", "activeDeadlineSeconds")]
    limits += gangs.values_of(gang, WORKLOAD, "spec", "maximumExecutionTimeSeconds")
    return Job(
        job_id=f"{gang.head.namespace}/{gang.head.name}",
        queue=_queue(gang, how),
        user=gang.head.namespace,
        submit_s=submit,
        duration_s=end - start,
        num_gpus_ratio=request.num_gpus_ratio,
        num_cpus=cores,
        priority=int(gangs.first_of(gang, (WORKLOAD, POD), "spec", "priority") or 0),
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


def _queue(gang: Gang, how: Reading) -> str:
    if how.queue_from == "namespace":
        return gang.head.namespace
    for status in gangs.values_of(gang, WORKLOAD, "status", "admission"):
        if status.get("clusterQueue"):
            return str(status["clusterQueue"])
    told = gangs.first_of(gang, (WORKLOAD,), "spec", "queueName")
    told = told or gangs.first_of(gang, (VOLCANO, *POD_GROUPS), "spec", "queue")
    marks = (gangs.mark_of(entry, mark) for mark in _QUEUE_MARKS for entry in gang.every)
    return str(told or next(filter(None, marks), "") or how.queue)


def _times_again(gang: Gang) -> int:
    evicted = sum(
        int(one.get("count", 0))
        for stats in gangs.values_of(gang, WORKLOAD, "status", "schedulingStats")
        for one in stats.get("evictions") or ()
    )
    retries = gangs.values_of(gang, VOLCANO, "status", "retryCount")
    restarts = gangs.values_of(gang, JOBSET, "status", "restarts")
    return evicted + sum(map(int, [*restarts, *retries]))


def _tell_events(events: Sequence[Entry], work: Sequence[Entry], ledger: Ledger) -> None:
    """Count events, and drop what there are events of alone: they do not say what it asks for."""
    known = {entry.key for entry in work}
    for event in events:
        told = event.body.get("involvedObject") or event.body.get("regarding")
        about = told if isinstance(told, Mapping) else {}
        kind = kube.kind_of(str(about.get("kind")), str(about.get("apiVersion", "")))
        key = f"{kind}/{about.get('namespace', '')}/{about.get('name')}"
        if kind not in NAMING or key in known:
            ledger.no_job("event")
            continue
        known.add(key)
        message = f"the dump has events of the {kind} but not itself, so not what it asks for"
        at = Place(path=f"{about.get('namespace', '')}/{about.get('name')}")
        ledger.drop(Cause.ONLY_EVENTS, message, at)
