"""Processes told apart beyond doubt, found again, and ended.

Standard library alone: agents load it.

A process is its boot, its number and the tick it began at: numbers are used again, the three
together are not.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

Process = tuple[int, int]
"""Number, and the tick since boot at which it began."""


def boot_id() -> str:
    """Return what names this boot of the machine."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def identity(pid: int) -> str:
    """Return the name of a process that no other ever bears; empty when it is gone."""
    found = fields(pid)
    return f"{boot_id()}:{pid}:{found[19]}" if found else ""


def open_identity(name: str) -> int | None:
    """Return a pidfd of the process of an identity; None when it is gone."""
    boot, _, rest = name.partition(":")
    pid, _, start = rest.partition(":")
    if not start or boot != boot_id():
        return None
    return open_process((int(pid), int(start)))


def open_process(process: Process) -> int | None:
    """Return a pidfd of a process; None when it is gone."""
    try:
        handle = os.pidfd_open(process[0])
    except OSError:
        return None
    # Only now is the number ours: it may have been another's when it was opened.
    if runs(process):
        return handle
    os.close(handle)
    return None


def fields(pid: int) -> list[str] | None:
    """Return what `/proc/PID/stat` says from the state on; None for a process that runs no more."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (OSError, ValueError):
        return None
    found = text.rpartition(")")[2].split()
    return None if not found or found[0] in "ZX" else found


def runs(process: Process) -> bool:
    """Return True while a process runs; one that waits to be reaped does not."""
    found = fields(process[0])
    return found is not None and int(found[19]) == process[1]


def started(pid: int) -> int:
    """Return the tick at which a process began; 0 when it is gone."""
    found = fields(pid)
    return int(found[19]) if found else 0


def cpu_s(process: Process) -> float:
    """Return the processor time of a process and the children it waited for."""
    found = fields(process[0])
    if found is None or int(found[19]) != process[1]:
        return 0.0
    return sum(int(found[at]) for at in (11, 12, 13, 14)) / TICKS_PER_S


def peak_memory_bytes(process: Process) -> int:
    """Return the largest resident memory that a process has had; 0 when it is gone."""
    try:
        text = (PROC / str(process[0]) / "status").read_text(errors="replace")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def leftovers(
    leaders: Iterable[Process], marks: Mapping[str, str], members: Iterable[int] = ()
) -> list[Process]:
    """Return the processes that still run of some tasks.

    Parameters
    ----------
    leaders
        The tasks; each began a session of its own.
    marks
        Variables that all of them, and what they started, bear in their environment.
    members
        Processes that are known to belong to them, as from a cgroup.
    """
    tasks = dict(leaders)
    known = set(members)
    wanted = {f"{name}={value}".encode() for name, value in marks.items()}
    found = []
    for here in _all():
        session = int((fields(here[0]) or ["0"] * 4)[3])
        if here[0] in known or _in_session(here, session, tasks) or _bears(here[0], wanted):
            found.append(here)
    return found


def workers(marks: Mapping[str, str]) -> list[Process]:
    """Return the processes that a launcher made ranks of: they have a LOCAL_RANK, it has none."""
    wanted = {f"{name}={value}".encode() for name, value in marks.items()}
    ranks = {}
    for process in _all():
        variables = _environ(process[0])
        if wanted <= variables and any(one.startswith(b"LOCAL_RANK=") for one in variables):
            ranks[process[0]] = process
    return [one for one in ranks.values() if int((fields(one[0]) or ["", "0"])[1]) not in ranks]


def end(
    leaders: Iterable[Process],
    marks: Mapping[str, str],
    members: Iterable[int] = (),
    *,
    patience_s: float = 1.0,
) -> bool:
    """Kill all that is left of some tasks; return True once a look finds nothing any more."""
    tasks, known = list(leaders), list(members)
    deadline = time.monotonic() + patience_s
    while True:
        found = leftovers(tasks, marks, known)
        if not found:
            return True
        if time.monotonic() > deadline:
            return False
        for process in found:
            send(process, signal.SIGKILL)
        time.sleep(0.002)


def send(process: Process, number: int) -> None:
    """Send a signal to this very process, and to none that came after it."""
    handle = open_process(process)
    if handle is None:
        return
    try:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(handle, number)
    finally:
        os.close(handle)


def _in_session(process: Process, session: int, tasks: Mapping[int, int]) -> bool:
    if session not in tasks:
        return False
    # A session keeps its number from use while it has members; when another leads it, it is new.
    leader = fields(session)
    began = int(leader[19]) if leader else 0
    return began in {0, tasks[session]} and process[1] >= tasks[session]


def _bears(pid: int, wanted: set[bytes]) -> bool:
    return bool(wanted) and wanted <= _environ(pid)


def _environ(pid: int) -> set[bytes]:
    """Return the environment that a process began with; nothing of another user's."""
    try:
        return set((PROC / str(pid) / "environ").read_bytes().split(b"\0"))
    except OSError:
        return set()


def _all() -> Iterator[Process]:
    """Yield every process that runs but this one."""
    for name in os.listdir(PROC):  # noqa: PTH208 - names alone are wanted
        if not name.isdigit() or int(name) == os.getpid():
            continue
        stat = fields(int(name))
        if stat is not None:
            yield int(name), int(stat[19])
