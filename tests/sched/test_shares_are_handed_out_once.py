"""The ledger: exact in whole numbers, never below zero, nothing lost when all is given back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright.errors import UsageError
from clusterwright.model.job import QUANTA
from clusterwright.sched.packing import PACKINGS, Packer, packing_of
from clusterwright.sched.shares import Ledger, Machine, Place, Request
from clusterwright.sched.workload import Workload

GB = 10**9


def machine(name="n", model="A", gpus=2, cpus=8, memory=64):
    return Machine(
        name=name,
        gpu_model=model if gpus else "",
        num_gpus=gpus,
        num_millicpus=cpus * 1000,
        memory_bytes=memory * GB,
    )


def request(gpus=1, share=1.0, cpus=1, memory=1, models=()):
    return Request(
        num_gpus=gpus,
        gpu_quanta=round(share * QUANTA),
        num_millicpus=cpus * 1000,
        memory_bytes=memory * GB,
        models=frozenset(models),
    )


machines = st.lists(
    st.builds(
        machine,
        model=st.sampled_from("AB"),
        gpus=st.integers(0, 4),
        cpus=st.integers(1, 16),
        memory=st.integers(1, 64),
    ),
    min_size=1,
    max_size=6,
)
shares = st.builds(
    request,
    share=st.sampled_from([0.05, 0.19, 0.33, 0.5, 0.81, 1.0]),
    cpus=st.integers(0, 4),
    memory=st.integers(0, 16),
    models=st.sampled_from(["", "A", "AB"]),
)
wholes = st.builds(request, gpus=st.integers(0, 4), cpus=st.integers(0, 4))
requests = st.lists(shares | wholes, min_size=1, max_size=40)


def packer_of(ledger, name, pods, seed=0):
    rng = np.random.default_rng(seed)
    return Packer(ledger, packing_of(name), Workload.seen(pods), rng)


def state_of(ledger):
    return [ledger.free.tolist(), ledger.millicpus.tolist(), ledger.memory_bytes.tolist()]


@settings(max_examples=50)
@given(nodes=machines, pods=requests, name=st.sampled_from(sorted(PACKINGS)), data=st.data())
def test_what_is_taken_and_given_back_balances_under_every_placement(nodes, pods, name, data):
    ledger = Ledger(nodes)
    before = state_of(ledger)
    packer = packer_of(ledger, name, pods)
    held = []
    for pod in pods:
        place = packer.choose(pod)
        fits = bool(ledger.fits(pod, np.arange(len(nodes))).any())
        assert (place is not None) == fits, "what fits is placed, what is placed fits"
        if place is not None:
            ledger.take(place)  # asserts that nothing falls below zero
            held.append(place)
        if held and data.draw(st.booleans()):
            ledger.give(held.pop(data.draw(st.integers(0, len(held) - 1))))
        out = sum(place.request.quanta for place in held)
        assert int(ledger.free.sum()) == ledger.total_quanta - out
    for place in held:
        ledger.give(place)
    assert state_of(ledger) == before
    assert not ledger.kinds.any()


@settings(max_examples=30)
@given(nodes=machines, pods=requests, name=st.sampled_from(["fgd", "foresight"]))
def test_kept_costs_choose_as_fresh_ones_do(nodes, pods, name):
    # Pinned to no model, since prices of models also depend on those before.
    pods = [replace(pod, models=frozenset()) for pod in pods]
    ledger = Ledger(nodes)
    packer = packer_of(ledger, name, pods)
    for pod in pods:
        place = packer.choose(pod)
        assert place == packer_of(ledger, name, pods).choose(pod)
        if place is not None:
            ledger.take(place)


def test_a_pod_goes_only_where_its_model_is():
    ledger = Ledger([machine(model="A"), machine(model="B")])
    place = packer_of(ledger, "bestfit", [request()]).choose(request(models=["B"]))
    assert place.node == 1
    assert packer_of(ledger, "bestfit", [request()]).choose(request(models=["C"])) is None


def test_a_node_that_is_down_takes_nothing_until_it_is_repaired():
    ledger = Ledger([machine()])
    packer = packer_of(ledger, "foresight", [request()])
    ledger.fail(0)
    assert packer.choose(request()) is None
    ledger.repair(0)
    assert packer.choose(request()) is not None


def test_a_share_taken_twice_is_refused():
    ledger = Ledger([machine(gpus=1)])
    place = Place(node=0, gpus=(0,), request=request(share=0.6))
    ledger.take(place)
    with pytest.raises(AssertionError, match="handed out once"):
        ledger.take(place)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"num_gpus": 2, "gpu_quanta": 3500}, "part of one"),
        ({"num_gpus": 1, "gpu_quanta": 0}, "part of one"),
        ({"num_millicpus": -1}, "less than nothing"),
    ],
)
def test_a_request_that_no_node_could_be_asked_for_is_refused(asked, why):
    with pytest.raises(UsageError, match=why):
        Request(**asked)
