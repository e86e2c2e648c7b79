"""Fill the published GPU-sharing pool by every placement, and write the page of the docs.

    OPENBLAS_NUM_THREADS=1 .venv/bin/python benchmarks/packing.py [--seeds N] [--write FILE]

Reads the openb traces and the published results beside the repository (../shared), which may not be
shipped. The first table repeats the published experiment; the second changes the workload, and what
the placements know of it; the third changes the weights of `foresight`.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from clusterwright.sched.foresight import GANG, OFFERS, PRICE, Foresight
from clusterwright.sched.packing import PACKINGS, Packing
from clusterwright.sched.shares import Machine, Request
from clusterwright.sched.workload import Workload
from clusterwright.study.packing import PackingResult, study
from clusterwright.traces.pods import read_machines, read_pods

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT.parent / "shared" / "reference"
TRACES = {"default": "openb_2023_default", "pinned": "openb_2023_gpuspec33"}
FIRST_SEED = 42
CHANGED = ("fgd", "foresight")
"""Placements whose lead is looked at under changed workloads."""

Requests = Sequence[Request]
HEAD = """# Packing of shared accelerators

Written by `benchmarks/packing.py`; do not edit. Decision [0012](../decisions/0012-foresight.md)
says why, the [how-to](../how-to/pack-shared-gpus.md) says how to run it on your own pods.

The experiment of Weng et al. (USENIX ATC 2023): 8,152 pods of a production cluster come in random
order to 1,523 nodes (1,213 of them with 6,212 GPUs of seven models, 310 with cores only); then more
are drawn from them with replacement until the GPUs asked for are 130 % of those there are. None
leaves, one that does not fit is passed over. Conventions: a pod without GPU (1,088 of them) is
placed like any other, on whatever node the placement prefers, and takes cores and memory there; a
pod asks whole GPUs or a share of one; `A|B` may run on either model; main memory is a limit too.
*default* pins no pod to a model, *pinned* pins 33 % of the GPU pods.
"""


def main() -> int:
    """Measure, print, and write the page where it is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="orders of arrival, first table")
    parser.add_argument("--few", type=int, default=3, help="orders of arrival, other tables")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the page in FILE too")
    options = parser.parse_args()
    if not REFERENCE.is_dir():
        print("the openb traces are not beside the repository (../shared)", file=sys.stderr)
        return 1
    bench = Bench(options.seeds, options.few)
    text = "\n".join([HEAD, bench.published(), bench.changed(), bench.weights()])
    print(text)
    if options.write:
        (ROOT / options.write).write_text(text, encoding="utf-8")
    return 0


class Bench:
    """The tables, over one pool."""

    def __init__(self, seeds: int, few: int) -> None:
        """Read nodes and pods."""
        folder = REFERENCE / "traces"
        name = "openb_2023_nodes.csv.gz"
        self.machines: tuple[Machine, ...] = read_machines((folder / name).read_bytes(), file=name)
        self.pods = {
            name: read_pods((folder / f"{file}.csv.gz").read_bytes(), file=file).requests
            for name, file in TRACES.items()
        }
        self.seeds = range(FIRST_SEED, FIRST_SEED + seeds)
        self.few = range(FIRST_SEED, FIRST_SEED + few)

    def run(
        self, packing: Packing, pods: Requests, typical: Requests, seeds: Sequence[int]
    ) -> PackingResult:
        """Return what a placement reaches."""
        print(f"packing: {packing.name}, {len(seeds)} seeds", file=sys.stderr, flush=True)
        known = Workload.seen(typical)
        return study(self.machines, pods, packing, typical=known, arrival=1.3, seeds=seeds)

    def published(self) -> str:
        """Return the published experiment, with the published figures beside ours."""
        lines = [
            "## All placements\n",
            f"GPUs handed out, in per cent of all; {len(self.seeds)} seeds, ± over the seeds. "
            "Gangs: pods of several GPUs placed by 100 %, of those that came.\n",
            "| trace | placement | at 130 % | ± | published | at 100 % | published | gangs |",
            "|---|---|---:|---:|---:|---:|---:|---:|",
        ]
        told = published()
        for trace, pods in self.pods.items():
            for name, packing in PACKINGS.items():
                got = self.run(packing, pods, pods, self.seeds)
                end, full = told.get((TRACES[trace], name.replace("-", "")), ("", ""))
                cells = (
                    f"{percent(got.allocated_fraction)} | {percent(got.spread_fraction)} | {end} | "
                    f"{percent(got.allocated_at_full_fraction)} | {full} | "
                    f"{percent(got.gangs_placed_fraction or 0)}"
                )
                lines.append(f"| {trace} | {name} | {cells} |")
        return "\n".join(lines) + "\n"

    def changed(self) -> str:
        """Return the lead over FGD where the workload is another, or less is known of it."""
        lines = [
            "## Other workloads, and less knowledge of them\n",
            f"At 130 % (at 100 %), per cent; {len(self.few)} seeds.\n",
            "| trace | pods that come | typical pods known from | fgd | foresight |",
            "|---|---|---|---:|---:|",
        ]
        for trace, pods in self.pods.items():
            for come, known, change in CHANGES:
                coming, typical = change(pods)
                got = [self.run(PACKINGS[n], coming, typical, self.few) for n in CHANGED]
                lines.append(f"| {trace} | {come} | {known} | {' | '.join(map(both, got))} |")
        return "\n".join(lines) + "\n"

    def weights(self) -> str:
        """Return how much the weights of `foresight` matter."""
        lines = [
            "## Weights of foresight\n",
            f"Usual: {OFFERS} offers, gang {GANG:g}, price {PRICE:g}. "
            f"At 130 % (at 100 %), per cent; {len(self.few)} seeds.\n",
            f"| offers | gang | price | {' | '.join(self.pods)} |",
            f"|---:|---:|---:|{'---:|' * len(self.pods)}",
        ]
        for offers, gang, price in WEIGHTS:
            packing = weighted(offers, gang, price)
            got = [both(self.run(packing, pods, pods, self.few)) for pods in self.pods.values()]
            lines.append(f"| {offers} | {gang:g} | {price:g} | {' | '.join(got)} |")
        return "\n".join(lines) + "\n"


def halves(pods: Requests) -> tuple[Requests, Requests]:
    """Return a random half to come, and the other to know."""
    mixed = [pods[place] for place in np.random.default_rng(1).permutation(len(pods))]
    return mixed[::2], mixed[1::2]


def later(pods: Requests) -> tuple[Requests, Requests]:
    """Return the later half to come, and the earlier to know: rows stand in order of submission."""
    middle = len(pods) // 2
    return pods[middle:], pods[:middle]


def fewer_shares(pods: Requests) -> tuple[Requests, Requests]:
    """Return half of the shares with all others."""
    kept = [pod for place, pod in enumerate(pods) if not pod.is_shared or place % 2]
    return kept, kept


def more_gangs(pods: Requests) -> tuple[Requests, Requests]:
    """Return pods with those of several accelerators four times."""
    many = [pod for pod in pods for _ in range(4 if pod.num_gpus > 1 else 1)]
    return many, many


CHANGES: tuple[tuple[str, str, Callable[[Requests], tuple[Requests, Requests]]], ...] = (
    ("a random half", "the other half", halves),
    ("the later half", "the earlier half", later),
    ("half of the shares, all others", "the same", fewer_shares),
    ("gangs four times, all others", "the same", more_gangs),
)
WEIGHTS = (
    (OFFERS, GANG, PRICE),
    (20, GANG, PRICE),
    (80, GANG, PRICE),
    (OFFERS, 1.0, PRICE),
    (OFFERS, 4.0, PRICE),
    (OFFERS, GANG, 0.0),
    (OFFERS, GANG, 1.0),
    (OFFERS, GANG, 4.0),
)


def weighted(offers: int, gang: float, price: float) -> Packing:
    """Return foresight with other weights."""
    return Packing(
        name="foresight",
        rule="as weighted",
        make=lambda ledger, workload, _: Foresight(
            ledger, workload, offers=offers, gang=gang, price=price
        ),
    )


def published() -> dict[tuple[str, str], tuple[str, str]]:
    """Return what was published, at 130 % and at 100 %, by trace and placement."""
    with (REFERENCE / "scheduler_results.csv").open(newline="", encoding="utf-8") as table:
        rows = [row for row in csv.reader(table) if row[0].startswith("fgd.")]
    found = {}
    for row in rows:
        figures = next(cell for cell in row if "|" in cell and ";" in cell and cell[0].isdigit())
        full, end = figures.partition(";")[0].split("|")
        found[row[3], row[0].rpartition(".")[2]] = (end.strip(), full.strip())
    return found


def both(result: PackingResult) -> str:
    """Return the figures of a result in short."""
    end, full = result.allocated_fraction, result.allocated_at_full_fraction
    return f"{percent(end)} ({percent(full)})"


def percent(fraction: float) -> str:
    """Return a fraction in per cent."""
    return f"{100 * fraction:.2f}"


if __name__ == "__main__":
    sys.exit(main())
