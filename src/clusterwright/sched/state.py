"""The state of a scheduler: what waits, what runs, what is free. Events change it, nothing else.

`State.apply` is the only way to change it, and what it does depends on the event alone, so a log
of events played back gives the same state. It changes in place and returns itself: a copy of the
state of ten thousand nodes for every event would cost more than all scheduling. `picture` gives a
frozen picture for whoever must keep one.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterwright.errors import ClusterwrightError
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import QUANTA, Job, Reason
from clusterwright.model.policy import Policy
from clusterwright.sched import gates
from clusterwright.sched.line import Heads, Line
from clusterwright.sched.nodes import Ask, Placed, Pool
from clusterwright.sched.permits import permits_of
from clusterwright.sched.placement import placement_of
from clusterwright.sched.policies import key_of
from clusterwright.sched.quotas import Account, tree

if TYPE_CHECKING:
    from clusterwright.sched.deferrals import Deferrals

Rate = Callable[[int, Placed], float]
Lead = Callable[[int, Placed, float], float]
_HOLDS = {
    EventKind.HOLD: Reason.HELD_BY_USER,
    EventKind.HOLD_BY_ADMIN: Reason.HELD_BY_ADMIN,
    EventKind.DEFER: Reason.BEGIN_TIME,
}
_REBASE_AT = 2.0**500  # scaled usage is brought back down long before a float overflows


@dataclass(slots=True)
class Running:
    """A job on its nodes."""

    placed: Placed
    """Nodes with the quanta taken on each."""
    part: int
    """Which accelerator, when it holds a share of one; else -1."""
    since_s: float
    """When it started this time."""
    quanta: int
    """What it holds in all."""
    end_s: float
    """When it should end, by what is known beforehand."""
    resumed: bool
    """True when it ran before."""
    rate: float
    """Work done in a second, over that on all that it asks for, wherever it stands best."""
    lead_s: float = 0.0
    """Time on its nodes before work begins: a node has to wake up, data have to come."""


class State:
    """Everything that a scheduling decision looks at."""

    def __init__(
        self,
        cluster: Cluster,
        jobs: Sequence[Job],
        policy: Policy,
        *,
        pooled: bool = False,
        rate: Rate | None = None,
        lead: Lead | None = None,
        staged: bool = False,
    ) -> None:
        """Take the nodes and the jobs that may come; nothing waits or runs.

        With `pooled` all queues share all nodes, by the quotas of the cluster where it has any;
        without it each queue has its own. `rate` gives the speed of a job on its nodes, 1 where it
        stands best; absent, it is 1 everywhere. `lead` gives the time on its nodes from a start at
        some time until work begins; absent, there is none. With `staged` a job does not start
        before the data that it reads are on the hot tier.

        Raises
        ------
        InvalidInput
            If the quotas contradict each other.
        """
        self.jobs = jobs
        self.policy = policy
        self.key = key_of(policy)
        self.rate = rate
        self.lead = lead
        self.staged = staged
        self.hot: set[str] = set()
        self.until_hot: dict[str, list[int]] = {}
        self.place = placement_of(policy.placement)
        self.fair = "fair" in policy.order
        self.pools: dict[str, Pool] = {}
        self.lines: dict[str, Line] = {}
        self.line_of_queue: dict[str, Line] = {}
        self.lines_of: dict[str, list[Line]] = {}
        self.heads: dict[str, Heads] = {}
        self.accounts: dict[str, Account] = {}
        self.shared = pooled and bool(cluster.quotas)
        self.stops = any(rule != "reclaim" for rule in policy.preempt)
        self._by_end = policy.backfill != "none"
        self.running: dict[int, Running] = {}
        self.promises: dict[str, tuple[int, float, int]] = {}
        self.looked: dict[str, tuple[int, float, int, int]] = {}
        self.by_end: dict[str, list[tuple[float, int]]] = {}
        self.in_queue: dict[str, dict[int, None]] = {}
        self.gates: dict[int, Reason] = {}
        self.deferred: dict[int, None] = {}
        self.deferrals: Deferrals | None = None
        self.done: set[str] = set()
        self.on_node: list[dict[int, None]] = []
        self.remaining: dict[int, float] = {}
        self.pool_at: list[Pool] = []
        self.touched: dict[str, None] = {}
        self.wakes: dict[str, float] = {}
        self.stale: dict[str, dict[str, None]] = {}
        self.since: dict[int, float] = {}
        self.timers: list[tuple[float, int]] = []
        self.behind: dict[str, list[int]] = {}
        self.freed: list[int] = []
        self.arrays = gates.Arrays()
        self.owed_since: dict[int, float] = {}
        self.broken: list[tuple[str, float]] = []
        self._shapes: dict[tuple[object, ...], Ask] = {}
        self._asks: list[Ask | None] = [None] * len(jobs)
        self.epoch_s = 0.0
        self._build(cluster, pooled=pooled)
        self.permits = permits_of(self, cluster)

    def apply(self, event: Event) -> "State":
        """Change the state by what happened, and return it.

        Raises
        ------
        ClusterwrightError
            If the event cannot have happened in this state: a start on nodes that are not free, an
            end of a job that does not run.
        """
        kind = event.kind
        if kind is EventKind.START:
            self._start(event)
        elif kind is EventKind.FINISH or kind is EventKind.TIMEOUT:
            self._stop(event)
            self._close(event.job, kind)
        elif kind is EventKind.SUBMIT:
            self._submit(event)
        elif kind is EventKind.PREEMPT or kind is EventKind.INTERRUPT:
            self._stop(event)
            self.wait(event.job, event.time_s)
        elif kind is EventKind.CANCEL:
            self._cancel(event)
        elif kind in _HOLDS:
            self._hold(event.job, _HOLDS[kind])
        elif kind is EventKind.RELEASE or kind is EventKind.RELEASE_BY_ADMIN:
            self._release(event)
        elif kind is EventKind.RESIZE:
            self._stop(event)
            self.wait(event.job, event.time_s)
            self._start(event)
        elif kind is EventKind.STAGED:
            self.hot.add(self.jobs[event.job].dataset)
            self.freed += self.until_hot.pop(self.jobs[event.job].dataset, ())
        elif kind is EventKind.EVICTED:
            self.hot.discard(self.jobs[event.job].dataset)
        else:
            self._node(event)
        return self

    def expect(self, job: Job) -> int:
        """Take note of a job that may come, on top of those given at first; return its index."""
        assert isinstance(self.jobs, list)  # whoever adds jobs gives them as a list
        self.jobs.append(job)
        self._asks.append(None)
        return len(self.jobs) - 1

    def left_s(self, job: int) -> float:
        """Return the work that a job has still to do."""
        return self.remaining.get(job, self.jobs[job].duration_s)

    def guess_s(self, job: int) -> float:
        """Return how long a job will run on all that it asks for, by what is known beforehand."""
        one = self.jobs[job]
        left = self.remaining.get(job)
        if left is None:
            return one.guess_s
        return max(0.0, one.guess_s - (one.duration_s - left))

    def line(self, job: int) -> Line:
        """Return the line that a job waits in."""
        return self.line_of_queue[self.jobs[job].queue]

    def pool(self, job: int) -> Pool:
        """Return the nodes that a job may use."""
        return self.line_of_queue[self.jobs[job].queue].pool

    def ask(self, job: int) -> Ask:
        """Return what a job asks for; jobs of one shape share one object."""
        found = self._asks[job]
        if found is None:
            found = self._asks[job] = self.shape(self.jobs[job])
        return found

    def quanta(self, job: int) -> int:
        """Return the quanta (cores, on nodes without accelerators) that a job asks for."""
        return self.ask(job).quanta(self.pool(job).scale)

    def num_waiting(self) -> int:
        """Return how many jobs wait, those that may not be considered yet among them."""
        return sum(map(len, self.lines.values())) + len(self.gates)

    def wait(self, index: int, now_s: float) -> None:
        """Put a job in the line of its queue, where it waits since a time."""
        job = self.jobs[index]
        line = self.line_of_queue[job.queue]
        patience = self.policy.patience_s
        self.since[index] = now_s
        gates.enter(self, index)
        if self.deferrals is not None:
            self.deferrals.note(index)
        due = None if patience is None else job.submit_s + patience
        line.add(
            index, job, self.ask(index), self.key(job, self.left_s(index)), self.guess_s(index), due
        )
        self._spoil(line)

    def occupy(self, index: int, run: Running) -> None:
        """Book a job on the nodes that its pool has handed out to it."""
        line = self.line(index)
        self.running[index] = run
        if self._by_end:
            insort(self.by_end[line.pool.name], (run.end_s, index))
        if self.permits is not None:
            self.permits.start(index)
        self.in_queue[line.name][index] = None
        for node, _ in run.placed:
            self.on_node[node][index] = None
        line.account.book(run.quanta)

    def _build(self, cluster: Cluster, *, pooled: bool) -> None:
        groups: dict[str, list[tuple[int, NodeGroup]]] = {}
        first = 0
        for group in cluster.groups:
            # Cores and accelerators are different goods: pooling joins only alike nodes.
            name = ("all-gpus" if group.gpus_per_node else "all-cpus") if pooled else group.queue
            groups.setdefault(name, []).append((first, group))
            first += group.num_nodes
        for name, members in groups.items():
            self.pools[name] = Pool(name, members)
            self.heads[name] = Heads()
            self.by_end[name] = []
            self.stale[name] = {}
            self.lines_of[name] = []
        owner = {node: pool for pool in self.pools.values() for node in pool.nodes()}
        self.pool_at = [owner[node] for node in range(first)]
        self.on_node = [{} for _ in range(first)]
        self._open_lines(cluster, groups)

    def _open_lines(self, cluster: Cluster, groups: dict[str, list[tuple[int, NodeGroup]]]) -> None:
        queues: dict[str, Pool] = {}
        for name, members in groups.items():
            for _, group in members:
                queues.setdefault(group.queue, self.pools[name])
        if self.shared:
            biggest = max(self.pools.values(), key=lambda pool: pool.total_units * pool.scale)
            above = {one.parent for one in cluster.quotas}
            for one in cluster.quotas:
                if one.queue not in above:
                    queues.setdefault(one.queue, biggest)
            scales = {queue: pool.scale for queue, pool in queues.items()}
            self.accounts = tree(cluster.quotas, scales, biggest.scale)
        else:
            self.accounts = {name: Account(name=name) for name in (*queues, *self.pools)}
        for queue, pool in queues.items():
            name = queue if self.shared else pool.name
            if name not in self.lines:
                self.lines[name] = Line(
                    name,
                    len(self.lines),
                    pool,
                    self.accounts[name],
                    by_user=self.fair,
                    urgent=self.policy.patience_s is not None,
                    depth=self.policy.backfill_depth if self.policy.backfill == "easy" else 0,
                )
                self.lines_of[pool.name].append(self.lines[name])
                self.in_queue[name] = {}
            self.line_of_queue[queue] = self.lines[name]

    def shape(self, job: Job) -> Ask:
        """Return what a job would ask for, whether it is known here or not."""
        pool = self.line_of_queue[job.queue].pool
        ratio, share = job.num_gpus_ratio, 0
        units = job.num_cpus if pool.by_core else int(ratio)
        if not pool.by_core and units != ratio:
            units, share = (0, job.quanta) if ratio < 1 else (job.quanta // QUANTA, 0)
        beside = job.num_cpus if pool.cores is not None else 0
        memory = job.memory_bytes if pool.memory is not None else 0.0
        least = 0
        if job.min_gpus_ratio is not None and units:
            least = max(1, round(job.min_gpus_ratio))
        # On whole nodes the placement would do the same, and has a shorter way there.
        each = units // job.num_nodes if job.num_nodes else 0
        if each and all(kind.size == each for kind in pool.kinds):
            each = 0
        parts = (units, share, beside, memory, job.gpu_models, job.topology, least, each)
        found = self._shapes.get(parts)
        if found is None:
            found = self._shapes[parts] = Ask(*parts)
        return found

    def _submit(self, event: Event) -> None:
        job = self.jobs[event.job]
        reason = Reason.HELD_BY_USER if job.held else gates.reason_of(self, event.job, event.time_s)
        if reason is None:
            self.wait(event.job, event.time_s)
        else:
            gates.close(self, event.job, reason)

    def _hold(self, job: int, reason: Reason) -> None:
        line = self.line(job)
        self.deferred.pop(job, None)
        if reason is Reason.BEGIN_TIME:
            self.deferred[job] = None
        if job in self.gates:
            if self.gates[job] is not Reason.HELD_BY_ADMIN:  # an owner changes nothing about that
                self.gates[job] = reason
        elif job in line.entries:
            line.remove(job, self.ask(job))
            self.gates[job] = reason
            self._spoil(line)
            gates.leave(self, job)
        else:
            msg = f"job {self.jobs[job].job_id} does not wait, so it cannot be held"
            raise ClusterwrightError(msg)

    def _release(self, event: Event) -> None:
        job, now_s = event.job, event.time_s
        gate = self.gates.get(job)
        if gate is None or (gate is Reason.HELD_BY_ADMIN and event.kind is EventKind.RELEASE):
            who = "held back" if gate is None else "its owner's to release: an operator holds it"
            msg = f"job {self.jobs[job].job_id} is not {who}"
            raise ClusterwrightError(msg)
        del self.gates[job]
        self.deferred.pop(job, None)
        reason = gates.reason_of(self, job, now_s)
        if reason is None:
            self.wait(job, now_s)
        else:
            gates.close(self, job, reason)  # nobody holds it, but it waits for something else

    def _cancel(self, event: Event) -> None:
        job = event.job
        if job in self.running:
            self._stop(event)
        elif self.gates.pop(job, None) is None:
            line = self.line(job)
            if job not in line.entries:
                msg = f"job {self.jobs[job].job_id} neither waits nor runs"
                raise ClusterwrightError(msg)
            line.remove(job, self.ask(job))
            self._spoil(line)
        for noted in (self.remaining, self.since, self.owed_since, self.deferred):
            noted.pop(job, None)
        if self.deferrals is not None:
            self.deferrals.close(job)
        gates.leave(self, job)

    def _close(self, index: int, kind: EventKind) -> None:
        """Note that a job is gone for good, through or stopped at its limit."""
        self.remaining.pop(index, None)
        if self.deferrals is not None:
            self.deferrals.close(index)
        gates.leave(self, index)
        if kind is EventKind.FINISH:
            name = self.jobs[index].job_id
            self.done.add(name)
            self.freed += self.behind.pop(name, ())

    def _node(self, event: Event) -> None:
        pool, node = self.pool_at[event.node], event.node
        self.promises.pop(pool.name, None)
        if event.kind is EventKind.NODE_FAIL:
            if self.on_node[node]:
                msg = f"node {node} failed with jobs still on it; stop them first"
                raise ClusterwrightError(msg)
            pool.close(node)
        elif event.kind is EventKind.NODE_REPAIR:
            pool.reopen(node)
        elif event.kind is EventKind.DRAIN:
            pool.close(node, drain=True)
        else:
            pool.reopen(node, drain=True)
        self.touched[pool.name] = None

    def _start(self, event: Event) -> None:
        index = event.job
        job = self.jobs[index]
        line = self.line_of_queue[job.queue]
        pool, ask = line.pool, self.ask(index)
        wanted = ask.quanta(pool.scale)
        quanta = 0
        if index in self.running:
            msg = f"job {index} runs already"
            raise ClusterwrightError(msg)
        for _, taken in event.nodes:
            quanta += taken
        if quanta != wanted and not (ask.least and ask.least * pool.scale <= quanta <= wanted):
            msg = f"job {index} would start in part; a gang starts whole or not at all"
            raise ClusterwrightError(msg)
        lacks = pool.take(event.nodes, event.part, ask)
        if lacks is not None:
            msg = f"job {index} would take what node {lacks} does not have free"
            raise ClusterwrightError(msg)
        line.remove(index, ask)
        self.since.pop(index, None)
        resumed = index in self.remaining
        rate = quanta / wanted if wanted else 1.0
        if self.rate is not None:
            rate *= self.rate(index, event.nodes)
        lead_s = self.lead(index, event.nodes, event.time_s) if self.lead is not None else 0.0
        guess = lead_s + self.guess_s(index) / rate
        end_s = event.time_s + guess
        run = Running(event.nodes, event.part, event.time_s, quanta, end_s, resumed, rate, lead_s)
        self.occupy(index, run)
        if self.fair:
            self._charge(line, job, event.time_s, guess * quanta)
        self._spoil(line)

    def _stop(self, event: Event) -> None:
        index = event.job
        one = self.running.pop(index, None)
        if one is None:
            msg = f"job {index} does not run"
            raise ClusterwrightError(msg)
        job = self.jobs[index]
        line = self.line_of_queue[job.queue]
        pool = line.pool
        pool.give(one.placed, one.part, self.ask(index))
        if self._by_end:
            ends = self.by_end[pool.name]
            del ends[bisect_left(ends, (one.end_s, index))]
        if self.permits is not None:
            self.permits.stop(index, one.placed)
        del self.in_queue[line.name][index]
        for node, _ in one.placed:
            del self.on_node[node][index]
        left_s = self.remaining.get(index, job.duration_s)
        self.remaining[index] = max(0.0, left_s - event.kept_s)
        line.account.book(-one.quanta)
        if self.fair:
            left = one.end_s - event.time_s  # what was charged in advance and not used
            self._charge(line, job, event.time_s, -left * one.quanta)
        self.touched[pool.name] = None
        if line.entries or line.account.parent is not None:
            self._spoil(line)

    def _charge(self, line: Line, job: Job, now_s: float, quanta_s: float) -> None:
        """Charge a user and the queues above for what was granted, so that the next start sees it.

        Past usage decays. Instead of lowering all of it at every moment, what is new is raised: the
        order among users is the same, and nobody else's figure has to be touched.
        """
        amount = quanta_s / (line.pool.total_units * line.pool.scale or 1)
        if self.policy.half_life_s:
            amount *= 2.0 ** ((now_s - self.epoch_s) / self.policy.half_life_s)
        line.used[job.user] = line.used.get(job.user, 0.0) + amount
        line.account.charge(amount)
        if abs(amount) > _REBASE_AT:
            self._rebase(now_s)

    def _rebase(self, now_s: float) -> None:
        half_life_s = self.policy.half_life_s or 1.0
        down = 2.0 ** -((now_s - self.epoch_s) / half_life_s)
        for line in self.lines.values():
            line.used = {user: used * down for user, used in line.used.items()}
        for account in self.accounts.values():
            account.charged *= down
        self.epoch_s = now_s
        self._spoil_all()

    def _spoil(self, line: Line) -> None:
        """Note that the head of a line, or its rank, may have changed; with it that of siblings."""
        pool = line.pool.name
        self.touched[pool] = None
        self.stale[pool][line.name] = None
        if self.shared and line.account.parent is not None:
            self._spoil_all()  # a queue above may have others below it on other nodes

    def _spoil_all(self) -> None:
        """Note that the rank of every head may have changed."""
        for line in self.lines.values():
            self.stale[line.pool.name][line.name] = None
