"""Exact optima by OR-Tools CP-SAT: problems come as JSON lines on stdin, answers go to stdout.

A process of its own: OR-Tools and SciPy's HiGHS must not meet in one, and nothing of clusterwright
is imported, so that what the scheduler is held against is written twice on purpose. All numbers are
whole. An answer is `{"optimum": …}`, null where nothing satisfies the problem, or `{"unsolved":
true}` where the time given did not suffice.

Six problems:

gang      places a gang on whole nodes and, for its remainder, one more; may stop jobs for it
gangs     the same for several gangs at once, each with the jobs it may have stopped
sequence  how many of some jobs, in order or at will, fit together
mig       how much MIG instances asked for are served on accelerators that hold others
recut     fewest instances destroyed and created so that so many stand idle
shares    most quanta of accelerators that pods on shared nodes can hold
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from typing import Any

from ortools.sat.python import cp_model

TIME_LIMIT = 30.0
"""Deterministic time units of CP-SAT, about seconds: the same on every machine."""
BOUND_LIMIT = 1.0
"""The same where a bound will do instead of the optimum."""

Problem = dict[str, Any]


def main() -> None:
    """Answer one line after the other."""
    for line in sys.stdin:
        problem = json.loads(line)
        print(json.dumps(KINDS[problem["kind"]](problem)), flush=True)


def gang(problem: Problem) -> Problem:
    """Return the least cost of one gang: domains spanned, room lost, jobs stopped."""
    return gangs({**problem, "gangs": [problem["gang"]]})


def gangs(problem: Problem) -> Problem:
    """Return the least cost at which all gangs are placed.

    nodes: size, free, cores, memory. groups: by level, lists of nodes. victims: cost, holds (node,
    units, cores, memory). gangs: whole nodes (or `each` of their units), rest, cores and memory of
    one node, within (level), spans (level whose groups count), segment. quotas: victims of a queue
    with what it holds above its own.
    """
    model = cp_model.CpModel()
    nodes, groups = problem["nodes"], problem["groups"]
    stopped = [model.new_bool_var("") for _ in problem.get("victims", ())]
    cost: list[Any] = []
    for victim, gone in zip(problem.get("victims", ()), stopped, strict=True):
        cost.append(victim["cost"] * gone)
    placed = [_placed(model, nodes, groups, one, cost) for one in problem["gangs"]]
    freed: list[list[Any]] = [[] for _ in nodes]
    for victim, gone in zip(problem.get("victims", ()), stopped, strict=True):
        for node, *amounts in victim["holds"]:
            freed[node].append((gone, amounts))
    for i, node in enumerate(nodes):
        for at, what in enumerate(("free", "cores", "memory")):
            uses = []
            for one, (whole, rest) in zip(problem["gangs"], placed, strict=True):
                big = one.get("each", node["size"]) if what == "free" else one[what]
                small = one["rest"] if what == "free" else one[what]
                uses += [big * whole[i], small * rest[i]]
            model.add(sum(uses) <= node[what] + sum(gone * has[at] for gone, has in freed[i]))
    for quota in problem.get("quotas", ()):
        _keep_quota(
            model,
            [(stopped[v], problem["victims"][v]["units"]) for v in quota["victims"]],
            quota["surplus"],
        )
    if problem.get("room"):
        ((whole, rest),) = placed
        cost += _room_lost(model, problem, whole, rest)
    model.minimize(sum(cost))
    return _solved(model)


def _placed(
    model: cp_model.CpModel, nodes: list[Problem], groups: Problem, one: Problem, cost: list[Any]
) -> tuple[list[Any], list[Any]]:
    """Add the choice of nodes for a gang; its spans go to the cost."""
    whole = [model.new_bool_var("") for _ in nodes]
    rest = [model.new_bool_var("") for _ in nodes]
    model.add(sum(whole) == one["whole"])
    model.add(sum(rest) == (1 if one["rest"] else 0))
    for i in range(len(nodes)):
        model.add(whole[i] + rest[i] <= 1)
    if one.get("within"):
        chosen = [model.new_bool_var("") for _ in groups[one["within"]]]
        model.add_exactly_one(chosen)
        for there, group in zip(chosen, groups[one["within"]], strict=True):
            for i in group:
                model.add(whole[i] + rest[i] <= there)
    if one.get("spans"):
        for group in groups[one["spans"]]:
            touched = model.new_bool_var("")
            for i in group:
                model.add(whole[i] + rest[i] <= touched)
            cost.append(one["span_cost"] * touched)
    if one.get("segment"):
        by_group = [[whole[i] for i in group] for group in groups[one["level"]]]
        _segments(model, by_group, one, cost)
        if one["required"] and one["rest"]:  # beside whole nodes of the gang
            for group in groups[one["level"]]:
                for i in group:
                    model.add(rest[i] <= sum(whole[k] for k in group))
    return whole, rest


def _segments(
    model: cp_model.CpModel, by_group: list[list[Any]], one: Problem, cost: list[Any]
) -> None:
    """Let segments stay whole where they must; elsewhere count the pieces that they come in."""
    full, last = divmod(one["whole"], one["segment"])
    pieces, ends = [], []
    for members in by_group:
        pieces.append(some := model.new_int_var(0, len(members), ""))
        if one["required"]:  # the last segment alone may be smaller than the others
            ends.append(end := model.new_bool_var(""))
            model.add(sum(members) == one["segment"] * some + last * end)
        else:
            model.add(one["segment"] * some >= sum(members))
    if one["required"]:
        model.add(sum(pieces) == full)
        model.add(sum(ends) == (1 if last else 0))
    else:
        cost.append(one["span_cost"] * sum(pieces))


def _keep_quota(model: cp_model.CpModel, taken: list[tuple[Any, int]], surplus: int) -> None:
    """Let a queue fall below its own by no more than its last job crosses it."""
    if not taken:
        return
    amounts = [gone * units for gone, units in taken]
    largest = model.new_int_var(0, max(units for _, units in taken), "")
    model.add_max_equality(largest, amounts)
    model.add(sum(amounts) - largest <= surplus - 1)


def _room_lost(
    model: cp_model.CpModel, problem: Problem, whole: list[Any], rest: list[Any]
) -> list[Any]:
    """Return what later arrivals lose: by node (`node_room`), by idle nodes of a group (`room`)."""
    nodes, room, asked = problem["nodes"], problem["node_room"], problem["gang"]
    lost: list[Any] = []
    for i, node in enumerate(nodes):
        if node["free"] == node["size"]:
            lost.append(whole[i] * (room[node["size"]] - room[0]))
        if asked["rest"] and node["free"] >= asked["rest"]:
            lost.append(rest[i] * (room[node["free"]] - room[node["free"] - asked["rest"]]))
    for level, values in problem["room"].items():
        for group in problem["groups"][level]:
            idle = [i for i in group if nodes[i]["free"] == nodes[i]["size"]]
            left = model.new_int_var(0, len(idle), "")
            model.add(left == len(idle) - sum(whole[i] + rest[i] for i in idle))
            value = model.new_int_var(min(values), max(values), "")
            model.add_element(left, values[: len(idle) + 1], value)
            lost.append(values[len(idle)] - value)
    return lost


def sequence(problem: Problem) -> Problem:
    """Return the most that is placed of some jobs: the first so many, or units at will."""
    model = cp_model.CpModel()
    nodes, groups = problem["nodes"], problem["groups"]
    used: list[list[Any]] = [[] for _ in nodes]
    taken = []
    for job in problem["jobs"]:
        taken.append(there := model.new_bool_var(""))
        rest = job["units"] % problem["size"]
        whole = [model.new_bool_var("") for _ in nodes]
        part = [model.new_bool_var("") for _ in nodes]
        model.add(sum(whole) == job["units"] // problem["size"] * there)
        model.add(sum(part) == (there if rest else 0))
        for i in range(len(nodes)):
            used[i] += [problem["size"] * whole[i], rest * part[i]]
        if job["within"]:
            chosen = [model.new_bool_var("") for _ in groups[job["within"]]]
            model.add(sum(chosen) == there)
            for here, group in zip(chosen, groups[job["within"]], strict=True):
                for i in group:
                    model.add(whole[i] + part[i] <= here)
    for node, amounts in zip(nodes, used, strict=True):
        model.add(sum(amounts) <= node["free"])
    if problem["in_order"]:
        for first, second in pairwise(taken):
            model.add(second <= first)
        model.maximize(sum(taken))
    else:
        model.maximize(sum(j["units"] * t for j, t in zip(problem["jobs"], taken, strict=True)))
    return _solved(model, bound=True)


def mig(problem: Problem) -> Problem:
    """Return the most compute slices, or instances, of those asked for that fit beside others.

    gpus: slices that are taken, as bits. positions: profile, bits covered. wanted: by profile.
    """
    model = cp_model.CpModel()
    served: dict[str, list[Any]] = {name: [] for name in problem["wanted"]}
    for taken in problem["gpus"]:
        over: list[list[Any]] = [[] for _ in range(problem["slices"])]
        for name, bits in problem["positions"]:
            if name not in served or bits & taken:
                continue
            made = model.new_bool_var("")
            served[name].append(made)
            for at in range(problem["slices"]):
                if bits >> at & 1:
                    over[at].append(made)
        for slot in over:
            model.add(sum(slot) <= 1)
    for name, made in served.items():
        model.add(sum(made) <= problem["wanted"][name])
    model.maximize(sum(problem["worth"][name] * sum(made) for name, made in served.items()))
    return _solved(model)


def recut(problem: Problem) -> Problem:
    """Return the fewest instances destroyed and created, after as few missing as can be.

    gpus: bits taken by what runs, positions (index) of what is idle. wanted: idle, by profile.
    """
    model = cp_model.CpModel()
    standing: dict[str, list[Any]] = {name: [] for name in problem["wanted"]}
    changes: list[Any] = []
    for gpu in problem["gpus"]:
        over: list[list[Any]] = [[] for _ in range(problem["slices"])]
        for number, (name, bits) in enumerate(problem["positions"]):
            if bits & gpu["taken"]:
                continue
            there = model.new_bool_var("")
            changes.append(1 - there if number in gpu["idle"] else there)
            if name in standing:
                standing[name].append(there)
            for at in range(problem["slices"]):
                if bits >> at & 1:
                    over[at].append(there)
        for slot in over:
            model.add(sum(slot) <= 1)
    missing = []
    for name, count in problem["wanted"].items():
        missing.append(short := model.new_int_var(0, count, ""))
        model.add(sum(standing[name]) + short >= count)
    model.minimize(problem["absent"] * sum(missing) + sum(changes))
    return _solved(model)


def shares(problem: Problem) -> Problem:
    """Return the most quanta that pods can hold: nodes with accelerators, cores, memory."""
    model = cp_model.CpModel()
    nodes, pods = problem["nodes"], problem["pods"]
    on = [[model.new_bool_var("") for _ in nodes] for _ in pods]
    for row in on:
        model.add_at_most_one(row)
    for n, node in enumerate(nodes):
        for what in ("cores", "memory"):
            model.add(sum(p[what] * on[i][n] for i, p in enumerate(pods)) <= node[what])
        parts = [
            [model.new_bool_var("") if p["gpus"] else 0 for _ in range(node["gpus"])] for p in pods
        ]
        for i, pod in enumerate(pods):
            model.add(sum(parts[i]) == pod["gpus"] * on[i][n])
        for g in range(node["gpus"]):
            held = [pod["quanta"] * parts[i][g] for i, pod in enumerate(pods) if pod["gpus"]]
            model.add(sum(held) <= problem["full"])
    model.maximize(
        sum(
            p["quanta"] * p["gpus"] * place
            for p, row in zip(pods, on, strict=True)
            for place in row
        )
    )
    return _solved(model, bound=True)


def _solved(model: cp_model.CpModel, *, bound: bool = False) -> Problem:
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = BOUND_LIMIT if bound else TIME_LIMIT
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return {"optimum": None}
    if status == cp_model.OPTIMAL:
        return {"optimum": round(solver.objective_value)}
    # Nothing reaches more than the bound: against it a placement looks worse, never better.
    return {"optimum": int(solver.best_objective_bound + 1e-6)} if bound else {"unsolved": True}


KINDS = {
    "gang": gang,
    "gangs": gangs,
    "sequence": sequence,
    "mig": mig,
    "recut": recut,
    "shares": shares,
}

if __name__ == "__main__":
    main()
