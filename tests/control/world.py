"""A world that an engine acts in, for tests: it outlives control planes, and is moved by hand."""

import threading
import time
from dataclasses import dataclass, field, replace

from clusterwright.control import orders
from clusterwright.control.conductor import Conductor
from clusterwright.control.journal import Journal
from clusterwright.engines import (
    AttemptSeen,
    Capabilities,
    End,
    NodeSeen,
    Observation,
    OutOfReach,
    Phase,
)
from clusterwright.model.centre import Centre, Nodes
from clusterwright.model.jobspec import JobSpec
from clusterwright.model.quota import Quota

DEADLINE_S = 20.0


@dataclass
class World:
    """Nodes and attempts as they are."""

    nodes: dict = field(default_factory=dict)
    attempts: dict = field(default_factory=dict)
    orders: dict = field(default_factory=dict)
    launched: list = field(default_factory=list)
    stopped: list = field(default_factory=list)
    forgotten: list = field(default_factory=list)
    away: bool = False
    fences: bool = True
    bell: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def move(self, attempt, **changes):
        with self.lock:
            self.attempts[attempt] = replace(self.attempts[attempt], **changes)
        self.bell.set()

    def end(self, attempt, end=End.COMPLETED, **more):
        self.move(attempt, phase=Phase.ENDED, end=end, ended_s=time.time(), **more)

    def lose(self, node):
        with self.lock:
            self.nodes[node] = replace(self.nodes[node], up=False)
            for attempt, one in self.attempts.items():
                if node in one.nodes and one.phase is not Phase.ENDED:
                    self.attempts[attempt] = replace(one, phase=Phase.LOST, lost_nodes=(node,))
        self.bell.set()

    def bring_back(self, node):
        with self.lock:
            self.nodes[node] = replace(self.nodes[node], up=True)
        self.bell.set()


class WorldEngine:
    """An engine of that world; tasks start at once and end when the test says so."""

    name = "local"
    capabilities = Capabilities(places=True, devices=True)

    def __init__(self, world):
        self.world = world

    def open(self):
        pass

    def close(self):
        pass

    def _reach(self):
        if self.world.away:
            raise OutOfReach("the world is away")

    def wait(self, timeout_s):
        rang = self.world.bell.wait(timeout_s)
        self.world.bell.clear()
        return rang

    def observe(self):
        self._reach()
        with self.world.lock:
            return Observation(
                time_s=time.time(),
                nodes=tuple(self.world.nodes.values()),
                attempts=tuple(self.world.attempts.values()),
            )

    def launch(self, order):
        self._reach()
        with self.world.lock:
            if order.attempt in self.world.orders:
                return
            self.world.orders[order.attempt] = order
            self.world.launched.append(order.attempt)
            self.world.attempts[order.attempt] = AttemptSeen(
                attempt=order.attempt,
                phase=Phase.RUNNING,
                started_s=time.time(),
                nodes=tuple(share.node for share in order.shares),
            )
        self.world.bell.set()

    def stop(self, attempt, stop):
        self._reach()
        with self.world.lock:
            self.world.stopped.append((attempt, stop))
            one = self.world.attempts[attempt]
            if one.phase is not Phase.ENDED:
                self.world.attempts[attempt] = replace(one, phase=Phase.STOPPING)
        self.world.bell.set()

    def fence(self, attempt):
        self._reach()
        with self.world.lock:
            if not self.world.fences:
                return False
            one = self.world.attempts.get(attempt)
            if one is not None and one.phase is not Phase.ENDED:
                self.world.attempts[attempt] = replace(
                    one, phase=Phase.ENDED, end=End.NODE_FAIL, ended_s=time.time()
                )
        self.world.bell.set()
        return True

    def signal(self, attempt, signal):
        self._reach()

    def drain(self, node, reason):
        self._reach()
        self.world.nodes[node] = replace(self.world.nodes[node], drained=True, reason=reason)

    def undrain(self, node):
        self._reach()
        self.world.nodes[node] = replace(self.world.nodes[node], drained=False, reason="")

    def log_path(self, attempt, rank, stream):
        return None

    def report_path(self, attempt):
        return None

    def forget(self, attempts):
        with self.world.lock:
            for attempt in attempts:
                self.world.attempts.pop(attempt, None)
                self.world.forgotten.append(attempt)


ONE_QUEUE = (Quota(queue="default"),)


def centre(nodes=2, gpus=4, queues=ONE_QUEUE, **more):
    group = Nodes(name="n", num_nodes=nodes, num_gpus=gpus, num_cpus=8)
    return Centre(nodes=(group,), queues=tuple(queues), **more)


def world_of(centre_):
    nodes = {
        name: NodeSeen(name=name, up=True, num_gpus=group.num_gpus, num_cpus=group.num_cpus)
        for group in centre_.nodes
        for name in group.names
    }
    return World(nodes=nodes)


def conducted(path, world, centre_=None, *, url="", **more):
    """Return a control plane over a world; the centre is written down where it is new."""
    journal = Journal(url or str(path / "journal.sqlite"))
    conductor = Conductor(journal, WorldEngine(world), path / "jobs", **more)
    if centre_ is not None:
        conductor.prepare(lambda book, now: orders.change_centre(book, centre_, now))
    conductor.start()
    return conductor


def job(name="train", gpus=4, nodes=1, **more):
    return JobSpec(name=name, command=("true",), gpus_per_node_ratio=gpus, num_nodes=nodes, **more)


def submit(conductor, spec, who="ann"):
    return conductor.ask(lambda book, now: orders.submit(book, spec, now, who))[0].job


def until(condition, what="it"):
    """Wait until something holds, and return what it gave."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    message = f"{what} did not come about in {DEADLINE_S:.0f} s"
    raise AssertionError(message)


def state_of(conductor, name):
    with conductor.reading() as book:
        return str(book.jobs[name].state)


def comes_to(conductor, name, state):
    until(lambda: state_of(conductor, name) == state, f"job {name} {state}")
