"""What Slurm says and what lies on disk, as what the engine sees. Pure but for reading the disk."""

import signal
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, Final

from clusterwright.engines.protocol import AttemptSeen, End, NodeSeen, Phase, Share
from clusterwright.engines.slurm.rows import JobRow, NodeRow
from clusterwright.engines.slurm.spool import FENCED, Ending, Entry, RankEnding
from clusterwright.model.jobspec import MIG_PROFILE

WAITING: Final = frozenset(
    {
        *("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"),
        *("SPECIAL_EXIT", "RESV_DEL_HOLD"),
    }
)
"""States of a job that has started nothing."""
OVER: Final = frozenset(
    {
        *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL"),
        *("DEADLINE", "OUT_OF_MEMORY", "REVOKED"),
    }
)
"""States of a job that Slurm is through with, unless it is still COMPLETING."""
_NODE_LOST = frozenset({"NODE_FAIL", "BOOT_FAIL"})
_DOWN = frozenset({"DOWN", "ERROR"})
_ABSENT = frozenset({"UNKNOWN", "FUTURE"})
_CLOSED = {
    "DRAIN": "drained",
    "DRAINED": "drained",
    "DRAINING": "drained",
    "FAIL": "expected to fail",
    "FAILING": "expected to fail",
    "MAINT": "in a maintenance reservation",
    "MAINTENANCE": "in a maintenance reservation",
    "RESERVED": "reserved",
    "REBOOT": "about to be started anew",
    "REBOOT_REQUESTED": "about to be started anew",
    "NOT_RESPONDING": "does not answer slurmctld",
    "NO_RESPOND": "does not answer slurmctld",
}
"""States in which a node gets no new work, with words for one that nobody gave a reason for."""


def over(row: JobRow) -> bool:
    """Return whether Slurm is through with a job, the killing of its tasks included."""
    return bool(row.states & OVER) and "COMPLETING" not in row.states


def waiting(row: JobRow) -> bool:
    """Return whether a job has started nothing."""
    return bool(row.states & WAITING) and "COMPLETING" not in row.states


def is_down(row: NodeRow) -> bool:
    """Return whether Slurm has given a node up; one that is only UNKNOWN may yet answer."""
    return bool(row.states & _DOWN)


def node(row: NodeRow, models: Mapping[str, str]) -> NodeSeen:
    """Return a node as the protocol puts it.

    Parameters
    ----------
    row
        What Slurm says of it.
    models
        Model of an accelerator by its type in gres.conf.
    """
    closed = [words for state, words in _CLOSED.items() if state in row.states]
    down = is_down(row) or bool(row.states & _ABSENT)
    profile = row.gpu_type if MIG_PROFILE.fullmatch(row.gpu_type) else ""
    return NodeSeen(
        name=row.name,
        up=not down,
        drained=bool(closed),
        reason=row.reason or ("down" if down else "") or (closed[0] if closed else ""),
        num_gpus=row.num_gpus,
        gpu_model="" if profile else models.get(row.gpu_type, row.gpu_type),
        mig_profile=profile,
        num_cpus=row.num_cpus,
        memory_bytes=row.memory_bytes,
    )


def foreign(row: JobRow, nodes: Mapping[str, NodeRow]) -> tuple[Share, ...]:
    """Return what somebody else's job holds; whole nodes where Slurm does not tell."""
    if waiting(row) or over(row):
        return ()
    if row.shares:
        return row.shares
    return tuple(
        Share(
            node=name,
            gpus=tuple(range(nodes[name].num_gpus)),
            num_cpus=nodes[name].num_cpus,
            memory_bytes=nodes[name].memory_bytes,
        )
        for name in row.nodes
        if name in nodes
    )


def attempt(entry: Entry, row: JobRow | None, down: Collection[str]) -> AttemptSeen | None:
    """Return an attempt as it stands; None for one that was never submitted.

    Parameters
    ----------
    entry
        Its directory.
    row
        Its job in Slurm; None when Slurm does not know it (any more).
    down
        Nodes that are down.
    """
    kept = entry.noted("ended")
    if kept is not None:
        return restore(entry, kept)
    order = entry.noted("order") or {}
    nodes = entry.nodes or (row.nodes or row.asked_nodes if row else ())
    lost = tuple(name for name in nodes if name in down)
    facts: dict[str, Any] = {  # the fields that do not depend on how far it is
        "attempt": entry.attempt,
        "nodes": nodes,
        "beat_s": entry.beat_s,
        "started_s": row.start_s if row and not waiting(row) else None,
    }
    fenced = entry.noted("fenced")
    if fenced is not None or entry.holder == FENCED:
        return _fenced(facts, fenced or {}, row)
    ending = entry.ending
    if row is None and ending is None:
        return _forgotten(entry, facts, lost)
    if row is not None and not over(row):
        return _alive(entry, facts, row, lost)
    if ending is None and (lost or (row is not None and row.states & _NODE_LOST)):
        return AttemptSeen(**facts, phase=Phase.LOST, lost_nodes=lost, message=_lost(lost))
    if row is not None and row.states & _NODE_LOST and (ending is None or ending.code):
        return AttemptSeen(**facts, phase=Phase.LOST, lost_nodes=lost, message=_lost(lost))
    return _ended(entry, facts, row, int(order.get("num_tasks") or 0))


def keep(seen: AttemptSeen) -> dict[str, Any]:
    """Return the end of an attempt as facts to note: Slurm forgets it after some minutes."""
    return {key: value for key, value in asdict(seen).items() if key != "attempt"}


def restore(entry: Entry, kept: Mapping[str, Any]) -> AttemptSeen:
    """Return the end of an attempt from what was noted."""
    facts: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in kept.items()
    }
    facts |= {"phase": Phase(kept["phase"]), "end": End(kept["end"])}
    return AttemptSeen(attempt=entry.attempt, **facts)


def _fenced(facts: dict[str, Any], fenced: Mapping[str, Any], row: JobRow | None) -> AttemptSeen:
    lost = tuple(fenced.get("lost") or ())
    return AttemptSeen(
        **facts,
        phase=Phase.ENDED,
        end=End.NODE_FAIL if lost or fenced.get("node_fail") else End.STOPPED,
        lost_nodes=lost,
        ended_s=fenced.get("time_s") or (row.end_s if row else None),
        message=_lost(lost) if lost else "fenced",
    )


def _forgotten(entry: Entry, facts: dict[str, Any], lost: tuple[str, ...]) -> AttemptSeen | None:
    """Judge what Slurm does not know and what recorded no end."""
    if entry.slurm_id is None:
        return None
    if lost:
        return AttemptSeen(**facts, phase=Phase.LOST, lost_nodes=lost, message=_lost(lost))
    if entry.text("stop") is not None:
        return AttemptSeen(**facts, phase=Phase.ENDED, end=End.STOPPED, message="stopped")
    started = bool(entry.holder)
    message = (
        f"Slurm has forgotten job {entry.slurm_id}, and "
        + ("its batch script recorded no end: " if started else "it never started: ")
        + ("its first node must have been lost" if started else "somebody cancelled it")
    )
    end = End.NODE_FAIL if started else End.FAILED
    return AttemptSeen(**facts, phase=Phase.ENDED, end=end, message=message)


def _alive(entry: Entry, facts: dict[str, Any], row: JobRow, lost: tuple[str, ...]) -> AttemptSeen:
    if lost:
        return AttemptSeen(**facts, phase=Phase.LOST, lost_nodes=lost, message=_lost(lost))
    if waiting(row):
        waits = row.reason or "its turn"
        message = f"waits in Slurm (job {row.slurm_id}): {waits}"
        return AttemptSeen(**facts, phase=Phase.PENDING, message=message)
    stopping = entry.text("stop") is not None
    phase = Phase.STOPPING if stopping else Phase.RUNNING
    return AttemptSeen(**facts, phase=phase, message=f"job {row.slurm_id} in Slurm")


def _ended(entry: Entry, facts: dict[str, Any], row: JobRow | None, num_tasks: int) -> AttemptSeen:
    ending = entry.ending
    ranks = entry.ranks(num_tasks)
    codes: tuple[int | None, ...] = tuple(None if one is None else one.code for one in ranks)
    if num_tasks == 1 and ending is not None and codes == (None,) and ending.reason == "done":
        codes = (ending.code,)  # a batch script is its own only task
    end, message = _verdict(entry, row, ending, codes)
    return AttemptSeen(
        **facts,
        phase=Phase.ENDED,
        end=end,
        message=message,
        ended_s=row.end_s if row and row.end_s else ending.time_s if ending else None,
        exit_codes=codes,
        cpu_s=_cpu_s(ranks),
    )


def _verdict(
    entry: Entry, row: JobRow | None, ending: Ending | None, codes: tuple[int | None, ...]
) -> tuple[End, str]:
    """Return how an attempt ended: the batch script's word first, then Slurm's."""
    states = row.states if row else frozenset()
    stopped = entry.text("stop") is not None
    refused = entry.text("not_started")
    reason = ending.reason if ending else ""
    if reason == "timeout" or (reason != "stopped" and states & {"TIMEOUT", "DEADLINE"}):
        return End.TIMEOUT, "its time limit passed"
    if reason == "stopped" or (stopped and (reason == "killed" or "CANCELLED" in states)):
        return End.STOPPED, "stopped"
    if refused:
        return End.NOT_STARTED, refused
    if "PREEMPTED" in states:
        return End.NODE_FAIL, "Slurm gave its nodes to other work"
    if "OUT_OF_MEMORY" in states:
        return End.FAILED, "a task took more memory than it was given"
    if "CANCELLED" in states:
        return End.FAILED, "cancelled in Slurm by somebody else"
    if ending is not None and ending.code == 0 and reason == "done":
        return End.COMPLETED, ""
    if ending is None and "COMPLETED" in states:
        return End.COMPLETED, ""
    if not entry.holder:
        said = (entry.text("batch.out") or "its batch script could not begin").splitlines()[-1]
        return End.NOT_STARTED, said
    return End.FAILED, _blame(codes, ending)


def _blame(codes: tuple[int | None, ...], ending: Ending | None) -> str:
    """Name the task that failed: one that ended by itself before those that were killed for it."""
    bad = [(rank, code) for rank, code in enumerate(codes) if code]
    rank, code = min(bad, key=lambda one: one[1] < 0, default=(-1, ending.code if ending else 1))
    who = f"rank {rank}" if rank >= 0 else "it"
    if code >= 0:
        return f"{who} ended with {code}"
    try:
        return f"{who} was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"{who} was killed by signal {-code}"


def _cpu_s(ranks: tuple[RankEnding | None, ...]) -> float | None:
    known = [one.cpu_s for one in ranks if one is not None]
    return sum(known) if known else None


def _lost(lost: tuple[str, ...]) -> str:
    return f"lost {', '.join(lost)}" if lost else "a node of it was lost"
