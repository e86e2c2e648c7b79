"""`clusterwright study tune`: a policy searched for on one period, and its gain on a later one."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import Parameter

from clusterwright import documents
from clusterwright.cli import files, given, learned, load, tuned
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import Answer, csv_text, emit
from clusterwright.cli.progress import Progress
from clusterwright.errors import ExitCode, Fault, InvalidInput, UsageError
from clusterwright.learn import Guess
from clusterwright.study import carrying, space, wishes
from clusterwright.study.bench import Bench, Task, prepare
from clusterwright.study.carrying import Gain, Ran
from clusterwright.study.space import Candidate, Grid, PolicySpace
from clusterwright.study.tuning import Searcher
from clusterwright.study.wishes import Measured, Wishes
from clusterwright.units import Seconds

T = TypeVar("T")
_NAMED = "fifo,fifo+easy,smallest,predicted,qssf"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the jobs run."""

    queues: Annotated[FileName | None, Parameter(name="--queues")] = None
    """CSV table queue,nodes, with borrowing also parent, guarantee, deserved, limit and weight."""
    nodes: Annotated[FileName | None, Parameter(name="--nodes")] = None
    """Instead: a number of nodes, or a CSV table of them; all jobs are of one queue."""
    design: Annotated[FileName | None, Parameter(name="--design")] = None
    """Instead: a design.yaml, or the directory it is in; then energy and cost can be asked for."""
    gpus_per_node: int = 8
    """Accelerators of one node, for --nodes and --queues."""
    borrowing: Literal["on", "off"] = "off"
    """on: queues lend each other what is idle and take back what they are owed."""
    checkpoint_every: Annotated[str | None, Parameter(name="--checkpoint-every")] = None
    """Work between two checkpoints, for policies that stop jobs."""
    checkpoint_cost: Annotated[str | None, Parameter(name="--checkpoint-cost")] = None
    """Time that one checkpoint stops the work."""
    restart_cost: Annotated[str | None, Parameter(name="--restart-cost")] = None
    """Time that a stopped job needs to go on."""
    catalog: Annotated[str | None, Parameter(name="--catalog")] = None
    """Directory of your own parts, laid over the catalogue."""

    def bench(self, seed: int) -> Bench:
        """Return the nodes and rules, without periods."""
        nodes, power = given.cluster(
            self.design, self.nodes, self.queues, self.gpus_per_node, self.catalog, hourly=False
        )
        parts = load.the_catalog(self.catalog)
        saving = given.Saving(self.checkpoint_every, self.checkpoint_cost, self.restart_cost)
        return Bench(
            cluster=nodes,
            lending=self.borrowing == "on" or self.queues is None,
            checkpoints=given.checkpoints(saving, parts),
            power=power,
            wake_s=parts.default("plan.wake_time", Seconds),
            seed=seed,
            periods=(),
        )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Times:
    """Which jobs are searched on, and which are later."""

    start: Annotated[str | None, Parameter(name="--from")] = None
    """When the later period begins, such as 14d; what the trace holds before is searched on."""
    history: Annotated[FileName | None, Parameter(name="--history")] = None
    """Instead: an earlier trace to search on; the whole trace is the later period."""
    history_shift: Annotated[str | None, Parameter(name="--history-shift")] = None
    """How long before the trace's time 0 the history's lies, such as 30d; 0 by default."""
    windows: int = 4
    """Equal parts of the time searched that are runs of their own, after a first one that is only
    learned from."""


def tune(
    trace: FileName,
    *,
    place: Place | None = None,
    times: Times | None = None,
    objective: str = "avg_wait",
    limit: Annotated[tuple[str, ...], Parameter(name="--limit", negative=())] = (),
    policy: Annotated[str, Parameter(name="--policy")] = "fifo",
    guess: Guess = "order",
    space_file: Annotated[FileName | None, Parameter(name="--space")] = None,
    against: str = _NAMED,
    budget: int = 100,
    seed: int = 0,
    processes: int = 1,
    out: Annotated[str | None, Parameter(name="--out")] = None,
    guesses: Annotated[str | None, Parameter(name="--guesses")] = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    common: Common | None = None,
) -> int:
    """Search a policy for an objective under limits, and say what it gains on a later period.

    Every trial is a run of the twin on one window of the time searched. The later period is run
    once, with what was found. Nothing knows run times beforehand: estimates are learned from what
    had ended. A figure is FIELD, QUEUE:FIELD or *:FIELD (the worst queue), such as avg_wait,
    p99_wait, avg_jct, gpu_utilization, goodput, preemptions or num_guarantees_broken. Ends with 1
    when no trial holds the limits.

    Parameters
    ----------
    trace
        Trace in the tidy schema, CSV or gzip of it.
    objective
        The figure that is to become better.
    limit
        What must hold, such as "p99_wait<=2d" or, against the policy started from,
        "*:p95_wait<=1.1*start"; may be given several times. The mean over the windows counts.
    policy
        The policy to start from: a name or a policy.yaml.
    guess
        What that policy is told of run times: order, mean, p50 or p90.
    space_file
        A PolicySpace that narrows what is searched.
    against
        Policies to compare with, separated by commas, with +easy or +conservative for backfill.
    budget
        Runs of the twin to search with.
    seed
        Seed of the search; one seed, one answer.
    processes
        Runs made at a time.
    out
        File for the policy found, for `simulate --policy`.
    guesses
        File for the estimates of the later period that go with it, for `simulate --estimates`.
    dry_run
        Search in full, write nothing.
    """
    common, place, times = common or Common(), place or Place(), times or Times()
    _refuse(budget, times.windows, processes)
    start = Candidate(policy=given.policy(policy), guess=guess)
    space.refuse_oracles(start.policy, file=policy)
    wanted = _space(space_file)
    named = _named(against)
    bare = place.bench(seed)
    asked = wishes.read(objective, limit, bare.cluster.queues, power=bare.power is not None)
    progress = Progress(common)
    tried, judged = _benches(trace, place, times, bare, start, progress)
    grid = Grid(wanted, start, tried.facts(), tried.spread)
    searched, whole = (_num_jobs(bench) for bench in (tried, judged))
    gains: tuple[Gain, ...] = ()
    with _workers((tried, judged), processes) as work:
        with progress.step(f"searching {len(tried.periods)} windows with {searched:,} jobs"):
            found = Searcher(
                grid,
                asked,
                num_windows=len(tried.periods),
                budget=budget,
                seed=seed,
                run=lambda tasks: work(_measure, _TRIED, tasks),
                told=progress.say,
            ).search(named.values())
        if found.chosen is not None:
            with progress.step(f"judging on both periods with {whole:,} jobs"):
                gains = _judged(found.chosen.candidate, start, policy, named, asked, seed, work)
    result = tuned.Result(
        name=trace,
        search=found,
        grid=grid,
        wishes=asked,
        gains=gains,
        start=policy,
        bench=tried,
        later=judged.periods[1],
        seed=seed,
        budget=budget,
    )
    for warning in result.warnings:
        progress.say(f"warning: {warning}")
    if found.chosen is not None and not dry_run:
        _write(out, documents.dump(result.policy))
        _write(guesses, _estimates(judged, found.chosen.candidate.guess))
    emit(
        Answer(document=result.document(), rows=result.rows(), text=result.text(), key="number"),
        common,
    )
    return ExitCode.OK if found.chosen is not None else ExitCode.NO


def _refuse(budget: int, windows: int, processes: int) -> None:
    faults = []
    if windows < 1:
        faults.append(Fault(file=f"--windows {windows}", message="is below 1"))
    if budget < 2 * windows:
        message = f"does not run the start and one other policy on {windows} windows"
        remedy = f"at least {2 * windows}, or fewer --windows"
        faults.append(Fault(file=f"--budget {budget}", message=message, remedy=remedy))
    if processes < 1:
        faults.append(Fault(file=f"--processes {processes}", message="is below 1"))
    if faults:
        raise InvalidInput(faults)


def _space(file: str | None) -> PolicySpace:
    if file is None:
        return PolicySpace()
    found = documents.read(files.read_bytes(file), PolicySpace, file=file)
    space.check(found, file=file)
    return found


def _named(text: str) -> dict[str, Candidate]:
    """Return the policies to compare with; each is told of run times what its kind needs."""
    found = {}
    for name in (one.strip() for one in text.split(",")):
        if not name:
            continue
        base, _, backfill = name.partition("+")
        policy = replace(given.policy(base, backfill or None), name=name)
        space.refuse_oracles(policy, file=f"--against {name}")
        guess: Guess = "order"
        if "estimate" in policy.order:
            guess = "p50"
        elif policy.backfill != "none" and "work" not in policy.order:
            guess = "p90"
        found[name] = Candidate(policy=policy, guess=guess)
    return found


def _benches(
    trace: str, place: Place, times: Times, bare: Bench, start: Candidate, progress: Progress
) -> tuple[Bench, Bench]:
    split = learned.split(
        trace,
        history=times.history,
        history_shift=times.history_shift,
        start=times.start,
        overlap=False,
        progress=progress,
    )
    jobs = [*(one.job for one in split.past), *split.jobs]
    if place.queues is None:
        jobs = [replace(job, queue=bare.cluster.queues[0]) for job in jobs]
    kept = given.fitting(tuple(jobs), bare.cluster, progress, shared=bare.lending)
    before = [job for job in kept if job.submit_s < split.from_s]
    later = [job for job in kept if job.submit_s >= split.from_s]
    if not later:
        msg = f"{trace}: no job of the later period is in a queue with nodes"
        raise UsageError(msg)
    with progress.step(f"running {start.policy.name} for the ends of {len(before):,} jobs"):
        return prepare(bare, before, later, from_s=split.from_s, start=start, windows=times.windows)


def _judged(
    chosen: Candidate,
    start: Candidate,
    start_name: str,
    named: dict[str, Candidate],
    asked: Wishes,
    seed: int,
    work: "Work",
) -> tuple[Gain, ...]:
    others = {name: one for name, one in named.items() if name != start_name}
    ran = {"tuned": chosen, start_name: start, **others}
    places = range(len(carrying.PERIODS))
    tasks = [Task(candidate=one, period=place) for one in ran.values() for place in places]
    looks = iter(work(_look, _JUDGED, tasks))
    results = {name: [next(looks) for _ in places] for name in ran}
    return carrying.gains(asked, results, tuned="tuned", start=start_name, seed=seed)


def _estimates(judged: Bench, guess: Guess) -> str:
    later = judged.periods[1]
    pairs = zip(later.jobs, later.guesses[guess], strict=True)
    rows = [{"job_id": job.job_id, "est_duration_s": told_s} for job, told_s in pairs]
    return csv_text(rows, ("job_id", "est_duration_s"))


def _write(out: str | None, text: str) -> None:
    if out is not None:
        target = Path(out)
        files.write_directory(str(target.parent), {target.name: text})


def _num_jobs(bench: Bench) -> int:
    return sum(len(period.jobs) for period in bench.periods)


_TRIED, _JUDGED = 0, 1  # which bench a run is made on
Work = Callable[[Callable[[Bench, Task], Any], int, Sequence[Task]], list[Any]]
"""Makes runs of one kind on one bench in the order of the tasks, one or several at a time."""
_HERE: list[Bench] = []  # the benches of this worker process: sent once, not with every task


@contextmanager
def _workers(benches: tuple[Bench, Bench], processes: int) -> Iterator[Work]:
    if processes == 1:
        yield lambda make, which, tasks: [make(benches[which], task) for task in tasks]
        return
    # Fresh interpreters: copies of this one would take its threads' locks along.
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_take, initargs=benches
    ) as pool:
        yield lambda make, which, tasks: list(pool.map(_there, repeat(make), repeat(which), tasks))


def _take(*benches: Bench) -> None:
    _HERE.extend(benches)


def _there(make: Callable[[Bench, Task], T], which: int, task: Task) -> T:
    return make(_HERE[which], task)


def _measure(bench: Bench, task: Task) -> Measured:
    return bench.measure(task)


def _look(bench: Bench, task: Task) -> Ran:
    measured, jobs = bench.look(task)
    return Ran(measured=measured, jobs=jobs)
