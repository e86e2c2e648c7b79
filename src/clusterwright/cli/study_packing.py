"""`clusterwright study packing`: how much of shared accelerators a placement can hand out."""

import dataclasses
from typing import Annotated

from cyclopts import Parameter

from clusterwright.cli import files
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.cli.progress import Progress
from clusterwright.errors import ExitCode, UsageError
from clusterwright.sched.packing import PACKINGS, packing_of
from clusterwright.sched.workload import Workload
from clusterwright.study.packing import PackingResult, study
from clusterwright.traces.pods import Pods, read_machines, read_pods

_SHOWN = (
    *("name", "allocated_fraction", "spread_fraction", "allocated_at_full_fraction"),
    *("gangs_placed_fraction", "num_passed_over"),
)
_SHOWN_DROPS = 5  # dropped rows that are told one by one; all are counted


def packing(
    *,
    nodes: Annotated[FileName | None, Parameter(name="--nodes")] = None,
    trace: Annotated[FileName | None, Parameter(name="--trace")] = None,
    placement: Annotated[str, Parameter(name="--placement")] = ",".join(PACKINGS),
    typical: Annotated[FileName | None, Parameter(name="--typical")] = None,
    arrival: float = 1.3,
    seeds: int = 10,
    first_seed: int = 42,
    list_placements: Annotated[bool, Parameter(name="--list", negative=())] = False,
    common: Common | None = None,
) -> int:
    """Fill nodes with pods that share accelerators, by several placements.

    Pods come in random order, then are drawn again, until the accelerators asked for reach
    --arrival times those there are. None leaves; one that does not fit is passed over.

    Parameters
    ----------
    nodes
        CSV table of nodes: node, gpus, cpus, mem_gb, gpu_type.
    trace
        CSV table of pods: job_id, gpus, cpus, mem_gb, gpu_type (`A|B` for either).
    placement
        Placements to compare, separated by commas.
    typical
        Table of pods that placements take for typical; otherwise those of --trace. Take an earlier
        month here to see what a placement does that knows only the past.
    arrival
        Accelerators asked for in the end, of those there are.
    seeds
        Orders of arrival.
    first_seed
        Seed of the first; the others follow.
    list_placements
        List the placements and leave.
    """
    common = common or Common()
    if list_placements:
        listed = [{"name": one.name, "rule": one.rule} for one in PACKINGS.values()]
        emit(Answer(document=items_document("PlacementList", listed), rows=listed), common)
        return ExitCode.OK
    if nodes is None or trace is None:
        msg = "study packing needs --nodes NODES.csv and --trace PODS.csv"
        raise UsageError(msg)
    names = [name.strip() for name in placement.split(",") if name.strip()]
    chosen = [packing_of(name) for name in names]
    progress = Progress(common)
    machines = read_machines(files.read_bytes(nodes), file=nodes)
    pods = _pods(trace, progress)
    known = Workload.seen((_pods(typical, progress) if typical else pods).requests)
    numbers = range(first_seed, first_seed + seeds)
    rows = []
    for one in chosen:
        with progress.step(f"filling by {one.name}"):
            result = study(
                machines, pods.requests, one, typical=known, arrival=arrival, seeds=numbers
            )
        rows.append(_row(result))
    document = items_document(
        "PackingStudy",
        rows,
        arrival_ratio=arrival,
        seeds=list(numbers),
        num_nodes=len(machines),
        num_gpus=sum(one.num_gpus for one in machines),
        num_dropped_rows=len(pods.dropped),
    )
    emit(Answer(document=document, rows=rows, columns=_SHOWN), common)
    return ExitCode.OK


def _pods(path: str, progress: Progress) -> Pods:
    pods = read_pods(files.read_bytes(path), file=path)
    for fault in pods.dropped[:_SHOWN_DROPS]:
        progress.say(str(fault))
    if pods.dropped:
        progress.say(f"{path}: {len(pods.dropped)} rows could not be used")
    return pods


def _row(result: PackingResult) -> dict[str, object]:
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(result).items()
    }
