"""An attempt's part of one node: its tasks there, from the claim to the end.

Standard library alone: agents load it. Parts of one attempt learn of each other through the
attempt's `stop.json`, which the first to see a reason writes, and through the death of agents.
"""

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterwright.engines.local import energy, processes, spool
from clusterwright.engines.local.cgroups import Group
from clusterwright.engines.local.tasks import Setting, Task, prepare

if TYPE_CHECKING:
    from clusterwright.engines.local.agent import Agent

NEVER_S = float("inf")


class Part:
    """Tasks of one attempt on one node."""

    def __init__(
        self, agent: "Agent", name: str, order: Mapping[str, Any], secrets: Mapping[str, Any]
    ) -> None:
        """Take what was claimed; nothing runs before `start`."""
        self.name = name
        self.over = False
        self.cores: list[int] = []
        self._agent = agent
        self._spool = agent.spool
        self._order = order
        self._own = order["nodes"][agent.node]  # JSON, written by orders.py
        self._secrets = secrets
        self._marks = {
            "CLUSTERWRIGHT_ENGINE": order["env"]["CLUSTERWRIGHT_ENGINE"],
            "CLUSTERWRIGHT_ATTEMPT": name,
            "CLUSTERWRIGHT_NODE": agent.node,
        }
        self._tasks: list[Task] = []
        self._peers: dict[int, str] = {}
        self._group: Group | None = None
        self._meter: energy.Meter | None = None
        self._stop: dict[str, Any] | None = None
        self._warned = False
        self._reason: dict[str, Any] | None = None
        self._started_s: float | None = None
        # Moments of the monotonic clock; each stands until it is done.
        self._limit_at = self._term_at = self._kill_at = self._again_at = NEVER_S
        self._begun = False

    @property
    def due_s(self) -> float:
        """Return in how long there is something to do that nobody will wake us for."""
        at = min(self._limit_at, self._term_at, self._kill_at, self._again_at)
        return at - time.monotonic()

    def again_in(self, delay_s: float) -> None:
        """Tend it again after a while."""
        self._again_at = time.monotonic() + delay_s

    def start(self) -> None:
        """Start its tasks: their numbers stand in the status before one of them becomes anything.

        A part whose attempt must end already starts none.
        """
        if self._begun:
            return
        self._begun = True
        if self._spool.kill(self.name).exists() or self._spool.stop(self.name).exists():
            return
        for node in self._order["nodes"]:
            if node != self._agent.node:
                self._watch_peer(node)
                spool.poke(self._spool.ear(node))
        if self._reason is not None:
            return  # a node of the gang is gone already
        try:
            self._prepare()
            self._started_s = time.time()
            self._write("running")
            # It must be known after a crash of the machine that this was begun. The server is
            # about the same, so mostly both wait for one commit.
            spool.settle(self._spool.order(self.name))
            self._meter = energy.Meter(self._own["devices"]) if self._own["devices"] else None
            for task in self._tasks:
                task.release()
        except OSError as error:
            for task in self._tasks:
                task.abandon()
            self._must_end("not_started", f"{self._agent.node}: {error.strerror or error}")
        self._secrets = {}
        if self._order["time_limit_s"] is not None:
            self._limit_at = time.monotonic() + self._order["time_limit_s"]
        spool.poke(self._spool.wake)

    def tend(self) -> None:
        """Do what is due: heed a stop, go on to its next step, take the end down."""
        now = time.monotonic()
        self._again_at = NEVER_S
        if now >= self._limit_at:
            self._limit_at = NEVER_S
            warning = {"signal": self._order["signal"], "grace_s": self._order["grace_s"]}
            limit_s = self._order["time_limit_s"]
            self._must_end("timeout", f"its time limit of {limit_s:g} s passed", **warning)
        self._tell()
        self._heed(now)
        if now >= self._term_at:
            self._term_at = NEVER_S
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # one that is stopped would not hear it
            self._kill_at = now + self._order["kill_after_s"]
        if now >= self._kill_at:
            self.kill()
            self._kill_at = NEVER_S
        if all(task.code is not None for task in self._tasks):
            self._finish()

    def kill(self) -> None:
        """Kill all of it, as far as it is known without a search."""
        self._signal(signal.SIGKILL)
        if self._group:
            self._group.kill()

    def _prepare(self) -> None:
        own, order = self._own, self._order
        self.cores = self._agent.take_cores(own["num_cpus"])
        self._group = self._make_group()
        limit = 0 if self._group and self._limited("memory") else int(own["memory_bytes"])
        setting = Setting(
            argv=order["argv"],
            workdir=order["workdir"],
            umask=self._agent.umask,
            procs=self._group.path / "cgroup.procs" if self._group else None,
            data_limit_bytes=limit,
            private=self._agent.private,
            shown=order.get("shown", ()),
        )
        home = self._spool.attempt(self.name)
        share = len(self.cores) // max(1, len(own["tasks"]))
        for at, each in enumerate(own["tasks"]):
            cores = self.cores[at * share : (at + 1) * share] if share else self.cores
            env = {**os.environ, **order["env"], **self._secrets, **each["env"]}
            logs = [home / f"task-{each['index']}.{stream}" for stream in ("out", "err")]
            task = prepare(setting, env, cores, *logs)
            self._tasks.append(task)
            self._agent.watch(task.pidfd, lambda at=at: self._reap(at))  # type: ignore[misc]

    def _make_group(self) -> Group | None:
        if self._agent.group is None:
            return None
        group = Group(self._agent.group.path / self.name)
        if not group.make():
            return None
        group.limit(self._own["memory_bytes"], self._own["num_cpus"])
        return group

    def _limited(self, what: str) -> bool:
        return self._group is not None and (self._group.path / f"{what}.max").exists()

    def _watch_peer(self, node: str) -> None:
        handle = processes.open_identity(self._order["agents"][node])
        if handle is None:
            self._lose_peer(node)
            return
        self._peers[handle] = node
        self._agent.watch(handle, lambda: self._drop_peer(handle))

    def _drop_peer(self, handle: int) -> None:
        node = self._peers.pop(handle)
        self._agent.unwatch(handle)
        os.close(handle)
        self._lose_peer(node)

    def _lose_peer(self, node: str) -> None:
        status = spool.read(self._spool.status(self.name, node)) or {}
        if status.get("phase") != "ended":
            self._must_end("node_fail", f"node {node} was lost", nodes=[node])

    def _must_end(self, cause: str, message: str, **more: Any) -> None:
        """Keep a reason for which all parts must end; `tend` tells it."""
        reason = {"cause": cause, "message": message, "signal": "", "grace_s": 0.0, **more}
        self._reason = self._reason or reason

    def _tell(self) -> None:
        """Give all parts our reason to end; the first reason that anybody gives stands."""
        stop = self._spool.stop(self.name)
        if self._reason is not None and not stop.exists() and spool.create(stop, self._reason):
            for node in self._order["nodes"]:
                if node != self._agent.node:
                    spool.poke(self._spool.ear(node))
            spool.poke(self._spool.wake)
        self._reason = None

    def _heed(self, now: float) -> None:
        if self._spool.kill(self.name).exists():
            self._warned = True
            self._term_at = self._kill_at = NEVER_S
            self.kill()
            return
        stop = spool.read(self._spool.stop(self.name))
        if stop is None or stop == self._stop:
            return
        term_at = now + float(stop["grace_s"]) if stop["signal"] else now
        if self._stop is None:
            self._limit_at = NEVER_S
            self._warned = any(task.code is None for task in self._tasks)
            if stop["signal"]:
                self._warn(signal.Signals[f"SIG{stop['signal']}"])
            self._term_at = term_at
        elif self._term_at < NEVER_S:
            self._term_at = min(self._term_at, term_at)
        self._stop = stop

    def _warn(self, number: int) -> None:
        if self._order["launcher"] == "torchrun":
            # A launcher would die of the signal; it is meant for the ranks that it made.
            for worker in processes.workers(self._marks):
                processes.send(worker, number)
        else:
            self._signal(number)

    def _signal(self, number: int) -> None:
        for task in self._tasks:
            task.signal(number)

    def _reap(self, at: int) -> None:
        task = self._tasks[at]
        self._agent.unwatch(task.pidfd)
        why_not = task.reap()
        rank = self._own["tasks"][at]["rank"]
        place = f"rank {rank} on {self._agent.node}"
        if why_not:
            self._must_end("not_started", f"{place} {why_not}")
        elif task.code:
            self._must_end("failed", f"{place} {self._told(task.code)}")
        if any(one.code is None for one in self._tasks):
            with contextlib.suppress(OSError):
                self._write("running")  # a full disk: the end will be told, when there is room

    def _told(self, code: int) -> str:
        if code > 0:
            return f"returned {code}"
        if code == -signal.SIGKILL and self._group and self._group.num_killed_for_memory():
            return f"was killed: its node's part took more than {self._own['memory_bytes']:.3g} B"
        return f"was killed by signal {_signal_name(-code)}"

    def _finish(self) -> None:
        """Take the end down, once nothing is left that the tasks started."""
        leaders = [task.process for task in self._tasks]
        if leaders:
            if self._group:
                self._group.kill()
            members = self._group.members() if self._group else []
            # With a group its members are all there is; without one the machine is searched.
            left = members if self._group else [0]
            if left and not processes.end(leaders, self._marks, members, patience_s=0.2):
                self.again_in(0.2)
                return
        self._write("ended")
        (self._spool.mine(self._agent.node) / self.name).unlink(missing_ok=True)
        if self._group:
            self._group.remove()
        for handle in list(self._peers):
            self._agent.unwatch(handle)
            os.close(handle)
        self._peers = {}
        self.over = True
        spool.poke(self._spool.wake)

    def _write(self, phase: str) -> None:
        path: Path = self._spool.status(self.name, self._agent.node)
        status = {
            "phase": phase,
            "lost": False,
            "warned": self._warned,
            "started_s": self._started_s,
            "ended_s": time.time() if phase == "ended" else None,
            "tasks": [task.process for task in self._tasks],
            "codes": [task.code for task in self._tasks],
            "cpu_s": sum(task.cpu_s for task in self._tasks),
            "peak_memory_bytes": max((task.peak_memory_bytes for task in self._tasks), default=0),
            "energy_j": self._meter.energy_j() if self._meter and phase == "ended" else None,
        }
        spool.write(path, status, sync=phase == "ended")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)
