"""Pods that share accelerators, and the nodes they share, from tables in the tidy schema.

Pods: job_id, gpus (a share below 1, else whole), cpus, mem_gb; gpu_type where it matters, `A|B` for
either. Nodes: node, gpus, cpus, mem_gb; gpu_type (or gpu_model) where they have accelerators.
Times and durations are not read: packing asks who fits beside whom, not when.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.job import QUANTA
from clusterwright.sched.shares import MILLI, Machine, Request
from clusterwright.traces.tidy import number_of, rows_of
from clusterwright.units import Bytes, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """What the pods of a table ask for, and which rows could not be used."""

    requests: tuple[Request, ...]
    """Requests in the order of the file."""
    dropped: tuple[Fault, ...]
    """Rows that could not be used, each with its line and its reason."""


def read_pods(content: bytes, *, file: str) -> Pods:
    """Return the pods of a table.

    Raises
    ------
    InvalidInput
        If it is no CSV, or a needed column is missing.
    """
    requests, dropped = [], []
    for line, row in rows_of(content, file, ("job_id", "gpus", "cpus", "mem_gb")):
        fault = _fault(row, ("gpus", "cpus", "mem_gb")) or _unshareable(row)
        if fault:
            path, message = fault
            dropped.append(Fault(file=file, line=line, path=path, message=message))
            continue
        requests.append(_request(row))
    return Pods(requests=tuple(requests), dropped=tuple(dropped))


def read_machines(content: bytes, *, file: str) -> tuple[Machine, ...]:
    """Return the nodes of a table.

    Raises
    ------
    InvalidInput
        If it is no CSV, a needed column is missing, or with every row that is no node.
    """
    machines, faults = [], []
    for line, row in rows_of(content, file, ("node", "gpus", "cpus", "mem_gb")):
        model = row.get("gpu_model") or row.get("gpu_type") or ""
        fault = _fault(row, ("gpus", "cpus", "mem_gb"))
        gpus = 0.0 if fault else _amount(row, "gpus")
        if not fault and gpus % 1:
            fault = "gpus", f"{row['gpus']} is no whole number"
        if not fault and gpus and not model:
            fault = "gpu_type", "names no model for the accelerators"
        if fault:
            faults.append(Fault(file=file, line=line, path=fault[0], message=fault[1]))
            continue
        machines.append(
            Machine(
                name=row["node"],
                gpu_model=model if gpus else "",
                num_gpus=int(gpus),
                num_millicpus=_millicpus(row),
                memory_bytes=_memory_bytes(row),
            )
        )
    if faults:
        raise InvalidInput(faults)
    return tuple(machines)


def _request(row: Mapping[str, str]) -> Request:
    gpus = _amount(row, "gpus")
    models = {name for name in (row.get("gpu_type") or "").split("|") if name}
    return Request(
        num_gpus=int(gpus) if gpus >= 1 else int(gpus > 0),
        gpu_quanta=max(1, round(gpus * QUANTA)) if 0 < gpus < 1 else QUANTA,
        num_millicpus=_millicpus(row),
        memory_bytes=_memory_bytes(row),
        models=frozenset(models) if gpus else frozenset(),
    )


def _fault(row: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str] | None:
    for name in names:
        value = number_of(row[name] or "0")
        if value is None or value < 0:
            return name, f"{row[name]!r} is no amount"
    return None


def _unshareable(row: Mapping[str, str]) -> tuple[str, str] | None:
    gpus, nodes = _amount(row, "gpus"), number_of(row.get("nodes") or "1")
    if gpus > 1 and gpus % 1:
        return "gpus", f"{row['gpus']} is neither a share of one accelerator nor a whole number"
    if nodes != 1:
        return "nodes", f"{row['nodes']} nodes; only what runs on one node is packed"
    return None


def _amount(row: Mapping[str, str], name: str) -> float:
    return float(row[name] or 0)


def _millicpus(row: Mapping[str, str]) -> int:
    return round(_amount(row, "cpus") * MILLI)


def _memory_bytes(row: Mapping[str, str]) -> int:
    return round(_amount(row, "mem_gb") * parse("1 GB", Bytes))
