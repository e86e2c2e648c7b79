"""Processes of an attempt on this very machine, for clusters whose nodes all stand on it.

A slurmd that is killed leaves its slurmstepd and the tasks running. On a machine of its own such a
node cannot be asked; here its processes can be seen and ended.
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "CLUSTERWRIGHT_SPOOL"
"""Variable that every process of an attempt has in its environment: the attempt's directory."""

_PROC = Path("/proc")
_STEPD = "slurmstepd"
_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    pid: int
    parent: int
    name: str
    ours: bool


def end(directory: Path) -> bool:
    """Kill every process of an attempt; return True when none is left.

    Parameters
    ----------
    directory
        Directory of the attempt.
    """
    for _ in range(_ROUNDS):  # what forks while it is looked for is found in the next round
        found = _found(directory)
        if not found:
            return True
        for one in found:
            _kill(one)
    return not _found(directory)


def _found(directory: Path) -> list[int]:
    """Return the processes, the daemons that start others first."""
    mark = f"{VARIABLE}={directory}".encode()
    every = {one.pid: one for one in _processes(mark)}
    roots = {one.pid for one in every.values() if one.ours}
    daemons = {
        above
        for pid in roots
        for above in _above(pid, every)
        if every[above].name.startswith(_STEPD)
    }
    below = {pid for pid in every if roots.intersection(_above(pid, every))}
    below |= {pid for pid in every if daemons.intersection(_above(pid, every))}
    return [*sorted(daemons), *sorted((roots | below) - daemons)]


def _processes(mark: bytes) -> Iterator[_Process]:
    for entry in os.scandir(_PROC):
        if not entry.name.isdecimal():
            continue
        try:
            stat = (_PROC / entry.name / "stat").read_text(errors="replace")
            environment = (_PROC / entry.name / "environ").read_bytes()
        except PermissionError:
            environment = b""
        except OSError:  # it has ended since
            continue
        head, _, tail = stat.rpartition(")")
        state, parent = tail.split()[:2]
        if state in {"Z", "X"}:
            continue
        yield _Process(
            pid=int(entry.name),
            parent=int(parent),
            name=head.partition("(")[2],
            ours=mark in environment.split(b"\0"),
        )


def _above(pid: int, every: dict[int, _Process]) -> Iterator[int]:
    """Yield the parents of a process, the nearest first."""
    at = every[pid].parent
    while at in every:
        yield at
        at = every[at].parent


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
