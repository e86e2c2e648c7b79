"""Placements: what each does in small, and the published experiment in full."""

import csv
from functools import cache

import numpy as np
import pytest
from tests.plan.conftest import ROOT
from tests.sched.test_shares_are_handed_out_once import machine, packer_of, request, state_of

from clusterwright.errors import UnknownName
from clusterwright.model.job import QUANTA
from clusterwright.sched.foresight import Foresight
from clusterwright.sched.packing import packing_of
from clusterwright.sched.pressure import Pressure
from clusterwright.sched.shares import Ledger
from clusterwright.sched.workload import Kinds, Workload
from clusterwright.study.packing import arrivals, fill
from clusterwright.traces.pods import read_machines, read_pods

REFERENCE = ROOT.parent / "shared/reference"
published = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="the openb traces are not beside the repository (../shared)"
)


@pytest.mark.parametrize("name", ["bestfit", "gpu-packing", "fgd", "foresight"])
def test_a_share_goes_where_it_completes_an_accelerator(name):
    ledger = Ledger([machine(), machine()])
    pods = [request(share=0.6), request(share=0.4), request()]
    packer = packer_of(ledger, name, pods)
    ledger.take(packer.choose(pods[0]))
    first = np.argwhere(ledger.free < QUANTA)[0]
    place = packer.choose(pods[1])
    assert [place.node, *place.gpus] == first.tolist()


def test_fragmentation_is_what_the_typical_pod_cannot_use():
    ledger = Ledger([machine(gpus=2, cpus=2)])
    rule = packing_of("fgd").make(ledger, Workload.seen([request(share=0.5)]), None)
    node = ledger.model[:1]
    free = np.array([[2000, 5000]])
    memory = ledger.memory_bytes
    assert rule.value(free, np.array([2000]), memory, node) == pytest.approx([2000])
    assert rule.value(free, np.array([500]), memory, node) == pytest.approx([7000])


def test_foresight_expects_what_no_sum_of_typical_shares_can_fill():
    ledger = Ledger([machine(gpus=1, cpus=64)])
    rule = Foresight(ledger, Workload.seen([request(share=0.4)]))
    free = np.array([[QUANTA], [2800], [2799], [0]])
    rich = np.full(4, 10**9)
    waste = rule.value(free, rich, np.full(4, 10**15), np.zeros(4, dtype=int))
    assert waste == pytest.approx([QUANTA - 2 * 2800, 0, 2799, 0], abs=1e-6)


def test_foresight_spares_cores_where_they_run_out_before_accelerators():
    # Typical pods bring 4 cores along; the first node has as many for each, the second plenty.
    ledger = Ledger([machine(gpus=4, cpus=16), machine(gpus=4, cpus=120)])
    light, heavy = request(cpus=1), request(cpus=7)
    packer = packer_of(ledger, "foresight", [light, heavy])
    assert packer.choose(heavy).node == 1
    assert packer.choose(light).node == 0


def test_foresight_keeps_a_model_that_others_cannot_do_without():
    ledger = Ledger([machine(model="A"), machine(model="B")])
    pods = [request(models=["A"])] * 3 + [request()] * 2
    assert packer_of(ledger, "foresight", pods).choose(request()).node == 1


def test_foresight_keeps_room_for_gangs():
    ledger = Ledger([machine(gpus=4, cpus=64), machine(gpus=4, cpus=64)])
    pods = [request(gpus=4)] * 3 + [request()] * 3
    packer = packer_of(ledger, "foresight", pods)
    for _ in range(3):
        ledger.take(packer.choose(request()))
    assert packer.choose(request(gpus=4)) is not None


def test_pressure_evens_out_loads_as_far_as_pins_permit():
    ledger = Ledger([machine(model="A"), machine(model="B", gpus=4)])
    pods = [request(models=["A"])] * 3 + [request()] * 3
    load = Pressure(ledger, Kinds.of(Workload.seen(pods), ledger)).by_model()
    # Half of the demand on a third of the pool, the other half on two thirds.
    assert load == pytest.approx([1.5, 0.75, 0.0], rel=0.02)


def test_an_unknown_placement_offers_a_near_one():
    with pytest.raises(UnknownName, match="foresight"):
        packing_of("forsight")


def test_a_placement_knows_frequencies_and_not_the_order():
    pods = [request(share=0.3), request(), request(share=0.3)]
    assert Workload.seen(pods) == Workload.seen([pods[0], pods[2], pods[1]])


def test_arrivals_are_all_pods_once_and_then_as_many_as_it_takes():
    pods = [request(share=share) for share in (0.1, 0.2, 0.7)] + [request()]
    total = 10 * QUANTA
    came = list(arrivals(pods, total, 1.3, np.random.default_rng(3)))
    assert sorted(p.gpu_quanta for p in came[:4]) == sorted(p.gpu_quanta for p in pods)
    asked = [pod.quanta for pod in came]
    assert sum(asked) >= 1.3 * total > sum(asked[:-1])


@cache
def openb(trace):
    folder = REFERENCE / "traces"
    nodes = (folder / "openb_2023_nodes.csv.gz").read_bytes()
    pods = (folder / f"openb_2023_{trace}.csv.gz").read_bytes()
    read = read_pods(pods, file=trace)
    assert not read.dropped
    return read_machines(nodes, file="nodes"), read.requests


def reached(trace):
    """Return the published figure of FGD and its standard deviation, as fractions."""
    with (REFERENCE / "scheduler_results.csv").open(newline="", encoding="utf-8") as table:
        row = next(row for row in csv.reader(table) if row[0] == f"fgd.{trace}.fgd")
    text = next(cell for cell in row if ";" in cell and "|" in cell and cell[0].isdigit())
    best = float(text.split(";")[0].split("|")[1])
    return best / 100, float(row[-1].rpartition(" ")[2]) / 100


@published
@pytest.mark.parametrize("trace", ["default", "gpuspec33"])
def test_foresight_hands_out_more_than_the_published_best(trace):
    machines, pods = openb(trace)
    known = Workload.seen(pods)
    run = fill(machines, pods, packing_of("foresight"), typical=known, arrival=1.3, seed=42)
    best, deviation = reached(trace)
    assert run.allocated_fraction > best + 3 * deviation
    assert sum(one.num_gpus for one in machines) == 6212


@published
def test_the_same_seed_places_every_pod_the_same():
    machines, pods = openb("gpuspec33")
    known, ends = Workload.seen(pods), []
    for _ in range(2):
        ledger = Ledger(machines[::10])
        packer = packer_of(ledger, "foresight", known.requests, seed=1)
        for pod in pods[:600]:
            place = packer.choose(pod)
            if place:
                ledger.take(place)
        ends.append(state_of(ledger))
    assert ends[0] == ends[1]
