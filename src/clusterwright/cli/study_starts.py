"""`clusterwright study starts`: whether jobs start when the twin says that they will."""

from dataclasses import asdict
from typing import Annotated, Literal

from cyclopts import Parameter

from clusterwright import sched
from clusterwright.cli import given, learned, load
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.cli.progress import Progress
from clusterwright.errors import ExitCode, UsageError
from clusterwright.model.policy import Backfill
from clusterwright.study.starts import LEVELS
from clusterwright.study.starts import starts as starts_of
from clusterwright.twin import Luck, Setting
from clusterwright.units import Seconds
from clusterwright.units import format as show

_SHOWN = (
    *("name", "num_forecasts", "num_moments", "started_by_p50_fraction", "started_by_p90_fraction"),
    *("pinball_p50_s", "pinball_p90_s", "avg_width_s"),
)


def starts(
    trace: FileName,
    *,
    queues: Annotated[FileName, Parameter(name="--queues")],
    history: Annotated[FileName | None, Parameter(name="--history")] = None,
    history_shift: Annotated[str | None, Parameter(name="--history-shift")] = None,
    start: Annotated[str | None, Parameter(name="--from")] = None,
    every: Annotated[str, Parameter(name="--every")] = "12h",
    policy: Annotated[str, Parameter(name="--policy")] = "fifo",
    backfill: Annotated[Backfill | None, Parameter(name="--backfill")] = None,
    borrowing: Literal["on", "off"] = "off",
    samples: int = Luck().num_samples,
    seed: int = 0,
    gpus_per_node: int = 8,
    common: Common | None = None,
) -> int:
    """Say how often waiting jobs started when they were foretold to start.

    The trace is replayed. At every moment the starts of all waiting jobs are foretold from what had
    happened by then, and held against the starts in the replay: half of the jobs should have
    started by P50, nine in ten by P90.

    Parameters
    ----------
    trace
        Trace in the tidy schema.
    queues
        CSV table queue,nodes; jobs of other queues are left out. With borrowing also parent,
        guarantee, deserved, limit and weight.
    history
        An earlier trace to learn run times from.
    history_shift
        How long before the trace's time 0 the history's lies, such as 30d; 0 by default.
    start
        The first moment, such as 14d; what was replayed before is learned from.
    every
        Time between moments.
    policy
        A policy by its name.
    backfill
        none, easy or conservative; absent, as the policy says.
    borrowing
        on: queues lend each other what is idle; off: each has its own nodes.
    samples
        Futures drawn for each moment.
    seed
        Seed of all of them.
    gpus_per_node
        Accelerators of one node.
    """
    common = common or Common()
    progress = Progress(common)
    every_s = learned.seconds("--every", every)
    if every_s <= 0 or samples < 1:
        msg = f"--every {every}, --samples {samples}: write more than nothing of each"
        raise UsageError(msg)
    how = sched.with_changes(sched.policy_of(policy), backfill=backfill)
    shared = borrowing == "on"
    cluster, _ = given.cluster(None, None, queues, gpus_per_node, None, hourly=False)
    found = learned.split(
        trace,
        history=history,
        history_shift=history_shift,
        start=None,
        overlap=False,
        progress=progress,
    )
    jobs = given.fitting(found.jobs, cluster, progress, shared=shared)
    if shared:
        saves = given.checkpoints(given.Saving(None, None, None), load.the_catalog(None))
        jobs = tuple(saves.on(job) for job in jobs)
    from_s = found.from_s + every_s if start is None else learned.seconds("--from", start)
    luck = Luck(num_samples=samples, seed=seed)
    with progress.step(f"replaying {len(jobs):,} jobs") as step:
        rows = starts_of(
            cluster,
            jobs,
            Setting(policy=how, pooled=shared, seed=seed),
            found.past,
            from_s=from_s,
            every_s=every_s,
            luck=luck,
            told=step.update,
        )
    if not rows:
        msg = f"nothing waited at any moment from {show(from_s, Seconds)} on, every {every}"
        raise UsageError(msg)
    items = [asdict(row) for row in rows]
    document = items_document("StartsList", items, levels=LEVELS, **asdict(luck))
    emit(Answer(document=document, rows=items, columns=_SHOWN), common)
    return ExitCode.OK
