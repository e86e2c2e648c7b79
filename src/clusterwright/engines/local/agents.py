"""The agents of an engine's nodes, seen from the server: started, watched, taken away."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from clusterwright.engines.local import boot, processes, spool
from clusterwright.engines.local.spool import Spool

RESTART_S = 1.0
"""Shortest time between two starts of one node's agent."""
KEPT = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("LD_LIBRARY_PATH", "VIRTUAL_ENV", "CUDA_HOME", "CUDA_PATH", "SSL_CERT_FILE"),
        # A server that is itself a job's: what it starts must be found when that job is ended.
        *("CLUSTERWRIGHT_ENGINE", "CLUSTERWRIGHT_ATTEMPT", "CLUSTERWRIGHT_NODE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    }
)
"""Variables of the server that agents and tasks get; no other, since some are secrets."""


class Agents:
    """One agent for each node of a spool."""

    def __init__(self, place: Spool) -> None:
        """Take the spool; nothing is started before `start`."""
        self._lock = threading.RLock()  # of all below: one thread waits while another asks
        self._spool = place
        self._handles: dict[str, int] = {}
        self._dead: set[str] = set()
        self._names: dict[str, tuple[tuple[int, int], str]] = {}
        self._started: dict[str, float] = {}

    def identity(self, node: str) -> str:
        """Return who a node's agent is; empty when it has none that is ready."""
        path = self._spool.node(node) / "agent.json"
        try:
            stat = path.stat()
        except FileNotFoundError:
            return ""
        # It is written by renaming, so another file is another agent.
        file = (stat.st_ino, stat.st_mtime_ns)
        if self._names.get(node, ((0, 0), ""))[0] != file:
            self._names[node] = (file, str((spool.read(path) or {}).get("id", "")))
        name = self._names[node][1]
        return name if self.alive(name) else ""

    def alive(self, identity: str) -> bool:
        """Return True while the process of an identity runs; once dead is dead for ever."""
        with self._lock:
            return bool(identity) and identity not in self._dead and self._runs(identity)

    def handles(self, nodes: Iterable[str]) -> list[int]:
        """Return handles that can be read once the agents of nodes die."""
        with self._lock:
            found = (self.identity(node) for node in nodes)
            return [self._handles[identity] for identity in found if identity]

    def start(self, nodes: Iterable[str]) -> list[str]:
        """Start the agents of nodes that have none, and return whose were started.

        One that was started a moment ago is let be: it may be about to be ready.
        """
        now = time.monotonic()
        children = []
        with self._lock:
            due = [
                node
                for node in nodes
                if now - self._started.get(node, -RESTART_S) >= RESTART_S
                and not self.identity(node)
            ]
            for node in due:
                self._started[node] = now
                children.append(self._start(node))
        for child in children:
            child.wait()
        return due

    def end(self, node: str, number: signal.Signals) -> None:
        """Send the agent of a node a signal that ends it; its tasks end with it."""
        with self._lock:
            handle = self._handles.get(self.identity(node))
            if handle is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)

    def await_end(self, nodes: Iterable[str], patience_s: float) -> list[str]:
        """Wait until nodes have no agent; return those that still have one."""
        deadline = time.monotonic() + patience_s
        left = list(nodes)
        while left and time.monotonic() < deadline:
            for handle in self.handles(left):
                poll = select.poll()
                poll.register(handle, select.POLLIN)
                poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            left = [node for node in left if self.identity(node)]
        return left

    def forget_start(self, node: str) -> None:
        """Let a node's agent be started at once, however short ago it was started last."""
        self._started.pop(node, None)

    def close(self) -> None:
        """Let go of all handles; the agents go on."""
        with self._lock:
            for handle in self._handles.values():
                os.close(handle)
            self._handles = {}

    def _runs(self, identity: str) -> bool:
        handle = self._handles.get(identity)
        if handle is None:
            handle = processes.open_identity(identity)
            if handle is not None:
                self._handles[identity] = handle
        if handle is not None and not _ready(handle):
            return True
        self._dead.add(identity)
        if self._handles.pop(identity, None) is not None and handle is not None:
            os.close(handle)
        return False

    def _start(self, node: str) -> subprocess.Popen[bytes]:
        log = os.open(
            self._spool.node(node) / "agent.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        env = {
            name: value
            for name, value in os.environ.items()
            if name in KEPT or name.startswith("LC_")
        }
        program = Path(boot.__file__).resolve()
        try:
            # It detaches by itself: what is waited for is gone within milliseconds.
            return subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-S", str(program), str(self._spool.root), node],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=env,
            )
        finally:
            os.close(log)


def _ready(handle: int) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(0))
