"""From the files of an attempt to what the engine sees of it."""

from collections.abc import Callable, Mapping
from typing import Any

from clusterwright.engines.local import checks, processes, spool
from clusterwright.engines.local.nodes import LocalNode
from clusterwright.engines.local.spool import Spool
from clusterwright.engines.protocol import Attempt, AttemptSeen, End, NodeSeen, Phase

ENDS = {
    "stopped": End.STOPPED,
    "failed": End.FAILED,
    "timeout": End.TIMEOUT,
    "not_started": End.NOT_STARTED,
    "node_fail": End.NODE_FAIL,
}
"""End by the cause that stands in `stop.json`."""


def see(
    place: Spool, name: str, order: Mapping[str, Any], alive: Callable[[str], bool]
) -> AttemptSeen:
    """Return what there is of an attempt.

    Parameters
    ----------
    place
        The spool.
    name
        The attempt.
    order
        Its order.
    alive
        Tells whether the agent of an identity lives.
    """
    attempt = Attempt(order["attempt"]["job_id"], order["attempt"]["number"])
    if order["void"] is not None:
        return _void(attempt, order)
    nodes = list(order["nodes"])
    # Who is dead is asked first: what the dead left written is then final.
    dead = [node for node in nodes if not alive(order["agents"][node])]
    parts = {node: spool.read(place.status(name, node)) or {} for node in nodes}
    over = {node for node, part in parts.items() if part.get("phase") == "ended"}
    stop = spool.read(place.stop(name)) or {}
    lost = tuple(
        node
        for node in nodes
        if parts[node].get("lost")
        or (node in dead and node not in over)
        or node in stop.get("nodes", ())
    )
    phase = _phase(place, name, nodes, over, dead, bool(stop))
    end = _end(parts, stop, lost) if phase is Phase.ENDED else None
    return AttemptSeen(
        attempt=attempt,
        phase=phase,
        end=end,
        message=_message(stop, lost, end),
        started_s=min(
            (part["started_s"] for part in parts.values() if part.get("started_s")), default=None
        ),
        ended_s=max(part["ended_s"] for part in parts.values()) if end else None,
        exit_codes=_codes(order, parts),
        nodes=tuple(nodes),
        lost_nodes=lost,
        cpu_s=_cpu_s(parts),
        peak_memory_bytes=_peak_memory_bytes(parts),
        energy_j=_energy_j(parts),
        beat_s=_beat_s(place, name),
    )


def _void(attempt: Attempt, order: Mapping[str, Any]) -> AttemptSeen:
    return AttemptSeen(
        attempt=attempt,
        phase=Phase.ENDED,
        end=End(order["void"]["end"]),
        message=order["void"]["message"],
        ended_s=order["void"]["ended_s"],
        nodes=tuple(order["nodes"]),
        lost_nodes=tuple(order["void"]["lost_nodes"]),
    )


def _phase(
    place: Spool, name: str, nodes: list[str], over: set[str], dead: list[str], stopping: bool
) -> Phase:
    if len(over) == len(nodes):
        return Phase.ENDED
    if set(dead) - over:
        return Phase.LOST
    if stopping:
        return Phase.STOPPING
    if any(place.claim(name, node).exists() for node in nodes):
        return Phase.RUNNING
    return Phase.PENDING


def _end(parts: Mapping[str, Any], stop: Mapping[str, Any], lost: tuple[str, ...]) -> End:
    if lost:
        return End.NODE_FAIL
    codes = [code for part in parts.values() for code in part.get("codes", ())]
    done = all(part.get("codes") for part in parts.values()) and not any(codes)
    # One that was through before anybody told it to stop has done all its work.
    if done and not any(part.get("warned") for part in parts.values()):
        return End.COMPLETED
    return ENDS[stop["cause"]] if stop else End.FAILED


def _message(stop: Mapping[str, Any], lost: tuple[str, ...], end: End | None) -> str:
    if lost:
        return f"lost {', '.join(lost)}"
    return "" if end is End.COMPLETED else str(stop.get("message", ""))


def _codes(order: Mapping[str, Any], parts: Mapping[str, Any]) -> tuple[int | None, ...]:
    codes: list[int | None] = []
    for node, own in order["nodes"].items():
        found = parts[node].get("codes") or []
        codes += [*found, *[None] * (len(own["tasks"]) - len(found))]
    return tuple(codes)


def see_node(place: Spool, node: LocalNode, *, up: bool) -> NodeSeen:
    """Return what there is of a node whose agent is there, or is not."""
    down = spool.read(place.node(node.name) / "down.json")
    drained = spool.read(place.node(node.name) / "drained.json")
    fault = checks.failed(place, node.name)
    reason = "" if up else "its agent died and is being started again"
    if down is not None and not up:
        reason = str(down.get("reason"))
    elif drained is not None:
        reason = str(drained.get("reason"))
    elif up:
        reason = fault
    return NodeSeen(
        name=node.name,
        up=up,
        drained=drained is not None or bool(fault),
        reason=reason,
        num_gpus=node.num_gpus,
        gpu_model=node.gpu_model,
        mig_profile=node.mig_profile,
        num_cpus=node.num_cpus,
        memory_bytes=node.memory_bytes,
    )


def running(part: Mapping[str, Any]) -> list[processes.Process]:
    """Return the tasks of a part that had not ended when its status was written."""
    if part.get("phase") == "ended":
        return []
    pairs = zip(part.get("tasks", ()), part.get("codes", ()), strict=True)
    return [(pid, start) for (pid, start), code in pairs if code is None]


def _cpu_s(parts: Mapping[str, Any]) -> float | None:
    found = [part for part in parts.values() if "cpu_s" in part]
    if not found:
        return None
    live = (processes.cpu_s(one) for part in found for one in running(part))
    return float(sum(part["cpu_s"] for part in found) + sum(live))


def _peak_memory_bytes(parts: Mapping[str, Any]) -> float | None:
    found = [part for part in parts.values() if "peak_memory_bytes" in part]
    live = [processes.peak_memory_bytes(one) for part in found for one in running(part)]
    peak = max([*live, *(part["peak_memory_bytes"] for part in found)], default=0)
    return float(peak) if peak else None


def _energy_j(parts: Mapping[str, Any]) -> float | None:
    found = [part.get("energy_j") for part in parts.values()]
    return sum(found) if found and all(one is not None for one in found) else None


def _beat_s(place: Spool, name: str) -> float | None:
    try:
        found = place.report(name).stat()
    except OSError:
        return None
    return found.st_mtime if found.st_size else None  # made ready, and nothing written yet
