"""The engine that runs jobs as processes on this machine, behind `engines.protocol`.

Nothing that matters is kept in memory: a server killed at any moment leaves whole files and
running agents, and the next one sees the same.
"""

import contextlib
import fcntl
import functools
import os
import secrets
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from clusterwright.engines.local import cgroups, orders, processes, sight, spool
from clusterwright.engines.local.agents import RESTART_S, Agents
from clusterwright.engines.local.nodes import LocalNode, this_machine
from clusterwright.engines.protocol import (
    Attempt,
    AttemptSeen,
    Capabilities,
    End,
    Launch,
    NodeSeen,
    Observation,
    OutOfReach,
    Phase,
    Refused,
    Stop,
    Stream,
)
from clusterwright.errors import Conflict, Fault, InvalidInput, UnknownName

OPEN_PATIENCE_S = 10.0
"""How long `open` waits for agents to be ready; a node whose agent is late is down until then."""
FENCE_PATIENCE_S = 1.0
"""How long one call of `fence` waits for agents to be through."""
HUNG_S = 10.0
"""An agent that has not ended a fenced part after this long is killed itself."""

P = ParamSpec("P")
R = TypeVar("R")


def _at_the_door(
    method: Callable[Concatenate["LocalEngine", P], R],
) -> Callable[Concatenate["LocalEngine", P], R]:
    """Tell what the machine refuses us as `OutOfReach`: a full disk, no more processes."""

    @functools.wraps(method)
    def wrapped(self: "LocalEngine", /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except OSError as error:
            message = f"{error.filename or self.root}: {error.strerror or error}"
            raise OutOfReach(f"local engine: {message}. Mend it; nothing is lost") from error

    return wrapped


class LocalEngine:
    """Runs jobs as processes on this machine, on one node or on several emulated ones.

    It is meant for one thread; `log_path` and `report_path` may be called from any.
    """

    name = "local"

    def __init__(
        self,
        root: Path,
        nodes: Sequence[LocalNode] = (),
        *,
        kill_after_s: float = 10.0,
        cgroups: bool = True,
    ) -> None:
        """Take where its files lie, and its nodes; nothing is touched before `open`.

        Parameters
        ----------
        root
            Directory of its own, on a file system of this machine.
        nodes
            Its nodes; none, this machine as it is.
        kill_after_s
            Time between TERM and KILL.
        cgroups
            False to leave control groups alone, where they are permitted.
        """
        found = tuple(nodes) or (this_machine(),)
        self.root = root.absolute()
        self.nodes: Mapping[str, LocalNode] = {node.name: node for node in found}
        if len(self.nodes) < len(found):
            raise InvalidInput([Fault(path="nodes", message="two nodes have one name")])
        self._kill_after_s = kill_after_s
        self._cgroups = cgroups
        self._spool = spool.Spool(self.root)
        self._agents = Agents(self._spool)
        self._lock = self._ear = -1
        self._tag = ""
        self._orders: dict[str, dict[str, Any]] = {}
        self._ended: dict[str, AttemptSeen] = {}
        self._fenced_at: dict[str, float] = {}

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do, as far as it is known: limits once its agents are up."""
        agents = [spool.read(self._spool.node(node) / "agent.json") or {} for node in self.nodes]
        return Capabilities(
            places=True,
            devices=True,
            emulates=any(node.emulated for node in self.nodes.values()),
            limits_memory=all("memory" in agent.get("limits", ()) for agent in agents),
            measures_energy=any(
                device.startswith("GPU-")
                for node in self.nodes.values()
                if not node.emulated
                for device in node.devices
            ),
        )

    @_at_the_door
    def open(self) -> None:
        """Take the root, adopt the agents that run there, and start those that do not.

        Raises
        ------
        Conflict
            If another server has this root.
        """
        if self._lock >= 0:
            return
        for directory in (self.root, self.root / "nodes", self.root / "attempts", self._spool.live):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        lock = os.open(self.root / "engine.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            message = f"{self.root} is in use by another server; stop that one first"
            raise Conflict(message) from None
        self._lock = lock
        spool.create(self.root / "engine.json", {"tag": secrets.token_hex(6)})
        self._tag = str((spool.read(self.root / "engine.json") or {})["tag"])
        self._ear = spool.listen(self._spool.wake)
        self._describe_nodes()
        self._clear_orphans()
        self._retire_others()
        self._start_agents()
        self._await_agents(list(self._wanted()), OPEN_PATIENCE_S)
        for node in self.nodes:
            spool.poke(self._spool.ear(node))

    @_at_the_door
    def observe(self) -> Observation:
        """Return every node, and every attempt that is not forgotten."""
        self._must_be_open()
        now = time.time()
        seen = tuple(self._see_node(node) for node in self.nodes.values())
        attempts = []
        for name in spool.names(self._spool.live):
            one = self._see(name)
            if one is not None:
                attempts.append(one)
        return Observation(time_s=now, nodes=seen, attempts=tuple(attempts))

    @_at_the_door
    def wait(self, timeout_s: float) -> bool:
        """Return True once an agent has told something or died; False when the time has passed.

        Agents that died are started again from here, unless their node was taken down.
        """
        self._must_be_open()
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            missing = [node for node in self._wanted() if not self._agents.identity(node)]
            self._agents.start(missing)
            poll = select.poll()
            handles = [self._ear, *self._agents.handles(self.nodes)]
            for handle in handles:
                poll.register(handle, select.POLLIN)
            ready = poll.poll((min(left_s, RESTART_S) if missing else left_s) * 1000)
            if ready:
                spool.hear(self._ear)
                return True
            if time.monotonic() >= deadline:
                return False

    @_at_the_door
    def launch(self, order: Launch) -> None:
        """Start an attempt: its order is given to all nodes by one link, or to none.

        One that asks for a node that is down or drained ends at once as NODE_FAIL.
        """
        self._must_be_open()
        name = orders.name_of(order.attempt)
        if self._order(name) is not None:
            self._poke(name)
            return
        orders.check(order, self.nodes)
        self._make_directories(name, order)
        nodes = [share.node for share in order.shares]
        agents = {node: self._agents.identity(node) for node in nodes}
        document = orders.order_of(
            order,
            spool=self._spool,
            nodes=self.nodes,
            agents=agents,
            tag=self._tag,
            port=orders.free_port(name, self._taken_ports()),
            kill_after_s=self._kill_after_s,
        )
        document["void"] = self._why_not(nodes, agents)
        if document["void"] is None:
            # Before the link, so that all are there once the order is; not synced, so that
            # secrets are gone from the disk's cache when the tasks have started.
            for node in nodes:
                spool.write(self._spool.inbox(node) / name, dict(order.secrets), sync=False)
        (self._spool.live / name).touch(0o600)
        spool.create(self._spool.order(name), document)
        self._poke(name)

    @_at_the_door
    def stop(self, attempt: Attempt, stop: Stop) -> None:
        """Begin to end an attempt; a second stop can only make its grace shorter."""
        self._must_be_open()
        name = orders.name_of(attempt)
        order = self._order(name)
        if stop.signal:
            orders.signal_of(stop.signal)
        if order is None or order["void"] is not None:
            return
        reason = {
            "cause": "stopped",
            "message": "",
            "signal": stop.signal,
            "grace_s": stop.grace_s,
        }
        path = self._spool.stop(name)
        if not path.exists():
            spool.create(path, reason)
        before: dict[str, Any] = spool.read(path) or reason
        if before["grace_s"] > stop.grace_s:
            spool.write(path, {**before, "grace_s": stop.grace_s})
        self._poke(name)

    @_at_the_door
    def fence(self, attempt: Attempt) -> bool:
        """Kill whatever is left of an attempt; True once nothing of it runs or can start."""
        self._must_be_open()
        name = orders.name_of(attempt)
        order = self._order(name)
        if order is None:
            self._bury(attempt, name)
            return True
        if order["void"] is not None or not (self._spool.live / name).exists():
            return True
        reason = {"cause": "stopped", "message": "fenced", "signal": "", "grace_s": 0.0}
        if not self._spool.stop(name).exists():
            spool.create(self._spool.stop(name), reason)
        self._spool.kill(name).touch(0o600)
        self._poke(name)
        deadline = time.monotonic() + FENCE_PATIENCE_S
        while True:
            left = [node for node in order["nodes"] if not self._end_part(name, node, order)]
            if not left:
                self._fenced_at.pop(name, None)
                return True
            if time.monotonic() >= deadline:
                self._kill_hung(name, left, order)
                return False
            _await_any([self._ear], min(0.05, deadline - time.monotonic()))

    @_at_the_door
    def signal(self, attempt: Attempt, signal: str) -> None:
        """Send a signal to every task's process group; under torchrun to the ranks that it made."""
        self._must_be_open()
        number = orders.signal_of(signal)
        name = orders.name_of(attempt)
        order = self._order(name) or {"nodes": ()}
        for node in order["nodes"]:
            if order["launcher"] == "torchrun":
                for worker in processes.workers(orders.marks(self._tag, name, node)):
                    processes.send(worker, number)
                continue
            status = spool.read(self._spool.status(name, node)) or {}
            for task in sight.running(status):
                if processes.runs(task):
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(task[0], number)

    @_at_the_door
    def drain(self, node: str, reason: str) -> None:
        """Let no new work on a node."""
        spool.write(self._home(node) / "drained.json", {"reason": reason})

    @_at_the_door
    def undrain(self, node: str) -> None:
        """Let work on a node again."""
        (self._home(node) / "drained.json").unlink(missing_ok=True)

    @_at_the_door
    def kill_node(self, node: str, reason: str = "it was killed") -> None:
        """Take a node away as a power cut would; it stays down until `start_node`."""
        self._must_be_open()
        spool.write(self._home(node) / "down.json", {"reason": reason})
        self._agents.end(node, signal.SIGKILL)

    @_at_the_door
    def start_node(self, node: str) -> None:
        """Bring a node back; it is up once its agent has ended what was left on it."""
        self._must_be_open()
        (self._home(node) / "down.json").unlink(missing_ok=True)
        self._agents.forget_start(node)
        self._agents.start([node])
        self._await_agents([node], OPEN_PATIENCE_S)

    @_at_the_door
    def log_path(self, attempt: Attempt, rank: int, stream: Stream) -> Path | None:
        """Return the file of a rank's output; under torchrun that of its node's one task."""
        name = orders.name_of(attempt)
        order = spool.read(self._spool.order(name))
        if order is None or order["void"] is not None:
            return None
        task = rank // order["ranks_per_task"]
        num_tasks = sum(len(part["tasks"]) for part in order["nodes"].values())
        if not 0 <= task < num_tasks:
            return None
        return self._spool.attempt(name) / f"task-{task}.{stream}"

    @_at_the_door
    def report_path(self, attempt: Attempt) -> Path | None:
        """Return the file in which the job reports steps."""
        name = orders.name_of(attempt)
        known = self._spool.order(name).exists()
        return self._spool.attempt(name) / "report.jsonl" if known else None

    @_at_the_door
    def forget(self, attempts: Sequence[Attempt]) -> None:
        """Drop the bookkeeping of attempts that have ended; their orders and logs stay.

        Raises
        ------
        Refused
            If one of them has not ended; the others are forgotten.
        """
        self._must_be_open()
        going_on = []
        for attempt in attempts:
            name = orders.name_of(attempt)
            if not (self._spool.live / name).exists():
                continue
            seen = self._see(name)
            if seen is not None and seen.phase is not Phase.ENDED:
                going_on.append(name)
                continue
            (self._spool.live / name).unlink(missing_ok=True)
            for entry in spool.names(self._spool.attempt(name)):
                if entry.startswith(("claim.", "status.")) or entry in {"stop.json", "kill"}:
                    (self._spool.attempt(name) / entry).unlink(missing_ok=True)
            self._orders.pop(name, None)
            self._ended.pop(name, None)
        if going_on:
            raise Refused(f"not ended, so not forgotten: {', '.join(going_on)}; stop them first")

    def close(self) -> None:
        """Let go of the root; agents and tasks go on."""
        self._agents.close()
        for handle in (self._lock, self._ear):
            if handle >= 0:
                os.close(handle)
        self._lock = self._ear = -1

    @_at_the_door
    def shut_down(self) -> None:
        """End all agents, and with them every task; then let go."""
        self._must_be_open()
        others = spool.names(self.root / "nodes")
        for node in others:
            self._agents.end(node, signal.SIGTERM)
        for node in self._agents.await_end(others, OPEN_PATIENCE_S):
            self._agents.end(node, signal.SIGKILL)
        here = cgroups.ours()
        if here is not None:
            cgroups.Group(here / f"clusterwright-{self._tag}").remove()
        self.close()

    # --- nodes

    def _wanted(self) -> Iterator[str]:
        """Yield the nodes that should have an agent."""
        for node in self.nodes:
            if not (self._spool.node(node) / "down.json").exists():
                yield node

    def _see_node(self, node: LocalNode) -> NodeSeen:
        home = self._spool.node(node.name)
        up = bool(self._agents.identity(node.name))
        down = spool.read(home / "down.json")
        drained = spool.read(home / "drained.json")
        reason = "" if up else "its agent died and is being started again"
        if down is not None and not up:
            reason = str(down.get("reason"))
        elif drained is not None:
            reason = str(drained.get("reason"))
        return NodeSeen(
            name=node.name,
            up=up,
            drained=drained is not None,
            reason=reason,
            num_gpus=node.num_gpus,
            gpu_model=node.gpu_model,
            num_cpus=node.num_cpus,
            memory_bytes=node.memory_bytes,
        )

    def _home(self, node: str) -> Path:
        self._must_be_open()
        if node not in self.nodes:
            raise Refused(str(UnknownName.of("node", node, self.nodes)))
        return self._spool.node(node)

    def _describe_nodes(self) -> None:
        own = sorted(os.sched_getaffinity(0))
        # Binding is for nodes whose cores are there; emulated ones may claim more than there are.
        binds = sum(node.num_cpus for node in self.nodes.values()) <= len(own)
        for node in self.nodes.values():
            for part in ("", "inbox", "mine"):
                (self._spool.node(node.name) / part).mkdir(mode=0o700, exist_ok=True)
            cores, own = (own[: node.num_cpus], own[node.num_cpus :]) if binds else ([], own)
            about = {"tag": self._tag, "cores": cores, "cgroups": self._cgroups}
            spool.write(self._spool.node(node.name) / "node.json", about)

    def _clear_orphans(self) -> None:
        """Take away what a server left that died before it could give its order."""
        for node in self.nodes:
            for name in os.listdir(self._spool.inbox(node)):  # noqa: PTH208 - hidden ones too
                if name.startswith(".") or self._order(name) is None:
                    (self._spool.inbox(node) / name).unlink(missing_ok=True)
        for name in spool.names(self._spool.live):
            if self._order(name) is None:
                (self._spool.live / name).unlink(missing_ok=True)

    def _retire_others(self) -> None:
        """End agents of another version, or of nodes no longer ours, unless something runs there."""
        for node in spool.names(self.root / "nodes"):
            about = spool.read(self._spool.node(node) / "agent.json") or {}
            strange = node not in self.nodes or about.get("version") != spool.VERSION
            if strange and not spool.names(self._spool.mine(node)):
                self._agents.end(node, signal.SIGTERM)
                self._agents.await_end([node], OPEN_PATIENCE_S)

    def _start_agents(self) -> None:
        self._agents.start(self._wanted())

    def _await_agents(self, nodes: list[str], patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if all(self._agents.identity(node) for node in nodes):
                return
            _await_any([self._ear], 0.02)
            spool.hear(self._ear)

    # --- attempts

    def _order(self, name: str) -> dict[str, Any] | None:
        found = self._orders.get(name)
        if found is None:
            # An order never changes, so to remember it is to remember nothing of what happens.
            found = spool.read(self._spool.order(name))
            if found is not None:
                self._orders[name] = found
        return found

    def _see(self, name: str) -> AttemptSeen | None:
        found = self._ended.get(name)
        if found is not None:
            return found
        order = self._order(name)
        if order is None:
            return None
        seen = sight.see(self._spool, name, order, self._agents.alive)
        if seen.phase is Phase.ENDED:
            self._ended[name] = seen
        return seen

    def _poke(self, name: str) -> None:
        for node in (self._order(name) or {"nodes": ()})["nodes"]:
            spool.poke(self._spool.ear(node))

    def _taken_ports(self) -> set[int]:
        names = (name for name in spool.names(self._spool.live) if name not in self._ended)
        return {order["port"] for name in names if (order := self._order(name)) and "port" in order}

    def _why_not(self, nodes: Sequence[str], agents: Mapping[str, str]) -> dict[str, Any] | None:
        down = [node for node in nodes if not agents[node]]
        drained = [node for node in nodes if (self._spool.node(node) / "drained.json").exists()]
        if not down and not drained:
            return None
        words = [f"node {node} is down" for node in down]
        words += [f"node {node} is drained" for node in drained]
        return _void(End.NODE_FAIL, "; ".join(words), down)

    def _make_directories(self, name: str, order: Launch) -> None:
        job = self.root / "jobs" / order.attempt.job_id
        own = [self._spool.attempt(name), job / "work", job / "output"]
        for directory in own:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        checkpoints = order.checkpoint_dir or str(job / "checkpoints")
        if "://" not in checkpoints:
            Path(checkpoints).mkdir(mode=0o700, parents=True, exist_ok=True)

    def _bury(self, attempt: Attempt, name: str) -> None:
        """Put a void order where a launch would put its own: the first one stands."""
        self._spool.attempt(name).mkdir(mode=0o700, parents=True, exist_ok=True)
        document = {
            "attempt": {"job_id": attempt.job_id, "number": attempt.number},
            "void": _void(End.NOT_STARTED, "fenced before it was launched", []),
            "nodes": {},
            "agents": {},
        }
        (self._spool.live / name).touch(0o600)
        spool.create(self._spool.order(name), document)

    def _end_part(self, name: str, node: str, order: Mapping[str, Any]) -> bool:
        """End an attempt's part of a node; return True once nothing of it can run any more."""
        path = self._spool.status(name, node)
        agent = order["agents"][node]
        # Asked before the status is read: what the dead left is final.
        lives = self._agents.alive(agent)
        status = spool.read(path) or {}
        if status.get("phase") == "ended":
            return True
        if spool.create(self._spool.claim(name, node), {"agent": ""}):
            # Nobody had begun it, and now nobody can.
            (self._spool.inbox(node) / name).unlink(missing_ok=True)
            spool.write(path, {"phase": "ended", "lost": not lives, "ended_s": time.time()})
            return True
        claim = spool.read(self._spool.claim(name, node)) or {}
        if claim.get("agent") == "":  # this server's forerunner claimed it, and died
            spool.write(path, {"phase": "ended", "lost": not lives, "ended_s": time.time()})
            return True
        if lives:
            return False
        marks = orders.marks(self._tag, name, node)
        about = spool.read(self._spool.node(node) / "agent.json") or {}
        group = cgroups.Group(Path(str(about["cgroup"])) / name) if about.get("cgroup") else None
        if group is not None:
            group.kill()
        members = group.members() if group is not None else []
        leaders = [(pid, start) for pid, start in status.get("tasks", ())]
        if not processes.end(leaders, marks, members, patience_s=0.5):
            return False
        if group is not None:
            group.remove()
        spool.write(path, {**status, "phase": "ended", "lost": True, "ended_s": time.time()})
        return True

    def _kill_hung(self, name: str, nodes: list[str], order: Mapping[str, Any]) -> None:
        """Kill agents that do not end what is fenced: a node that does not obey is lost."""
        since = self._fenced_at.setdefault(name, time.monotonic())
        if time.monotonic() - since < HUNG_S:
            return
        for node in nodes:
            if self._agents.identity(node) == order["agents"][node]:
                self._agents.end(node, signal.SIGKILL)

    def _must_be_open(self) -> None:
        if self._lock < 0:
            raise OutOfReach("the local engine is not open; call open() first")


def _void(end: End, message: str, lost: list[str]) -> dict[str, Any]:
    return {"end": end.value, "message": message, "lost_nodes": lost, "ended_s": time.time()}


def _await_any(handles: Sequence[int], timeout_s: float) -> None:
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    poll.poll(max(0.0, timeout_s) * 1000)
