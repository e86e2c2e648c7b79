"""What squeue, sinfo and sacct print as JSON, as rows; of 22.05 and of newer Slurms.

Numbers come plain or as `{set, infinite, number}`, states as a word or as a list with flags,
allocations under three shapes. Nothing is decided here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusterwright.engines.protocol import Share
from clusterwright.model import slurm
from clusterwright.units import Bytes, Seconds, parse

# Any throughout: what another program prints holds whatever it holds.
_Json = Mapping[str, Any]

MEBIBYTE_BYTES = parse("1 MiB", Bytes)
"""Slurm counts memory in these."""

_GRES = re.compile(r"(?:gres[:/])?gpu(?::([^:(,]+))??(?::(\d+))?(?:\(([^)]*)\))?")
_INDEX = re.compile(r"IDX:([0-9,-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job of the queue, or of the accounts."""

    slurm_id: int
    """Its number in Slurm."""
    comment: str
    """Words that it was submitted with."""
    states: frozenset[str]
    """Its state and the flags beside it, in capitals."""
    reason: str
    """Why it waits; empty for nothing to say."""
    nodes: tuple[str, ...]
    """Nodes that it has or had, in Slurm's order."""
    asked_nodes: tuple[str, ...]
    """Nodes that it must have."""
    start_s: Seconds | None
    """When it began; absent before."""
    end_s: Seconds | None
    """When it ended, or will at the latest; absent when unknown."""
    status: int | None
    """Exit status of its batch script as `wait` returns it; absent when unknown."""
    output: str
    """File that its batch script prints to."""
    shares: tuple[Share, ...]
    """What it has of each node; empty while it waits and where Slurm does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """A node of the cluster."""

    name: str
    """Its name."""
    states: frozenset[str]
    """Its state and the flags beside it, in capitals."""
    reason: str
    """Why it is down or drained, in the words of who did it."""
    address: str
    """Where slurmctld reaches it."""
    hostname: str
    """What the machine calls itself."""
    boot_s: Seconds | None
    """When the machine was started; absent when unknown."""
    partitions: tuple[str, ...]
    """Partitions that it is in."""
    num_cpus: int
    """Processors."""
    memory_bytes: Bytes
    """Memory that Slurm hands out."""
    num_gpus: int
    """Accelerators."""
    gpu_type: str
    """Their type as gres.conf names it; empty for none."""


def jobs(answer: _Json) -> tuple[JobRow, ...]:
    """Return the jobs of `squeue --json` or `sacct --json`."""
    return tuple(_job(one) for one in answer.get("jobs") or ())


def nodes(answer: _Json) -> tuple[NodeRow, ...]:
    """Return the nodes of 22.05's `sinfo --json`, or of a newer `scontrol show nodes --json`."""
    return tuple(_node(one) for one in answer.get("nodes") or ())


def gpus(text: str) -> tuple[int, str, tuple[int, ...]]:
    """Return number, type and indices of the accelerators that a text of Slurm's names.

    Examples
    --------
    >>> gpus("gpu:h100:2(IDX:0,3)")
    (2, 'h100', (0, 3))
    >>> gpus("gpu:8(S:0-1),tmpdisk:100")
    (8, '', ())
    """
    number, kind, indices = 0, "", []
    for part in re.split(r",(?![^(]*\))", text):
        found = _GRES.fullmatch(part.strip())
        if not found:
            continue
        name, count, inner = found.groups()
        number += int(count or 1)
        kind = kind or (name or "")
        index = _INDEX.search(inner or "")
        if index:
            indices += [int(n) for n in slurm.unfold(f"[{index[1]}]")]
    return number, kind, tuple(indices)


def _job(one: _Json) -> JobRow:
    times = one.get("time") if isinstance(one.get("time"), Mapping) else {}
    folded = _names(one.get("nodes"))
    return JobRow(
        slurm_id=int(slurm.number(one.get("job_id")) or 0),
        comment=_comment(one.get("comment")),
        states=_states(one.get("job_state"), one.get("state"), one.get("state_flags")),
        reason=_word(one.get("state_reason")),
        nodes=folded,
        asked_nodes=_names(one.get("required_nodes")),
        start_s=_moment(one.get("start_time"), (times or {}).get("start")),
        end_s=_moment(one.get("end_time"), (times or {}).get("end")),
        status=_status(one.get("exit_code")),
        output=_word(one.get("standard_output")),
        shares=_shares(one, folded),
    )


def _node(one: _Json) -> NodeRow:
    number, kind, _ = gpus(_word(one.get("gres")))
    return NodeRow(
        name=_word(one.get("name")),
        states=_states(one.get("state"), None, one.get("state_flags")),
        reason=_word(one.get("reason")),
        address=_word(one.get("address")),
        hostname=_word(one.get("hostname")),
        boot_s=_moment(one.get("boot_time")),
        partitions=tuple(one.get("partitions") or ()),
        num_cpus=int(slurm.number(one.get("cpus")) or 0),
        memory_bytes=(slurm.number(one.get("real_memory")) or 0.0) * MEBIBYTE_BYTES,
        num_gpus=number,
        gpu_type=kind,
    )


def _states(*values: object) -> frozenset[str]:
    """Return every word of states that stand as a word, a list, or `{current: …}`."""
    words: set[str] = set()
    for value in values:
        inner = value.get("current") if isinstance(value, Mapping) else value
        listed = [inner] if isinstance(inner, str) else inner
        if isinstance(listed, Iterable):
            words |= {str(word).upper() for word in listed if word}
    return frozenset(words)


def _names(value: object) -> tuple[str, ...]:
    text = _word(value)
    if text in {"", "None assigned"}:
        return ()
    try:
        return slurm.unfold(text)
    except ValueError:
        return ()


def _word(value: object) -> str:
    return value if isinstance(value, str) and value not in {"None", "(null)"} else ""


def _comment(value: object) -> str:
    """Return the comment; sacct keeps those of user, administrator and system apart."""
    return _word(value.get("job")) if isinstance(value, Mapping) else _word(value)


def _moment(*values: object) -> float | None:
    found = [slurm.number(value) for value in values]
    return next((value for value in found if value), None)


def _status(value: object) -> int | None:
    """Return a wait status: 22.05's squeue prints it, sacct and newer ones take it apart."""
    if not isinstance(value, Mapping) or "number" in value:
        plain = slurm.number(value)
        return None if plain is None else int(plain)
    signal = value.get("signal") or {}
    number = slurm.number(signal.get("signal_id", signal.get("id")))
    code = slurm.number(value.get("return_code"))
    return None if code is None and number is None else int(code or 0) << 8 | int(number or 0)


def _shares(one: _Json, names: Sequence[str]) -> tuple[Share, ...]:
    held = one.get("job_resources")
    held = held if isinstance(held, Mapping) else {}
    inner = held.get("nodes")
    listed = inner.get("allocation") if isinstance(inner, Mapping) else held.get("allocated_nodes")
    details = one.get("gres_detail") or ()
    found = []
    for n, each in enumerate(listed or ()):
        name = _word(each.get("nodename")) or _word(each.get("name"))
        at = names.index(name) if name in names else n
        found.append(
            Share(
                node=name,
                gpus=gpus(details[at])[2] if at < len(details) else (),
                num_cpus=_cores(each.get("sockets")),
                memory_bytes=_memory_bytes(each),
            )
        )
    return tuple(found)


def _cores(sockets: object) -> int:
    """Return how many cores are taken, of sockets and cores as mappings or as lists."""
    states = [
        _states(core.get("status") if isinstance(core, Mapping) else core)
        for socket in _values(sockets)
        for core in _values(socket.get("cores"))
    ]
    # ALLOCATED, or ALLOCATED_AND_IN_USE once a step runs on it.
    return sum(any(word.startswith("ALLOCATED") for word in words) for words in states)


def _memory_bytes(each: _Json) -> float:
    inner = each.get("memory")
    value = inner.get("allocated") if isinstance(inner, Mapping) else each.get("memory_allocated")
    return (slurm.number(value) or 0.0) * MEBIBYTE_BYTES


def _values(listed: Any) -> Iterable[Any]:
    return listed.values() if isinstance(listed, Mapping) else listed or ()
