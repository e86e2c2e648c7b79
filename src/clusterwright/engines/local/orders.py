"""From a launch to the order that agents carry out: words, environment of every rank, bounds."""

import re
import signal
import socket
import time
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from clusterwright.engines.local.nodes import LocalNode
from clusterwright.engines.local.spool import Spool
from clusterwright.engines.protocol import Attempt, End, Launch, Refused, Share
from clusterwright.errors import UnknownName

JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What ids of jobs look like: they are names of files here."""
PORTS = range(20000, 32768)
"""Below the ports that the kernel hands out by itself, so that it takes none away."""
HERE = "127.0.0.1"


def name_of(attempt: Attempt) -> str:
    """Return what an attempt is called in the spool.

    Raises
    ------
    Refused
        If its job has an id that is no name of a file.
    """
    if JOB_ID.fullmatch(attempt.job_id) is None or attempt.number < 1:
        message = f"attempt {attempt}: its id must be letters, digits, '.', '_' and '-', then ≥ 1"
        raise Refused(message)
    return str(attempt)


def signal_of(name: str) -> signal.Signals:
    """Return a signal by its name without `SIG`.

    Raises
    ------
    Refused
        If there is none of that name; near ones are offered.
    """
    try:
        return signal.Signals[f"SIG{name}"]
    except KeyError:
        known = [one.name.removeprefix("SIG") for one in signal.Signals]
        raise Refused(str(UnknownName.of("signal", name, known))) from None


def check(launch: Launch, nodes: Mapping[str, LocalNode]) -> None:
    """Raise `Refused`, with every fault, when a launch can never be carried out."""
    spec = launch.spec
    found = []
    if not launch.shares:
        found.append("no shares of nodes; this engine does not place, name the nodes")
    if len({share.node for share in launch.shares}) < len(launch.shares):
        found.append("a node is named twice; give each node one share")
    for share in launch.shares:
        found += _share_faults(share, nodes)
    if spec.image is not None:
        found.append(f"image {spec.image!r}: this engine runs no images; leave `image` out")
    if spec.workdir is not None and not spec.workdir.startswith("/"):
        found.append(f"workdir {spec.workdir!r} is not absolute; begin it with /")
    absent = sorted(set(spec.secrets) - set(launch.secrets))
    if absent:
        found.append(f"secrets without a value: {', '.join(absent)}")
    texts = {**launch.env, **launch.secrets}
    if any("\0" in text for text in texts.values()):
        found.append("a variable holds a NUL character; leave it out")
    if found:
        raise Refused(f"attempt {launch.attempt}: " + "; ".join(found))


def _share_faults(share: Share, nodes: Mapping[str, LocalNode]) -> list[str]:
    node = nodes.get(share.node)
    if node is None:
        return [str(UnknownName.of("node", share.node, nodes))]
    wrong = [gpu for gpu in share.gpus if not 0 <= gpu < node.num_gpus]
    return [f"node {node.name} has {node.num_gpus} accelerators, none is {wrong}"] if wrong else []


def order_of(
    launch: Launch,
    *,
    spool: Spool,
    nodes: Mapping[str, LocalNode],
    agents: Mapping[str, str],
    tag: str,
    port: int,
    kill_after_s: float,
) -> dict[str, Any]:
    """Return the order for all nodes of a launch, as a JSON document.

    Parameters
    ----------
    launch
        What is to run, and where.
    spool
        Where its files lie.
    nodes
        The engine's nodes by name.
    agents
        Identity of the agent of each node: no other may start its part.
    tag
        What names this engine among others of the machine.
    port
        Where its ranks meet.
    kill_after_s
        Time between TERM and KILL.
    """
    spec = launch.spec
    per_node = spec.num_tasks_per_node
    parts = {}
    for at, share in enumerate(launch.shares):
        env = _node_env(launch, share, nodes[share.node])
        tasks = [
            {
                "index": at * per_node + local,
                "rank": at * spec.ranks_per_node + local,
                "env": {**env, **_rank_env(launch, at, local, port)},
            }
            for local in range(per_node)
        ]
        parts[share.node] = {
            "num_cpus": share.num_cpus,
            "memory_bytes": share.memory_bytes,
            "devices": _whole_devices(share, nodes[share.node]),
            "tasks": tasks,
        }
    job = spool.job(launch.attempt.job_id)
    return {
        "attempt": {"job_id": launch.attempt.job_id, "number": launch.attempt.number},
        "void": None,
        "agents": dict(agents),
        "nodes": parts,
        "argv": _argv(spec.command, spec.args),
        "workdir": spec.workdir or str(job / "work"),
        # What the job's owner names is not among them: it might be another's.
        "shown": [str(job), str(spool.report(name_of(launch.attempt))), *launch.shown],
        "env": _common_env(launch, spool, tag),
        "launcher": spec.launcher,
        "ranks_per_task": spec.ranks_per_node // per_node,
        "port": port,
        "time_limit_s": launch.time_limit_s,
        "signal": spec.checkpoint.signal,
        "grace_s": spec.checkpoint.grace_s,
        "kill_after_s": kill_after_s,
    }


def void(end: End, message: str, lost_nodes: Sequence[str] = ()) -> dict[str, Any]:
    """Return why an order is void: it was never to be carried out, and ends as said."""
    return {
        "end": end.value,
        "message": message,
        "lost_nodes": list(lost_nodes),
        "ended_s": time.time(),
    }


def marks(tag: str, name: str, node: str) -> dict[str, str]:
    """Return what all processes of an attempt's part of a node bear in their environment."""
    return {
        "CLUSTERWRIGHT_ENGINE": tag,
        "CLUSTERWRIGHT_ATTEMPT": name,
        "CLUSTERWRIGHT_NODE": node,
    }


def free_port(name: str, taken: Collection[int]) -> int:
    """Return a port that nobody listens at and no other attempt was given.

    Raises
    ------
    OSError
        If there is none.
    """
    first = zlib.crc32(name.encode()) % len(PORTS)
    for offset in range(len(PORTS)):
        port = PORTS[(first + offset) % len(PORTS)]
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((HERE, port))
            except OSError:
                continue
            return port
    raise OSError("no free port for the ranks to meet at")


def _argv(command: str | Sequence[str], args: Sequence[str]) -> list[str]:
    # A text was written for a shell; the word after it is what the shell calls itself.
    if isinstance(command, str):
        return ["/bin/sh", "-c", command, "sh", *args]
    return [*command, *args]


def _common_env(launch: Launch, spool: Spool, tag: str) -> dict[str, str]:
    job = spool.job(launch.attempt.job_id)
    where = {
        "CLUSTERWRIGHT_DATA_DIR": str(job / "work"),
        "CLUSTERWRIGHT_OUTPUT_DIR": str(job / "output"),
    }
    ours = {
        "CLUSTERWRIGHT_JOB_ID": launch.attempt.job_id,
        "CLUSTERWRIGHT_ATTEMPT": str(launch.attempt),
        "CLUSTERWRIGHT_QUEUE": launch.spec.queue,
        "CLUSTERWRIGHT_NUM_NODES": str(len(launch.shares)),
        "CLUSTERWRIGHT_NODE_LIST": ",".join(share.node for share in launch.shares),
        "CLUSTERWRIGHT_CHECKPOINT_DIR": launch.checkpoint_dir or str(job / "checkpoints"),
        "CLUSTERWRIGHT_RESUME_FROM": launch.resume_from,
        "CLUSTERWRIGHT_REPORT": str(spool.report(str(launch.attempt))),
        "CLUSTERWRIGHT_ENGINE": tag,
    }
    return {**where, **launch.spec.env, **launch.env, **ours}


def _node_env(launch: Launch, share: Share, node: LocalNode) -> dict[str, str]:
    devices = (node.devices[gpu] if node.devices else str(gpu) for gpu in share.gpus)
    threads = max(1, share.num_cpus // launch.spec.num_tasks_per_node)
    env = {
        "CLUSTERWRIGHT_NODE": share.node,
        "CUDA_VISIBLE_DEVICES": ",".join(devices),
    }
    # How many threads a task starts is its owner's to say, unless he says nothing.
    return env if "OMP_NUM_THREADS" in launch.spec.env else {**env, "OMP_NUM_THREADS": str(threads)}


def _rank_env(launch: Launch, at: int, local: int, port: int) -> dict[str, str]:
    spec, num_nodes = launch.spec, len(launch.shares)
    per_node = spec.ranks_per_node
    if spec.launcher == "torchrun":
        return {
            "PET_NNODES": str(num_nodes),
            "PET_NPROC_PER_NODE": str(per_node),
            "PET_NODE_RANK": str(at),
            "PET_RDZV_ID": str(launch.attempt),
            "PET_RDZV_BACKEND": "c10d",
            "PET_RDZV_ENDPOINT": f"{HERE}:{port}",
            "PET_MAX_RESTARTS": "0",
        }
    return {
        "MASTER_ADDR": HERE,
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(num_nodes * per_node),
        "RANK": str(at * per_node + local),
        "LOCAL_RANK": str(local),
        "LOCAL_WORLD_SIZE": str(per_node),
        "NODE_RANK": str(at),
        "GROUP_RANK": str(at),
    }


def _whole_devices(share: Share, node: LocalNode) -> list[str]:
    """Return the devices whose energy is this attempt's alone."""
    if node.emulated or not node.devices or share.gpu_fraction < 1:
        return []
    found = [node.devices[gpu] for gpu in share.gpus]
    return found if all(uuid.startswith("GPU-") for uuid in found) else []
