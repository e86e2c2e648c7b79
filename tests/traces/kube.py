"""Builders of Kubernetes objects as `kubectl get -o json` prints them, as small as they can be."""

import json

GPU = "nvidia.com/gpu"


def at(second):
    return f"2026-03-01T00:{second // 60:02d}:{second % 60:02d}Z"


def spec(gpus=0, cpu="1", **more):
    asked = {"cpu": cpu, **({GPU: str(gpus)} if gpus else {}), **more}
    container = {"name": "main", "image": "x", "resources": {"requests": asked, "limits": asked}}
    return {"containers": [container]}


def template(gpus=0, cpu="1", **more):
    return {"spec": {**spec(gpus, cpu, **more), "restartPolicy": "Never"}}


def thing(kind, version, name, made, *, owner=None, labels=None, annotations=None, **parts):
    meta = {
        "name": name,
        "namespace": "lab",
        "uid": f"{kind}-{name}",
        "creationTimestamp": at(made),
    }
    if owner:
        kind_of, version_of, name_of = owner
        reference = {"apiVersion": version_of, "kind": kind_of, "name": name_of}
        reference |= {"uid": f"{kind_of}-{name_of}", "controller": True}
        meta["ownerReferences"] = [reference]
    if labels:
        meta["labels"] = labels
    if annotations:
        meta["annotations"] = annotations
    return {"apiVersion": version, "kind": kind, "metadata": meta, **parts}


def pod(name, made, placed=None, ended=None, gpus=0, *, phase=None, cpu="1", more=None, **links):
    status = {"phase": phase or ("Succeeded" if ended else "Running" if placed else "Pending")}
    if placed is not None:
        status["startTime"] = at(placed)
        status["conditions"] = [condition("PodScheduled", placed)]
    if ended is not None:
        done = {"exitCode": 0, "startedAt": at(placed), "finishedAt": at(ended)}
        status["containerStatuses"] = [{"name": "main", "state": {"terminated": done}}]
    whole = {**spec(gpus, cpu, **(more or {})), "priority": 5}
    return thing("Pod", "v1", name, made, spec=whole, status=status, **links)


def condition(kind, when, status="True"):
    words = {"reason": kind, "message": kind}
    return {"type": kind, "status": status, "lastTransitionTime": at(when), **words}


def batch_job(name, made, started=None, ended=None, gpus=0, *, parallelism=1, **links):
    status = {}
    if started is not None:
        status["startTime"] = at(started)
    if ended is not None:
        status["completionTime"] = at(ended)
        status["conditions"] = [condition("Complete", ended)]
    body = {"parallelism": parallelism, "completions": parallelism, "template": template(gpus)}
    body["activeDeadlineSeconds"] = 3600
    return thing("Job", "batch/v1", name, made, spec=body, status=status, **links)


def volcano_job(name, made, ran=None, ended=None, *, workers=2, gpus=8, phase="Completed", retry=0):
    tasks = [
        {"name": "master", "replicas": 1, "template": template(gpus)},
        {"name": "worker", "replicas": workers, "template": template(gpus)},
    ]
    status = {"state": {"phase": "Running", "lastTransitionTime": at(made)}, "conditions": []}
    if ran is not None:
        status["conditions"].append({"status": "Running", "lastTransitionTime": at(ran)})
    if ended is not None:
        status["state"] = {"phase": phase, "lastTransitionTime": at(ended)}
    if retry:
        status["retryCount"] = retry
    body = {"minAvailable": workers + 1, "queue": "research", "tasks": tasks}
    return thing("Job", "batch.volcano.sh/v1alpha1", name, made, spec=body, status=status)


def pod_group(name, made, *, queue="research", owner=None, minimum=None):
    body = {"minMember": 2, "queue": queue}
    if minimum:
        body["minResources"] = minimum
    return thing("PodGroup", "scheduling.volcano.sh/v1beta1", name, made, owner=owner, spec=body)


def job_set(name, made, resumed=None, ended=None, *, replicas=2, parallelism=4, gpus=8, restarts=0):
    job = {"template": {"spec": {"parallelism": parallelism, "template": template(gpus)}}}
    jobs = [{"name": "workers", "replicas": replicas, "template": job["template"]}]
    conditions = []
    if resumed is not None:
        conditions.append(condition("Suspended", resumed, "False"))
    if ended is not None:
        conditions.append(condition("Completed", ended))
    status = {"conditions": conditions, "restarts": restarts}
    body = {"replicatedJobs": jobs}
    return thing("JobSet", "jobset.x-k8s.io/v1alpha2", name, made, spec=body, status=status)


def workload(name, made, admitted=None, ended=None, *, owner, count=2, gpus=8, evicted=0):
    conditions = []
    if admitted is not None:
        conditions += [condition("QuotaReserved", admitted), condition("Admitted", admitted)]
    if evicted:
        conditions.append(condition("Evicted", made + 1, "False"))
    if ended is not None:
        conditions.append(condition("Finished", ended))
    status = {"conditions": conditions}
    if admitted is not None:
        placed = [{"name": "main", "count": count}]
        status["admission"] = {"clusterQueue": "team-a", "podSetAssignments": placed}
    if evicted:
        counts = [{"reason": "Preempted", "underlyingCause": "", "count": evicted}]
        status["schedulingStats"] = {"evictions": counts}
    sets = [{"name": "main", "count": count, "template": template(gpus)}]
    body = {"queueName": "team-a-local", "podSets": sets, "priority": 7, "active": True}
    return thing(
        *("Workload", "kueue.x-k8s.io/v1beta2", name, made), owner=owner, spec=body, status=status
    )


def event(kind, version, name, reason, *, number=1):
    about = {"kind": kind, "apiVersion": version, "namespace": "lab", "name": name}
    return thing(
        *("Event", "v1", f"{name}.{number}", 0), involvedObject=about, reason=reason, message="x"
    )


def listed(*objects):
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}).encode()


def lines(*objects):
    return "\n".join(json.dumps(one) for one in objects).encode()
