"""`clusterwright study learning`: whether an order by predicted run times pays later on."""

from dataclasses import asdict
from typing import Annotated, Literal

from cyclopts import Parameter

from clusterwright import traces
from clusterwright.cli import files, given, learned
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.cli.progress import Progress
from clusterwright.errors import ExitCode, UsageError
from clusterwright.study.learning import orders

_SHOWN = (
    *("name", "knows", "avg_jct_s", "avg_wait_s", "p99_wait_s", "max_wait_s"),
    *("largest_avg_wait_s", "largest_p99_wait_s"),
)


def learning(
    trace: FileName,
    *,
    queues: Annotated[FileName, Parameter(name="--queues")],
    history: Annotated[FileName | None, Parameter(name="--history")] = None,
    history_shift: Annotated[str | None, Parameter(name="--history-shift")] = None,
    start: Annotated[str | None, Parameter(name="--from")] = None,
    model: Annotated[Literal["history", "lightgbm"], Parameter(name="--model")] = "history",
    online: Annotated[str | None, Parameter(name="--online")] = None,
    guard: Annotated[str, Parameter(name="--guard")] = "30d",
    gpus_per_node: int = 8,
    common: Common | None = None,
) -> int:
    """Hold an order by predicted run times against others, on a later period.

    First come first served, fewest accelerators first, as predicted, predicted under the guard, and
    shortest true run time. Every order runs in the twin on the same nodes, each queue on its own;
    predictions know only what came before the period.

    Parameters
    ----------
    trace
        Trace of the period in the tidy schema.
    queues
        CSV table queue,nodes; jobs of other queues are left out.
    history
        The earlier trace to learn from.
    history_shift
        How long before the trace's time 0 the history's lies, such as 30d; 0 by default.
    start
        Run jobs submitted from this time on, such as 14d; what the trace holds before is learned
        from.
    model
        history (tables by user, queue, size and hour) or lightgbm.
    online
        One order more: learn at every such step, for example 1h or 1d, what has ended. The period
        is run about half as often as there are steps with a submission.
    guard
        How long after a job those are submitted that may still overtake it, at most.
    gpus_per_node
        Accelerators of one node.
    """
    common = common or Common()
    progress = Progress(common)
    window_s = learned.seconds("--guard", guard)
    every_s = None if online is None else learned.seconds("--online", online)
    if every_s is not None and every_s <= 0:
        msg = f"--online {online}: a step is longer than nothing; write 1h or 1d"
        raise UsageError(msg)
    cluster = traces.read_queues(files.read_bytes(queues), file=queues, gpus_per_node=gpus_per_node)
    found = learned.split(
        trace,
        history=history,
        history_shift=history_shift,
        start=start,
        overlap=False,
        progress=progress,
    )
    kept = given.fitting(found.jobs, cluster, progress, shared=False)
    held = {job.job_id for job in kept}
    outlooks = [
        one
        for job, one in zip(found.jobs, learned.outlooks(found, model), strict=True)
        if job.job_id in held
    ]
    with progress.step(f"running {len(kept):,} jobs on {cluster.num_gpus:,} accelerators") as step:
        rows = orders(
            cluster,
            kept,
            found.past,
            from_s=found.from_s,
            outlooks=outlooks,
            window_s=window_s,
            every_s=every_s,
            told=step.update,
        )
    items = [asdict(row) for row in rows]
    document = items_document("OrderList", items, model=model, guard_s=window_s)
    emit(Answer(document=document, rows=items, columns=_SHOWN), common)
    return ExitCode.OK
