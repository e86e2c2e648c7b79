"""What an order needs to know of the cluster: partition, type of accelerator, address, limits."""

import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clusterwright.engines.protocol import Launch, Refused
from clusterwright.engines.slurm.render import Place
from clusterwright.engines.slurm.rows import NodeRow
from clusterwright.engines.slurm.settings import Settings
from clusterwright.engines.slurm.spool import Entry, Spool
from clusterwright.errors import nearest

_LOOPBACK = "127."


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the cluster holds tasks to."""

    memory: bool
    """True when a task cannot take more memory than its job was given."""
    devices: bool
    """True when a task cannot reach accelerators that are not its job's."""


def limits(config: str) -> Limits:
    """Return what `scontrol show config` says of limits; it has no JSON in any version."""
    words = dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", config, flags=re.MULTILINE))
    confined = "cgroup" in words.get("TaskPlugin", "")
    return Limits(
        memory=confined and words.get("ConstrainRAMSpace", "").lower() == "yes",
        devices=confined and words.get("ConstrainDevices", "").lower() == "yes",
    )


def emulates(nodes: Sequence[NodeRow]) -> bool:
    """Return whether every node is a daemon on this very machine.

    A loopback address alone could be that of a machine, or a container, with all of the cluster
    on it and us elsewhere; its name then is another.
    """
    here = socket.gethostname().partition(".")[0]
    return bool(nodes) and all(
        row.address.startswith(_LOOPBACK) and row.hostname.partition(".")[0] == here
        for row in nodes
    )


def place(
    order: Launch, entry: Entry, settings: Settings, spool: Spool, nodes: Sequence[NodeRow]
) -> Place:
    """Return where an attempt goes.

    Raises
    ------
    Refused
        If it must have a node or an accelerator that the cluster has not.
    """
    spec = order.spec
    unknown = sorted({share.node for share in order.shares} - {row.name for row in nodes})
    if unknown:
        msg = f"{order.attempt}: the cluster has no node {', '.join(unknown)}"
        raise Refused(msg)
    return Place(
        directory=str(entry.path),
        changed=str(spool.changed),
        workdir=spec.workdir or str(spool.workdir(order.attempt.job_id)),
        partition=_partition(order, settings, nodes),
        account=settings.accounts.get(spec.project, ""),
        qos=settings.qos.get(spec.queue, ""),
        gpu_type=_gpu_type(order, settings, nodes),
        address="127.0.0.1" if emulates(nodes) else "",
        # Secrets are gone once the first start has read them, so that a second one needs an order.
        requeue=settings.delegate and spec.retry.max > 0 and not order.secrets,
    )


def order_facts(order: Launch) -> dict[str, Any]:
    """Return what must be known of an order when its attempt is observed."""
    spec, nodes = order.spec, [share.node for share in order.shares]
    tasks = (len(nodes) or spec.num_nodes) * spec.num_tasks_per_node
    return {
        "nodes": nodes,
        "num_tasks": 1 if spec.launcher == "batch" else tasks,
        "ranks_per_task": spec.ranks_per_node if spec.launcher == "torchrun" else 1,
    }


def _partition(order: Launch, settings: Settings, nodes: Iterable[NodeRow]) -> str:
    """Return the partition of a queue: as told, else of its own name if that has the nodes."""
    queue = order.spec.queue
    if queue in settings.partitions:
        return settings.partitions[queue]
    wanted = {share.node for share in order.shares}
    has = {row.name for row in nodes if queue in row.partitions}
    return queue if has and wanted <= has else ""


def _gpu_type(order: Launch, settings: Settings, nodes: Sequence[NodeRow]) -> str:
    """Return the type that gres.conf has for a model; none is asked for on nodes that are told."""
    model = order.spec.gpu_model
    if order.shares or model is None or not order.spec.gpus_per_node_ratio:
        return ""
    types = sorted({row.gpu_type for row in nodes if row.gpu_type})
    for kind in types:
        if model.lower() in {settings.gpu_models.get(kind, kind).lower(), kind.lower()}:
            return kind
    for kind in types:  # h100 of H100-SXM5-80GB
        if kind not in settings.gpu_models and kind.lower() in model.lower().split("-"):
            return kind
    hints = nearest(model, types) or types
    msg = (
        f"{order.attempt}: gpu_model: no node has {model!r}; "
        f"the cluster has {', '.join(hints) or 'no accelerator'}. Name one of them, or say in the "
        "engine's gpu_models which type is which model."
    )
    raise Refused(msg)
