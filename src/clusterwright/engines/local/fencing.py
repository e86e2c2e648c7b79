"""Fencing from the server's side: what is left of an attempt ends, and nothing of it can begin."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clusterwright.engines.local import cgroups, orders, processes, spool
from clusterwright.engines.local.agents import Agents
from clusterwright.engines.local.spool import Spool
from clusterwright.engines.protocol import Attempt, End


def order_of(place: Spool, name: str) -> dict[str, Any] | None:
    """Return the order of an attempt; None where there is none yet.

    One that a crash of the machine tore is void: nobody started anything by it after that.
    """
    found = spool.read(place.order(name))
    if found is None and place.order(name).exists():
        job_id, _, number = name.rpartition(".")
        return _void(Attempt(job_id, int(number)), End.NODE_FAIL, "the machine itself crashed")
    return found


def bury(place: Spool, attempt: Attempt, name: str) -> None:
    """Put a void order where a launch would put its own: the first one stands."""
    place.attempt(name).mkdir(mode=0o700, parents=True, exist_ok=True)
    (place.live / name).touch(0o600)
    spool.create(
        place.order(name), _void(attempt, End.NOT_STARTED, "fenced before it was launched")
    )
    spool.settle(place.order(name))


def _void(attempt: Attempt, end: End, why: str) -> dict[str, Any]:
    return {
        "attempt": {"job_id": attempt.job_id, "number": attempt.number},
        "void": orders.void(end, why),
        "nodes": {},
        "agents": {},
    }


def end_part(place: Spool, agents: Agents, order: Mapping[str, Any], node: str) -> bool:
    """End an attempt's part of a node; return True once nothing of it can run any more.

    A part that its agent has begun is ended by that agent while it lives, and from here once it is
    dead: nobody else may begin it then.
    """
    name = f"{order['attempt']['job_id']}.{order['attempt']['number']}"
    # Asked before the status is read: what the dead left is final.
    lives = agents.alive(order["agents"][node])
    status = spool.read(place.status(name, node)) or {}
    if status.get("phase") == "ended":
        return True
    over = {**status, "phase": "ended", "lost": not lives, "ended_s": time.time()}
    if _nobody_began(place, name, node):
        (place.inbox(node) / name).unlink(missing_ok=True)
        spool.write(place.status(name, node), over)
        return True
    if lives or not _end_left(place, order, name, node, status):
        return False
    spool.write(place.status(name, node), over)
    return True


def _nobody_began(place: Spool, name: str, node: str) -> bool:
    """Claim a part for nobody; False when its agent was first."""
    claim = place.claim(name, node)
    return spool.create(claim, {"agent": ""}) or (spool.read(claim) or {}).get("agent") == ""


def _end_left(
    place: Spool, order: Mapping[str, Any], name: str, node: str, status: Mapping[str, Any]
) -> bool:
    """End what a dead agent's tasks left running; return True when there is nothing any more."""
    about = spool.read(place.node(node) / "agent.json") or {}
    group = cgroups.Group(Path(about["cgroup"]) / name) if about.get("cgroup") else None
    members = []
    if group is not None:
        group.kill()
        members = group.members()
    leaders = [(pid, start) for pid, start in status.get("tasks", ())]
    marks = orders.marks(order["env"]["CLUSTERWRIGHT_ENGINE"], name, node)
    if not processes.end(leaders, marks, members, patience_s=0.5):
        return False
    if group is not None:
        group.remove()
    return True
