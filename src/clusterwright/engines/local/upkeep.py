"""What a server makes ready on disk: directories, descriptions, and order after its forerunner."""

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clusterwright.engines.local import checks, orders, spool
from clusterwright.engines.local.agents import Agents
from clusterwright.engines.local.nodes import LocalNode
from clusterwright.engines.local.spool import Spool
from clusterwright.engines.protocol import End, Launch

RETIRE_PATIENCE_S = 5.0
"""How long an agent that is not wanted any more may take to leave."""


def describe_nodes(
    place: Spool, nodes: Mapping[str, LocalNode], tag: str, *, cgroups: bool, private: str
) -> None:
    """Write down for the agents what their nodes are, and which cores are whose."""
    own = sorted(os.sched_getaffinity(0))
    # Binding is for nodes whose cores are there; emulated ones may claim more than there are.
    binds = sum(node.num_cpus for node in nodes.values()) <= len(own)
    for node in nodes.values():
        for part in ("", "inbox", "mine"):
            (place.node(node.name) / part).mkdir(mode=0o700, exist_ok=True)
        cores, own = (own[: node.num_cpus], own[node.num_cpus :]) if binds else ([], own)
        about = {"tag": tag, "cores": cores, "cgroups": cgroups, "private": private}
        spool.write(place.node(node.name) / "node.json", about)


def clear_orphans(place: Spool, nodes: Mapping[str, LocalNode]) -> None:
    """Take away what a server left that died before it could give its order."""
    for node in nodes:
        for name in os.listdir(place.inbox(node)):  # noqa: PTH208 - hidden ones too: they hold secrets
            if name.startswith(".") or not place.order(name).exists():
                (place.inbox(node) / name).unlink(missing_ok=True)
    for name in spool.names(place.live):
        if not place.order(name).exists():
            (place.live / name).unlink(missing_ok=True)


def retire_others(place: Spool, nodes: Mapping[str, LocalNode], agents: Agents) -> None:
    """End agents of another version, or of nodes no longer ours, unless something runs there."""
    for node in spool.names(place.root / "nodes"):
        about = spool.read(place.node(node) / "agent.json") or {}
        strange = node not in nodes or about.get("version") != spool.VERSION
        if strange and not spool.names(place.mine(node)):
            agents.end(node, signal.SIGTERM)
            agents.await_end([node], RETIRE_PATIENCE_S)


def make_directories(place: Spool, name: str, order: Launch) -> None:
    """Make the directories of an attempt and of its job."""
    job = place.job(order.attempt.job_id)
    # One by one: `parents=True` would leave those above open to others.
    for directory in (job.parent, job, place.attempt(name), job / "work", job / "output"):
        directory.mkdir(mode=0o700, exist_ok=True)
    place.report(name).touch(0o600)  # its tasks see the file alone, so it must be there
    checkpoints = order.checkpoint_dir or str(job / "checkpoints")
    if "://" not in checkpoints:
        Path(checkpoints).mkdir(mode=0o700, parents=True, exist_ok=True)


def why_not(place: Spool, nodes: Sequence[str], agents: Mapping[str, str]) -> dict[str, Any] | None:
    """Return how an attempt ends that asks for nodes which take none now; None when all do."""
    down = [node for node in nodes if not agents[node]]
    drained = [node for node in nodes if (place.node(node) / "drained.json").exists()]
    words = [f"node {node} is down" for node in down]
    words += [f"node {node} is drained" for node in drained]
    faults = {node: checks.failed(place, node) for node in nodes if node not in drained}
    words += [f"node {node} takes no work: {fault}" for node, fault in faults.items() if fault]
    return orders.void(End.NODE_FAIL, "; ".join(words), down) if words else None
