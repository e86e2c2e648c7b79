"""The agent of a node: starts tasks, watches them, ends them; outlives the server.

Standard library alone. All that it must remember stands in the spool before it acts on it, and it
is killed at any moment without harm: its tasks die with it, and whoever comes next on the node ends
what is left of them before anything else.
"""

import contextlib
import errno
import fcntl
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clusterwright.engines.local import processes, spool, walls
from clusterwright.engines.local.cgroups import Group, ours
from clusterwright.engines.local.part import Part
from clusterwright.engines.local.tasks import FILES

ROUND_S = 2.0
"""How often it looks for orders by itself while something runs, should a wake-up be lost."""
IDLE_ROUND_S = 60.0
"""How often it looks whether it is still wanted."""


class Agent:
    """Runs the parts of attempts that belong to one node."""

    def __init__(self, root: Path, node: str) -> None:
        """Take the spool's root and the node; nothing happens before `run`."""
        self.spool = spool.Spool(root)
        self.node = node
        self.parts: dict[str, Part] = {}
        self.free_cores: list[int] = []
        self.group: Group | None = None
        self.identity = ""
        self.private = ""  # what tasks are kept out of; empty where that is not permitted
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._leaving = False
        self._tag = ""
        self.umask = os.umask(0o077)

    def run(self) -> None:
        """Take the node, end what is left of its former tasks, and work until told to leave."""
        home = self.spool.node(self.node)
        # 1. One agent a node. The lock is let go by the kernel, however this process ends.
        lock = os.open(home / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        # 2. Wake-ups, before anybody is told that they would be heard.
        ear = spool.listen(self.spool.ear(self.node))
        self.watch(ear, lambda: None)
        signal.signal(signal.SIGTERM, lambda *_: self._leave())
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        config = spool.read(home / "node.json") or {}
        self.free_cores = list(config.get("cores") or ())
        self._tag = str(config.get("tag"))
        limits = self._make_group(config)
        private = str(config.get("private") or "")
        self.private = private if private and walls.permitted(private) else ""
        # It holds two handles a task, and must not run out where its tasks would not.
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES[1], FILES[1]))
        # 3. Nothing of the agent before this one may live, nor start.
        while not self._end_the_past():
            time.sleep(0.05)
        # 4. Orders that name this agent may come from now on.
        self.identity = processes.identity(os.getpid())
        about = {"id": self.identity, "version": spool.VERSION, "limits": list(limits)}
        about["walls"] = bool(self.private)
        about["cgroup"] = str(self.group.path) if self.group else ""
        spool.write(home / "agent.json", about)
        spool.poke(self.spool.wake)
        while not self._leaving and self._wanted(lock):
            self._round(ear)
        self._clear()

    def watch(self, handle: int, handler: Callable[[], None]) -> None:
        """Call a handler whenever a handle can be read."""
        self._handlers[handle] = handler
        self._poll.register(handle, select.POLLIN)

    def unwatch(self, handle: int) -> None:
        """Let go of a handle."""
        if self._handlers.pop(handle, None) is not None:
            self._poll.unregister(handle)

    def take_cores(self, wanted: int) -> list[int]:
        """Return cores for a part alone; none where there are not enough."""
        if wanted > len(self.free_cores):
            return []
        taken, self.free_cores = self.free_cores[:wanted], self.free_cores[wanted:]
        return taken

    def _round(self, ear: int) -> None:
        due_s = min((part.due_s for part in self.parts.values()), default=IDLE_ROUND_S)
        if self.parts:
            due_s = min(due_s, ROUND_S)
        for handle, _ in self._poll.poll(max(0.0, due_s) * 1000 + 1):
            handler = self._handlers.get(handle)
            if handler is not None:
                handler()
        # Heard first, looked for then: what comes in between wakes us again.
        spool.hear(ear)
        try:
            self._take_orders()
        except OSError as error:
            _complain(f"orders wait: {error}")
        for part in list(self.parts.values()):
            try:
                part.tend()
            except OSError as error:
                # A full disk, most likely: what must be written is written when there is room.
                _complain(f"{part.name}: {error}")
                part.again_in(ROUND_S if error.errno == errno.ENOSPC else 0.2)
            if part.over:
                del self.parts[part.name]
                self.free_cores += part.cores

    def _take_orders(self) -> None:
        inbox = self.spool.inbox(self.node)
        for name in spool.names(inbox):
            order = spool.read(self.spool.order(name))
            if order is None:
                continue  # not given yet: the server is about to, or died before it could
            secrets = spool.read(inbox / name) or {}
            if name not in self.parts and self._may_start(name, order):
                self.parts[name] = Part(self, name, order, secrets)
            (inbox / name).unlink(missing_ok=True)
            if name in self.parts:
                self.parts[name].start()

    def _may_start(self, name: str, order: dict[str, Any]) -> bool:
        """Claim the part of this node: whoever claims first has it, for ever."""
        if order["agents"].get(self.node) != self.identity:
            return False
        (self.spool.mine(self.node) / name).touch()
        claim = self.spool.claim(name, self.node)
        if spool.create(claim, {"agent": self.identity}):
            return True
        # Ours from before, when a full disk kept us from going on: nothing has been started.
        ours_already = (spool.read(claim) or {}).get("agent") == self.identity
        if ours_already and not self.spool.status(name, self.node).exists():
            return True
        (self.spool.mine(self.node) / name).unlink(missing_ok=True)
        return False

    def _make_group(self, config: dict[str, Any]) -> tuple[str, ...]:
        here = ours() if config.get("cgroups") else None
        if here is None:
            return ()
        centre = Group(here / f"clusterwright-{self._tag}")
        group = Group(centre.path / self.node)
        if not centre.make():
            return ()
        Group(here).hand_down()
        centre.hand_down()
        if not group.make():
            return ()
        self.group = group
        return group.hand_down()

    def _end_the_past(self) -> bool:
        marks = {
            "CLUSTERWRIGHT_ENGINE": self._tag,
            "CLUSTERWRIGHT_NODE": self.node,
        }
        leaders = []
        names = spool.names(self.spool.mine(self.node))
        for name in names:
            status = spool.read(self.spool.status(name, self.node)) or {}
            leaders += [(pid, start) for pid, start in status.get("tasks", ())]
        if self.group:
            self.group.kill()
        members = self.group.members() if self.group else []
        if not processes.end(leaders, marks, members):
            return False
        for name in names:
            path = self.spool.status(name, self.node)
            status = spool.read(path) or {}
            if status.get("phase") != "ended":
                lost = {"phase": "ended", "lost": True, "ended_s": time.time()}
                spool.write(path, {**status, **lost})
            (self.spool.mine(self.node) / name).unlink(missing_ok=True)
        if self.group:
            for stale in spool.names(self.group.path):
                Group(self.group.path / stale).remove()
        return True

    def _wanted(self, lock: int) -> bool:
        """Return False once the spool has been taken away beneath us."""
        with contextlib.suppress(FileNotFoundError):
            there = (self.spool.node(self.node) / "agent.lock").stat()
            return there.st_ino == os.fstat(lock).st_ino
        return False

    def _leave(self) -> None:
        self._leaving = True
        spool.poke(self.spool.ear(self.node))

    def _clear(self) -> None:
        """End all that runs here, as whoever came after us would; the next one does the rest."""
        for part in self.parts.values():
            part.kill()
        with contextlib.suppress(OSError):
            self._end_the_past()
        if self.group:
            self.group.remove()
            # Not removed while it holds the group of another node.
            with contextlib.suppress(OSError):
                self.group.path.parent.rmdir()


def _complain(text: str) -> None:
    # The log may lie on the very disk that is full.
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n")


def main(root: Path, node: str) -> None:
    """Be the agent of a node."""
    Agent(root, node).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
