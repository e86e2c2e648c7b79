"""Hold the scheduler's decisions against exact optima on small cases; write the page of the docs.

    .venv/bin/python benchmarks/optima.py [WORD ...] [--cases N] [--write FILE] [--json]

Needs the extra `cpsat`. With words only rows whose title has one of them are measured. The exit
code is 1 when a row that must stay within a tenth of the optimum does not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from exact import cutting, placing, stopping
from exact.table import WITHIN, Outcome, Row, Solver, measured

ROOT = Path(__file__).resolve().parents[1]
SECTIONS: dict[str, tuple[str, list[Row]]] = {
    "Placement": (
        "One job on a cluster that is half full. A gang costs the domains, leaves or pods that it "
        "stands in, and the room that later arrivals lose, by accelerator that it takes; in "
        "segments that are preferred, the pieces that they come in instead. Part of a node costs "
        "the room lost alone; by `spread`, what the squared load of the nodes grows. Room: what "
        "is free, counted in blocks of the sizes that later arrivals ask for (40 % one "
        "accelerator, 15 % two, 10 % four, 15 % eight, 10 % sixteen, 6 % 32, 4 % 64), gangs in "
        "the smallest of domain, leaf and pod that holds them. `consolidate` follows a rule that "
        "is given (the fullest node that fits, wherever it is), so it is only told.",
        placing.rows(),
    ),
    "Preemption and reclaim": (
        "A cluster that is nine tenths full of jobs of three priorities, with checkpoints of "
        "different age, one in ten not to be stopped, all shielded for ten minutes. The cost is "
        "the accelerator-seconds since the last checkpoint, and those of the restart, of all that "
        "are stopped. The optimum frees a place within one domain, leaf or pod where that is "
        "asked for, and for reclaim lets no queue fall below its guarantee by more than its last "
        "job crosses it. Several jobs *together*: the scheduler serves one after the other as "
        "they come to the head of the queue, the optimum knows them all; so it is only told.",
        stopping.rows(),
    ),
    "One job after the other": (
        "Jobs come in order until half as much again is asked for as is free; none leaves. The "
        "optimum (or a bound on it) knows all that will come, no scheduler does; so these are only "
        "told.",
        placing.sequences(),
    ),
    "Parts of accelerators": (
        "MIG: compute slices served of instances asked for one after the other, in legal "
        "positions; the optimum knows them all, so it is only told. A recut knows what is wanted. "
        "Shares: quanta placed of pods with cores and memory that ask for 130 % of two to four "
        "nodes, against what a choice of pods with all of them known could hold, or a bound on "
        "it; only told.",
        cutting.rows(),
    ),
}
HEAD = """# Decisions against exact optima

Written by `benchmarks/optima.py`; do not edit. Small random clusters (12 to 36 nodes of 4 or 8
accelerators in domains, leaves and pods; two to four nodes for shares), made by seed; each decision
of the scheduler beside the optimum that OR-Tools CP-SAT proves. A ratio of 1 is optimal; where more
is better it is optimum over ours. *p90* and *worst* are over the cases, *optimal* is the part of
them that could not be better, *missed* counts cases in which something fits and was not found. Rows
with a bar must stay within {within:.2f} on average and miss nothing; tests hold them to it.
"""


def main() -> int:
    """Measure, print, and write the page where it is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="measure rows whose title has one of these only")
    parser.add_argument("--cases", type=int, default=200, help="cases of each row")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the page in FILE too")
    parser.add_argument("--json", action="store_true", help="print rows as JSON instead")
    parser.add_argument("--bars", action="store_true", help="measure only rows with a bar")
    options = parser.parse_args()
    solver = Solver()
    found: dict[str, list[Outcome]] = {}
    number = 0
    for section, (_, rows) in SECTIONS.items():
        found[section] = []
        for row in rows:
            number += 1  # the cases of a row are the same whatever else is measured
            wanted = not options.words or any(word in row.title for word in options.words)
            if wanted and (row.bar or not options.bars):
                found[section].append(measured(row, number, options.cases, solver))
                print(_line(found[section][-1]), file=sys.stderr)
    solver.close()
    page = _page(found)
    print(
        json.dumps([_plain(one) for rows in found.values() for one in rows])
        if options.json
        else page
    )
    if options.write:
        (ROOT / options.write).write_text(page, encoding="utf-8")
    return 0 if all(one.holds for rows in found.values() for one in rows) else 1


def _page(found: dict[str, list[Outcome]]) -> str:
    parts = [HEAD.format(within=WITHIN)]
    for section, outcomes in found.items():
        if not outcomes:
            continue
        head = "| decision | bar | cases | mean | p90 | worst | optimal | missed |"
        rule = "|---|---|---:|---:|---:|---:|---:|---:|"
        lines = "\n".join([head, rule, *map(_line, outcomes)])
        parts.append(f"## {section}\n\n{SECTIONS[section][0]}\n\n{lines}\n")
    return "\n".join(parts)


def _line(one: Outcome) -> str:
    plain = _plain(one)
    bar = f"{WITHIN:.2f}" if one.row.bar else "–"
    figures = " | ".join(f"{plain[name]:.3f}" for name in ("mean", "p90", "worst"))
    optimal = f"{100 * float(plain['optimal_fraction']):.0f} %"
    return f"| {one.row.title} | {bar} | {plain['cases']} | {figures} | {optimal} | {one.missed} |"


def _plain(one: Outcome) -> dict[str, float | str | bool]:
    ratios = np.array(one.ratios)
    return {
        "title": one.row.title,
        "bar": one.row.bar,
        "cases": len(one.ratios) + one.missed + one.unsolved,
        "mean": float(ratios.mean()),
        "p90": float(np.quantile(ratios, 0.9)),
        "worst": float(ratios.max()),
        "optimal_fraction": float(np.mean(ratios < 1 + 1e-9)),
        "missed": one.missed,
        "unsolved": one.unsolved,
        "holds": one.holds,
    }


if __name__ == "__main__":
    sys.exit(main())
