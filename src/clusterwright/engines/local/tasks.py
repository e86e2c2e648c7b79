"""One task: a process that is made ready, waits for the word, and becomes what was ordered.

Standard library alone: agents load it. The process exists before its program does, so that its
number stands in a file before anything of the job runs.
"""

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusterwright.engines.local import processes, walls

PR_SET_PDEATHSIG = 1
NO_PROGRAM = 127
FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
"""Open files that tasks may have: what was set when the agent began."""
_libc = ctypes.CDLL(None, use_errno=True)


class Setting:
    """What the tasks of one attempt on one node have in common."""

    __slots__ = ("argv", "data_limit_bytes", "private", "procs", "shown", "umask", "workdir")

    def __init__(
        self,
        *,
        argv: Sequence[str],
        workdir: str,
        umask: int,
        procs: Path | None,
        data_limit_bytes: int,
        private: str = "",
        shown: Sequence[str] = (),
    ) -> None:
        """Take the words of the command, its directory, and the bounds that it runs within.

        Of the `private` directory its tasks see what is `shown` alone.
        """
        self.argv = list(argv)
        self.workdir = workdir
        self.umask = umask
        self.procs = procs
        self.data_limit_bytes = data_limit_bytes
        self.private = private
        self.shown = shown


class Task:
    """A task, waiting or running or ended."""

    __slots__ = ("code", "cpu_s", "fault", "go", "peak_memory_bytes", "pidfd", "process")

    def __init__(self, process: processes.Process, pidfd: int, go: int, fault: int) -> None:
        """Take the process, and the pipes that start it and that bring its faults."""
        self.process = process
        self.pidfd = pidfd
        self.go = go
        self.fault = fault
        self.code: int | None = None
        self.cpu_s = 0.0
        self.peak_memory_bytes = 0

    def release(self) -> None:
        """Let it become its program; what ended while it waited says why when it is reaped."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.go, b"!")
        os.close(self.go)
        self.go = -1

    def abandon(self) -> None:
        """Let it end without having become anything."""
        if self.go >= 0:
            os.close(self.go)
            self.go = -1

    def signal(self, number: int) -> None:
        """Send a signal to its process group, unless it has been reaped: then nothing is its."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process[0], number)

    def reap(self) -> str:
        """Take its end down, kill what it leaves in its group, and return why it never began."""
        # Before it is reaped its number, and so its group's, cannot be another's.
        self.signal(signal.SIGKILL)
        _, status, usage = os.wait4(self.process[0], 0)
        self.code = os.waitstatus_to_exitcode(status)
        self.cpu_s = usage.ru_utime + usage.ru_stime
        self.peak_memory_bytes = usage.ru_maxrss * 1024
        self.abandon()
        why = ""
        with contextlib.suppress(BlockingIOError):
            why = os.read(self.fault, 4096).decode(errors="replace")
        os.close(self.fault)
        os.close(self.pidfd)
        return why


def prepare(
    setting: Setting, env: Mapping[str, str], cores: Sequence[int], out: Path, err: Path
) -> Task:
    """Return a task that waits to be released.

    Raises
    ------
    OSError
        If there is no process or no log file to be had.
    """
    logs = [_log(out)]
    try:
        logs.append(_log(err))
        go_read, go = os.pipe()
        fault, fault_write = os.pipe()
    except OSError:
        for handle in logs:
            os.close(handle)
        raise
    parent = os.getpid()
    try:
        pid = os.fork()
        if pid == 0:
            # Nothing of the agent may run in the child, whatever happens.
            try:
                os.close(go)
                _become(setting, env, cores, (*logs, go_read, fault_write), parent)
            finally:
                os._exit(NO_PROGRAM)
    except OSError:
        for handle in (go, fault):
            os.close(handle)
        raise
    finally:
        for handle in (*logs, go_read, fault_write):
            os.close(handle)
    os.set_blocking(fault, False)
    return Task((pid, processes.started(pid)), os.pidfd_open(pid), go, fault)


def _log(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)


def _become(
    setting: Setting,
    env: Mapping[str, str],
    cores: Sequence[int],
    handles: Sequence[int],
    parent: int,
) -> None:
    """Turn this process into the program: it returns only by way of an error."""
    out, err, go, fault = handles
    doing = "begin a session"
    try:
        os.setsid()
        if not _die_with(parent):
            return
        _default_signals()
        doing = "enter its control group"
        if setting.procs is not None:
            setting.procs.write_text("0")
        doing = "take its limits"
        if cores:
            os.sched_setaffinity(0, cores)
        resource.setrlimit(resource.RLIMIT_NOFILE, FILES)
        if setting.data_limit_bytes:
            resource.setrlimit(resource.RLIMIT_DATA, (setting.data_limit_bytes,) * 2)
        doing = "open its streams"
        null = os.open(os.devnull, os.O_RDONLY)
        for handle, number in ((null, 0), (out, 1), (err, 2)):
            os.dup2(handle, number)
        if os.read(go, 1) != b"!":
            return
        if setting.private:
            doing = "close off what is not its own"
            walls.hide(setting.private, setting.shown)
            if not _die_with(parent):  # new credentials may have cost us the first
                return
        doing = f"enter {setting.workdir}"
        os.umask(setting.umask)
        os.chdir(setting.workdir)
        doing = f"run {setting.argv[0]}"
        os.execvpe(setting.argv[0], setting.argv, dict(env))  # noqa: S606 - its owner asked for it
    except OSError as error:
        os.write(fault, f"cannot {doing}: {error.strerror or error}".encode())
    except ValueError as error:
        os.write(fault, f"cannot {doing}: {error}".encode())


def _die_with(parent: int) -> bool:
    """Let the agent's death be ours; return False when it died before the kernel knew of that."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == parent


def _default_signals() -> None:
    # What an agent ignores, a program would go on ignoring.
    for number in signal.valid_signals():
        if number in {signal.SIGKILL, signal.SIGSTOP}:
            continue
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
