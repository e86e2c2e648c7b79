"""What `clusterwright simulate --when` answers: who waits, why, and until when."""

from dataclasses import asdict

from clusterwright.cli import learned
from clusterwright.cli.output import Answer, items_document
from clusterwright.cli.progress import Progress
from clusterwright.errors import UsageError
from clusterwright.model.cluster import Cluster
from clusterwright.model.job import Job
from clusterwright.study.waiting import waiting
from clusterwright.twin import Luck, Setting, Speeds

_SHOWN = (
    *("job_id", "queue", "num_gpus_ratio", "waited_s", "reason", "start_in_p50_s"),
    *("start_in_p90_s", "message"),
)


def answer(
    cluster: Cluster,
    jobs: tuple[Job, ...],
    setting: Setting,
    speeds: Speeds,
    when: str,
    progress: Progress,
) -> Answer:
    """Return the jobs that wait at a time of a run.

    Raises
    ------
    UsageError
        If the time is none, or data would have to be followed on their way.
    """
    at_s = learned.seconds("--when", when)
    if setting.staging is not None:
        msg = "--when does not follow data on their way to the hot tier; leave staging out"
        raise UsageError(msg)
    luck = Luck(seed=setting.seed)
    with progress.step(f"running up to {when}, then {luck.num_samples} futures"):
        rows = waiting(
            cluster,
            jobs,
            setting,
            at_s=at_s,
            luck=luck,
            rate=None if speeds == Speeds() else speeds.on(cluster),
        )
    items = [asdict(row) for row in rows]
    document = items_document("WaitingList", items, at_s=at_s, **asdict(luck))
    return Answer(document=document, rows=items, columns=_SHOWN)
