"""Dumps of Kubernetes, Volcano and Kueue: which objects are one job, its size and its times."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from tests.traces.kube import (
    GPU,
    batch_job,
    event,
    job_set,
    lines,
    listed,
    pod,
    pod_group,
    volcano_job,
    workload,
)

from clusterwright import traces
from clusterwright.errors import InvalidInput

SCHEMAS = Path(__file__).parents[3] / "shared" / "reference" / "crds"
BATCH, JOBSET = ("Job", "batch/v1"), ("JobSet", "jobset.x-k8s.io/v1alpha2")


def read(*objects, **options):
    return traces.read_trace(listed(*objects), file="k.json", **options)


def only(*objects, **options):
    found = read(*objects, **options)
    assert len(found.jobs) == 1, found.dropped
    assert found.num_rows == len(objects)
    return found.jobs[0]


GANGS = {
    "a pod by itself": ([pod("a", 0, 5, 65, gpus=2)], (2, 60, "all")),
    "the pods of a Job": (
        [
            batch_job("a", 0, 1, 70, gpus=8, parallelism=2),
            pod("a-0", 1, 10, 68, gpus=8, owner=(*BATCH, "a")),
            pod("a-1", 1, 10, 69, gpus=8, owner=(*BATCH, "a")),
        ],
        (16, 60, "all"),
    ),
    "a Job without its pods": ([batch_job("a", 0, 5, 65, gpus=8, parallelism=4)], (32, 60, "all")),
    "pods of a Job that is gone": (
        [pod(f"a-{n}", 0, 5, 65, gpus=8, owner=(*BATCH, "a")) for n in range(3)],
        (24, 60, "all"),
    ),
    "a pod that took another's place": (
        [
            pod("a-0", 0, 5, 30, gpus=8, phase="Failed", owner=(*BATCH, "a")),
            pod("a-1", 31, 35, 65, gpus=8, owner=(*BATCH, "a")),
        ],
        (8, 60, "all"),
    ),
    "a Volcano Job with its pod group": (
        [
            volcano_job("v", 0, 5, 65),
            pod_group("v-1", 0, owner=("Job", "batch.volcano.sh/v1alpha1", "v")),
        ],
        (24, 60, "research"),
    ),
    "pods of a Volcano pod group": (
        [
            pod_group("g", 0),
            *(
                pod(f"p{n}", 0, 5, 65, gpus=4, annotations={"scheduling.k8s.io/group-name": "g"})
                for n in range(2)
            ),
        ],
        (8, 60, "research"),
    ),
    "a JobSet with its Jobs and pods": (
        [
            job_set("s", 0, 4, 65),
            *(batch_job(f"s-{n}", 0, 1, 60, 8, owner=(*JOBSET, "s")) for n in range(2)),
            pod("s-0-0", 1, 5, 60, gpus=8, labels={"jobset.sigs.k8s.io/jobset-name": "s"}),
        ],
        (64, 60, "all"),
    ),
    "a JobSet alone": ([job_set("s", 0, 5, 65)], (64, 60, "all")),
    "a Workload of Kueue with its Job": (
        [
            batch_job("a", 0, 5, 66, gpus=8, parallelism=2),
            workload("job-a", 1, 5, 65, owner=(*BATCH, "a")),
        ],
        (16, 60, "team-a"),
    ),
    "a Workload alone": ([workload("w", 0, 5, 65, owner=(*BATCH, "gone"))], (16, 60, "team-a")),
    "a queue by its label": (
        [pod("a", 0, 5, 65, gpus=1, labels={"kueue.x-k8s.io/queue-name": "q"})],
        (1, 60, "q"),
    ),
    "MIG instances": (
        [pod("a", 0, 5, 65, more={"nvidia.com/mig-3g.40gb": "1"})],
        (3 / 7, 60, "all"),
    ),
    "another vendor's accelerators": (
        [pod("a", 0, 5, 65, more={"amd.com/gpu": 4})],
        (4, 60, "all"),
    ),
}


@pytest.mark.parametrize("case", GANGS)
def test_objects_that_belong_together_are_one_job(case):
    objects, (gpus, duration_s, queue) = GANGS[case]
    job = only(*objects)
    assert job.num_gpus_ratio == pytest.approx(gpus)
    assert (job.duration_s, job.queue) == (duration_s, queue)


def test_pods_of_a_deployment_are_jobs_of_their_own():
    owner = ("ReplicaSet", "apps/v1", "web")
    found = read(pod("a", 0, 5, 65, gpus=1, owner=owner), pod("b", 0, 5, 65, gpus=1, owner=owner))
    assert [job.job_id for job in found.jobs] == ["lab/a", "lab/b"]


DROPPED = {
    "a pod that waits": (pod("x", 0, gpus=1), "NEVER_STARTED"),
    "a pod that runs": (pod("x", 0, 5, gpus=1), "STILL_RUNNING"),
    "a Workload that was not admitted": (workload("x", 0, owner=(*BATCH, "b")), "NEVER_STARTED"),
    "a Volcano Job that runs": (volcano_job("x", 0, 5), "STILL_RUNNING"),
    "a share of an accelerator": (
        pod("x", 0, 5, 65, more={"nvidia.com/gpu.shared": "1"}),
        "UNKNOWN_SIZE",
    ),
    "a profile that nobody knows": (
        pod("x", 0, 5, 65, more={"nvidia.com/mig-9g.999gb": "1"}),
        "UNKNOWN_SIZE",
    ),
    "nothing asked for": (pod("x", 0, 5, 65, cpu="0"), "NO_SIZE"),
    "a quantity that is none": (pod("x", 0, 5, 65, cpu="many"), "BAD_SIZE"),
    "events without their object": (event("Pod", "v1", "x", "Scheduled"), "ONLY_EVENTS"),
    "an end before the start": (pod("x", 0, 60, 30, gpus=1), "UNKNOWN_DURATION"),
    "an object without a name": ({"kind": "Pod", "apiVersion": "v1"}, "MALFORMED"),
}


@pytest.mark.parametrize("case", DROPPED)
def test_what_is_no_finished_job_is_dropped_with_its_cause(case):
    thing, cause = DROPPED[case]
    found = read(thing, pod("good", 0, 5, 65, gpus=1))
    assert found.num_dropped_by_cause == {cause: 1}
    assert [job.job_id for job in found.jobs] == ["lab/good"]
    assert found.num_rows == 2


REPAIRED = {
    "evicted and run again": (workload("x", 0, 5, 65, owner=(*BATCH, "b"), evicted=2), "RUN_AGAIN"),
    "a JobSet that restarted": (job_set("x", 0, 5, 65, restarts=1), "RUN_AGAIN"),
    "a Volcano Job that retried": (volcano_job("x", 0, 5, 65, retry=1), "RUN_AGAIN"),
    "placed before it was made": (pod("x", 10, 5, 65, gpus=1), "NEGATIVE_WAIT"),
    "part of a core": (pod("x", 0, 5, 65, cpu="1500m"), "CORES_ROUNDED"),
}


@pytest.mark.parametrize("case", REPAIRED)
def test_what_can_be_mended_is_used_and_told(case):
    thing, cause = REPAIRED[case]
    found = read(thing)
    assert found.num_repaired_by_cause == {cause: 1}
    assert found.jobs[0].duration_s == 60


def test_init_containers_and_sidecars_count_as_the_scheduler_counts_them():
    thing = pod("a", 0, 5, 65, gpus=1, cpu="2")
    first = {"name": "i", "resources": {"requests": {"cpu": "6"}}}
    beside = {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}
    thing["spec"]["initContainers"] = [beside, first]
    thing["spec"]["overhead"] = {"cpu": "1"}
    assert only(thing).num_cpus == 8  # the init container beside the sidecar, and the overhead
    assert only(thing).priority == 5


def test_a_watch_is_read_to_the_last_version_of_each_object():
    waits, runs, ended = pod("a", 0), pod("a", 0, 5, gpus=1), pod("a", 0, 5, 65, gpus=1)
    gone = pod("b", 0, 5, gpus=1)
    gone["metadata"]["deletionTimestamp"] = "2026-03-01T00:00:35Z"
    changes = [("ADDED", waits), ("MODIFIED", runs), ("MODIFIED", ended), ("DELETED", gone)]
    changes.append(("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "1"}}))
    stream = lines(*({"type": change, "object": thing} for change, thing in changes))
    found = traces.read_trace(stream, file="w.jsonl")
    assert [(job.job_id, job.duration_s) for job in found.jobs] == [("lab/a", 60), ("lab/b", 30)]
    assert found.num_not_jobs == {"watch event BOOKMARK": 1, "earlier version of an object": 2}
    assert found.num_rows == 5


def test_lists_without_kinds_several_documents_and_other_kinds_are_read():
    bare = {"kind": "PodList", "apiVersion": "v1", "items": [pod("a", 0, 5, 65, gpus=1)]}
    del bare["items"][0]["kind"], bare["items"][0]["apiVersion"]
    node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}}
    text = json.dumps(bare, indent=2).encode() + b"\n" + json.dumps([node]).encode()
    found = traces.read_trace(text, file="k")
    assert [job.job_id for job in found.jobs] == ["lab/a"]
    assert found.num_not_jobs == {"Node": 1}


def test_events_of_known_objects_are_counted_and_namespaces_may_be_queues():
    found = read(pod("a", 0, 5, 65, gpus=1), event("Pod", "v1", "a", "Started"))
    assert found.num_not_jobs == {"event": 1}
    assert only(pod("a", 0, 5, 65, gpus=1), queue_from="namespace").queue == "lab"


def test_an_object_made_again_under_its_name_is_another_job():
    first, second = pod("a", 0, 5, 65, gpus=1), pod("a", 100, 105, 165, gpus=1)
    second["metadata"]["uid"] = "another"
    found = read(first, second)
    assert [job.job_id for job in found.jobs] == ["lab/a", "lab/a.2"]
    assert found.num_repaired_by_cause == {"ID_REUSED": 1}


def test_text_that_is_no_json_is_refused_with_its_line():
    with pytest.raises(InvalidInput, match=r"k:2.*kubectl"):
        traces.read_trace(b'{"apiVersion": "v1", "kind": "Pod"}\n{"apiVersion"', file="k")


MADE = {
    "kueue/kueue.x-k8s.io_workloads.yaml": workload("w", 0, 5, 65, owner=(*BATCH, "b"), evicted=1),
    "volcano/batch.volcano.sh_jobs.yaml": volcano_job("v", 0, 5, 65, retry=1),
    "volcano/scheduling.volcano.sh_podgroups.yaml": pod_group("g", 0, minimum={GPU: 2}),
    "jobset/jobset.x-k8s.io_jobsets.yaml": job_set("s", 0, 5, 65),
}


@pytest.mark.skipif(
    not SCHEMAS.is_dir(), reason="the published schemas are not beside the repository (../shared)"
)
@pytest.mark.parametrize("schema", MADE)
def test_the_objects_of_these_tests_fit_the_published_schemas(schema):
    thing = MADE[schema]
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    versions = yaml.load((SCHEMAS / schema).read_text(), Loader=loader)["spec"]["versions"]
    version = thing["apiVersion"].partition("/")[2]
    found = next(one for one in versions if one["name"] == version)["schema"]["openAPIV3Schema"]
    for part in ("spec", "status"):
        if part in thing:
            shape = _strict(found["properties"][part])
            jsonschema.Draft202012Validator(shape).validate(thing[part])


def _strict(shape):
    """Return a schema that refuses unknown fields and takes integers where the server does."""
    if isinstance(shape, list):
        return [_strict(one) for one in shape]
    if not isinstance(shape, dict):
        return shape
    made = {key: _strict(one) for key, one in shape.items()}
    if made.pop("x-kubernetes-int-or-string", False):
        return {"type": ["integer", "string"]}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made
