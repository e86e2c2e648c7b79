"""From a job as its owner wrote it to jobs as the scheduler sees them, one for each array task."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.centre import Centre
from clusterwright.model.job import Job
from clusterwright.model.jobspec import JobSpec

MOST_TASKS = 10_000
"""Tasks that one array may have."""

_ARRAY = re.compile(
    r"(?P<ranges>\d+(?:-\d+(?::\d+)?)?(?:,\d+(?:-\d+(?::\d+)?)?)*)(?:%(?P<most>\d+))?"
)
_RESOURCES = re.compile(r"(?:(?P<model>[A-Za-z][\w.-]*):)?(?P<count>\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of an array."""

    numbers: tuple[int, ...]
    """Their numbers, in order."""
    at_once: int
    """How many may run at once; 0 for all."""


def completed(spec: JobSpec) -> JobSpec:
    """Return a job with its short forms written out.

    Raises
    ------
    InvalidInput
        If `resources` is no resource, or contradicts what stands beside it.
    """
    if spec.resources is None:
        return spec
    found = _RESOURCES.fullmatch(spec.resources)
    faults = []
    if found is None:
        faults.append(
            Fault(
                path="resources",
                message=f"{spec.resources!r} is not understood",
                remedy="write MODEL:COUNT or COUNT, as H100:8",
            )
        )
        raise InvalidInput(faults)
    count, model = float(found["count"]), found["model"]
    if spec.gpus_per_node_ratio not in (0.0, count):
        faults.append(_contradiction("gpus_per_node", spec.gpus_per_node_ratio))
    if model and spec.gpu_model not in (None, model):
        faults.append(_contradiction("gpu_model", spec.gpu_model))
    if faults:
        raise InvalidInput(faults)
    return replace(
        spec, resources=None, gpus_per_node_ratio=count, gpu_model=model or spec.gpu_model
    )


def tasks_of(array: str) -> Tasks:
    """Return the tasks of an array, as `0-99%10` or `1,3,7-9`.

    Raises
    ------
    InvalidInput
        If it is not understood, or has too many tasks.
    """
    found = _ARRAY.fullmatch(array)
    numbers: dict[int, None] = {}
    if found is not None:
        for part in found["ranges"].split(","):
            words = re.split("[-:]", part)
            first = int(words[0])
            last = int(words[1]) if len(words) > 1 else first
            step = int(words[2]) if len(words) > 2 else 1
            if step < 1 or (last - first) // step >= MOST_TASKS:
                break
            numbers.update(dict.fromkeys(range(first, last + 1, step)))
        else:
            if 0 < len(numbers) <= MOST_TASKS:
                return Tasks(tuple(sorted(numbers)), int(found["most"] or 0))
    message = f"{array!r} is no array of at most {MOST_TASKS:,} tasks"
    raise InvalidInput([Fault(path="array", message=message, remedy="write 0-99 or 0-99%10")])


def scheduled(
    spec: JobSpec, job_id: str, centre: Centre, *, submit_s: float, epoch_s: float, user: str
) -> Job:
    """Return a job as the scheduler sees it.

    Parameters
    ----------
    spec
        The job with its short forms written out.
    job_id
        Its id.
    centre
        Gives the time limit where the job states none.
    submit_s
        When it was submitted, in seconds since 1970.
    epoch_s
        Zero of the scheduler's time, likewise.
    user
        Who submitted it.
    """
    limit_s = centre.time_limit_s if spec.time_limit_s is None else spec.time_limit_s
    gpus = spec.devices_per_node_ratio
    start_after = None if spec.start_after is None else _moment(spec.start_after) - epoch_s
    least = None
    if spec.min_nodes is not None and spec.min_nodes < spec.num_nodes:
        least = spec.min_nodes * (gpus or spec.num_cpus_per_node)
    return Job(
        job_id=job_id,
        queue=spec.queue,
        user=user,
        project=spec.project,
        submit_s=submit_s - epoch_s,
        # Nobody knows how long it will run; what the scheduler counts on is its limit.
        duration_s=limit_s,
        time_limit_s=limit_s,
        num_gpus_ratio=gpus * spec.num_nodes,
        num_cpus=spec.num_cpus_per_node * spec.num_nodes,
        num_nodes=spec.num_nodes if gpus >= 1 or not gpus else 0,
        memory_bytes=(spec.memory_per_node_bytes or 0.0) * spec.num_nodes,
        gpu_models=kinds_for(spec, centre),
        priority=spec.priority,
        checkpoint_interval_s=spec.checkpoint.every_s,
        preemptible=spec.preemptible,
        start_after_s=start_after,
        deadline_s=None if spec.deadline is None else _moment(spec.deadline) - epoch_s,
        depends_on=spec.depends_on,
        held=spec.hold,
        topology=spec.topology,
        min_gpus_ratio=least,
    )


def kinds_for(spec: JobSpec, centre: Centre) -> tuple[str, ...]:
    """Return the kinds of accelerators that a job may run on; empty for any.

    Where some are cut into slices, a job that asks for none may run on the whole ones alone.
    """
    if not any(group.mig_profile for group in centre.nodes):
        return (spec.gpu_model,) if spec.gpu_model else ()
    found = [
        group.gpu_kind
        for group in centre.nodes
        if group.mig_profile == (spec.mig_profile or "")
        and spec.gpu_model in (None, "", group.gpu_model)
    ]
    nowhere = f"slices {spec.mig_profile}" if spec.mig_profile else "whole accelerators"
    return tuple(dict.fromkeys(found)) or (nowhere,)


def faults_of(spec: JobSpec, centre: Centre) -> Sequence[Fault]:
    """Return what about a job this centre cannot take, beyond what a job knows of itself."""
    faults = []
    above = {one.parent for one in centre.queues}
    queues = [one.queue for one in centre.queues if one.queue not in above]
    if spec.queue not in queues:
        faults.append(
            Fault(
                path="queue",
                message=f"{spec.queue!r} is not a queue that takes jobs",
                remedy=f"write one of: {', '.join(queues)}",
            )
        )
    for path, text in (("start_after", spec.start_after), ("deadline", spec.deadline)):
        if text is None:
            continue
        try:
            _moment(text)
        except ValueError:
            remedy = "write a time with its offset, as 2026-11-25T18:00:00Z"
            faults.append(Fault(path=path, message=f"{text!r} is no time", remedy=remedy))
    faults += [
        Fault(path=path, message=f"{what} in a running centre yet", remedy="leave it out")
        for path, asked, what in (
            ("image", spec.image, "container images are not run"),
            ("data.inputs", spec.data.inputs, "data are not staged"),
            ("data.outputs", spec.data.outputs, "data are not kept elsewhere"),
        )
        if asked
    ]
    faults += _slice_faults(spec, centre)
    if 0 < spec.gpus_per_node_ratio < 1 and spec.num_nodes > 1:
        faults.append(
            Fault(
                path="nodes",
                message="a share of an accelerator is on one node",
                remedy="write nodes: 1, or whole accelerators",
            )
        )
    return faults


def _slice_faults(spec: JobSpec, centre: Centre) -> Iterator[Fault]:
    """Yield what about slices of accelerators this centre does not have."""
    profiles = dict.fromkeys(group.mig_profile for group in centre.nodes if group.mig_profile)
    some = f"write one of: {', '.join(profiles)}"
    if spec.mig_profile is not None and spec.mig_profile not in profiles:
        message = f"no node has slices {spec.mig_profile}"
        remedy = some if profiles else "ask for gpus_per_node"
        yield Fault(path="mig_profile", message=message, remedy=remedy)
    if spec.gpus_per_node_ratio and all(group.mig_profile for group in centre.nodes):
        message = "all accelerators here are cut into slices"
        yield Fault(path="gpus_per_node", message=message, remedy=f"for mig_profile {some}")


def _contradiction(path: str, value: object) -> Fault:
    return Fault(
        path=path, message=f"{value!r} contradicts resources", remedy="write only one of the two"
    )


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        msg = "no offset"
        raise ValueError(msg)
    return moment.timestamp()
