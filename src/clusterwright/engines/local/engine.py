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

from clusterwright.engines.local import cgroups as groups
from clusterwright.engines.local import fencing, orders, processes, sight, spool, upkeep
from clusterwright.engines.local.agents import RESTART_S, Agents
from clusterwright.engines.local.checks import Checks
from clusterwright.engines.local.nodes import LocalNode, this_machine
from clusterwright.engines.protocol import (
    Attempt,
    AttemptSeen,
    Capabilities,
    Launch,
    Observation,
    OutOfReach,
    Phase,
    Refused,
    Stop,
    Stream,
)
from clusterwright.errors import Conflict, Fault, InvalidInput, UnknownName
from clusterwright.model.centre import NodeCheck

OPEN_PATIENCE_S = 10.0
"""How long `open` waits for agents to be ready; a node whose agent is late is down until then."""
FENCE_PATIENCE_S = 1.0
"""How long one call of `fence` waits for agents to be through."""
HUNG_S = 10.0
"""An agent that has not ended a fenced part after this long is killed itself."""

LOOK_S = 0.005
"""How often what is about to come is looked for. The FIFO is for `wait` alone to hear."""

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

    One thread may call `wait` while another calls all else; `log_path` and `report_path` may be
    called from any.
    """

    name = "local"

    def __init__(
        self,
        root: Path,
        nodes: Sequence[LocalNode] = (),
        *,
        kill_after_s: float = 10.0,
        cgroups: bool = True,
        check: NodeCheck | None = None,
        private: Path | None = None,
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
        check
            What every node must pass before it takes work, and from then on; absent, nothing.
        private
            What tasks see nothing of but what is their own, where the kernel permits that; absent,
            the root.
        """
        found = tuple(nodes) or (this_machine(),)
        self.root = root.absolute()
        self._private = (private or root).absolute()
        self.nodes: Mapping[str, LocalNode] = {node.name: node for node in found}
        if len(self.nodes) < len(found):
            raise InvalidInput([Fault(path="nodes", message="two nodes have one name")])
        self._kill_after_s = kill_after_s
        self._cgroups = cgroups
        self._spool = spool.Spool(self.root)
        self._agents = Agents(self._spool)
        self._checks = Checks(self._spool, self.nodes, check)
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
            isolates_files=all(agent.get("walls") for agent in agents),
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
        self._take_root()
        private = str(self._private.resolve())
        upkeep.describe_nodes(
            self._spool, self.nodes, self._tag, cgroups=self._cgroups, private=private
        )
        upkeep.clear_orphans(self._spool, self.nodes)
        upkeep.retire_others(self._spool, self.nodes, self._agents)
        self._checks.start()
        self._agents.start(self._wanted())
        self._await_agents(list(self._wanted()), OPEN_PATIENCE_S)
        for node in self.nodes:
            spool.poke(self._spool.ear(node))

    @_at_the_door
    def observe(self) -> Observation:
        """Return every node, and every attempt that is not forgotten."""
        self._must_be_open()
        now = time.time()
        seen = tuple(
            sight.see_node(self._spool, node, up=bool(self._agents.identity(name)))
            for name, node in self.nodes.items()
        )
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
        upkeep.make_directories(self._spool, name, order)
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
        document["void"] = upkeep.why_not(self._spool, nodes, agents)
        if document["void"] is None:
            # Before the link, so that all are there once the order is; not synced, so that
            # secrets are gone from the disk's cache when the tasks have started.
            for node in nodes:
                spool.write(self._spool.inbox(node) / name, dict(order.secrets), sync=False)
        (self._spool.live / name).touch(0o600)
        spool.create(self._spool.order(name), document)
        # Agents make ready while the order goes to disk, and begin once it is there.
        self._poke(name)
        spool.settle(self._spool.order(name))

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
            fencing.bury(self._spool, attempt, name)
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
            left = [
                node
                for node in order["nodes"]
                if not fencing.end_part(self._spool, self._agents, order, node)
            ]
            if not left:
                self._fenced_at.pop(name, None)
                return True
            if time.monotonic() >= deadline:
                self._kill_hung(name, left, order)
                return False
            time.sleep(LOOK_S)

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
        self._agents.await_end([node], OPEN_PATIENCE_S)

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
        order = fencing.order_of(self._spool, name)
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
        return self._spool.report(name) if known else None

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
        self._checks.stop()
        self._agents.close()
        for handle in (self._lock, self._ear):
            if handle >= 0:
                os.close(handle)
        self._lock = self._ear = -1

    @_at_the_door
    def shut_down(self) -> None:
        """End all agents, and with them every task; then let go. It need not be open.

        Raises
        ------
        Conflict
            If another server has this root.
        """
        if self._lock < 0:
            self._take_root()
        others = spool.names(self.root / "nodes")
        for node in others:
            self._agents.end(node, signal.SIGTERM)
        for node in self._agents.await_end(others, OPEN_PATIENCE_S):
            self._agents.end(node, signal.SIGKILL)
        here = groups.ours()
        if here is not None:
            groups.Group(here / f"clusterwright-{self._tag}").remove()
        self.close()

    # --- nodes

    def _take_root(self) -> None:
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

    def _wanted(self) -> Iterator[str]:
        """Yield the nodes that should have an agent."""
        for node in self.nodes:
            if not (self._spool.node(node) / "down.json").exists():
                yield node

    def _home(self, node: str) -> Path:
        self._must_be_open()
        if node not in self.nodes:
            raise Refused(str(UnknownName.of("node", node, self.nodes)))
        return self._spool.node(node)

    def _await_agents(self, nodes: list[str], patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if all(self._agents.identity(node) for node in nodes):
                return
            time.sleep(LOOK_S)

    # --- attempts

    def _order(self, name: str) -> dict[str, Any] | None:
        found = self._orders.get(name)
        if found is None:
            # An order never changes, so to remember it is to remember nothing of what happens.
            found = fencing.order_of(self._spool, name)
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
