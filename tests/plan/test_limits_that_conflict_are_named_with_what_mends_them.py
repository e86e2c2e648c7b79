"""An infeasible demand is a result: which limits break, and what would mend that."""

from dataclasses import replace

import pytest
import yaml
from tests.plan.conftest import ROOT, demand_of

from clusterwright import documents, plan
from clusterwright.model.demand import Demand, Hall, Limits, Site
from clusterwright.units import Usd
from clusterwright.units import format as show


@pytest.fixture
def demand():
    return demand_of(ROOT / "examples/autonomous-driving/centre.yaml")


def with_campaign(demand, **changes):
    first, *rest = demand.workloads
    return replace(demand, workloads=(replace(first, **changes), *rest))


def test_a_pool_too_small_for_its_deadline_breaks_the_deadline(demand, parts):
    design = plan.plan(with_campaign(demand, num_accelerators=512), parts)
    assert not design.status.feasible
    assert [one.limit for one in design.status.conflicts] == ["workloads[0].within"]
    mended = {one.path: one for one in design.status.relaxations}
    assert set(mended) == {"workloads[0].within", "workloads[0].accelerators"}


def test_the_number_that_is_offered_does_meet_the_deadline(demand, parts):
    design = plan.plan(with_campaign(demand, num_accelerators=512), parts)
    offer = next(
        one for one in design.status.relaxations if one.path == "workloads[0].accelerators"
    )
    again = with_campaign(demand, num_accelerators=int(offer.change.replace(",", "")))
    assert plan.plan(again, parts).status.feasible


def test_the_price_of_a_larger_pool_stands_against_that_of_the_design(demand, parts):
    design = plan.plan(with_campaign(demand, num_accelerators=64), parts)
    offer = next(
        one for one in design.status.relaxations if one.path == "workloads[0].accelerators"
    )
    assert offer.effect.endswith(f"instead of {show(design.spec.economics.capex_usd, Usd)}")


def test_a_budget_too_small_offers_a_longer_deadline(parts):
    demand = demand_of(ROOT / "examples/autonomous-driving/by-deadline.yaml")
    limits = replace(demand.limits, capex_usd=100e6)
    design = plan.plan(replace(demand, limits=limits), parts)
    assert [one.limit for one in design.status.conflicts] == ["limits.capex"]
    assert {one.path for one in design.status.relaxations} == {
        "limits.capex",
        "workloads[0].within",
    }


@pytest.mark.parametrize(
    ("within", "limits", "offered"),
    [
        ("1 h", "", "workloads[0].within"),
        ("30 d", "limits: {capex: 5 MUSD, power: 1 MW}\n", "every broken limit"),
        (
            "30 d",
            "limits: {capex: 5 MUSD, power: 500 kW, accelerators: [H100]}\n",
            "workloads[0].within",
        ),
        ("30 d", "site: {hall: {racks: 10, power: 100 kW}}\n", "every broken limit"),
        ("30 d", "site: {hall: {racks: 10, power: 100 kW}}\n", "workloads[0].within"),
    ],
)
def test_what_is_offered_mends_the_demand_when_it_is_written(parts, within, limits, offered):
    text = (
        "apiVersion: clusterwright/v1\nkind: Demand\nname: x\n"
        f"workloads: [{{training: a, model: llama-2-70b, tokens: 2 T, within: {within}}}]\n{limits}"
    )
    design = plan.plan(documents.read(text, Demand), parts)
    broken = {one.limit for one in design.status.conflicts}
    wanted = broken if offered == "every broken limit" else {offered}
    taken = [one for one in design.status.relaxations if one.path in wanted]
    assert {one.path for one in taken} == wanted
    assert len(wanted) == 1 or all("raised too" in one.effect for one in taken)
    raw = yaml.safe_load(text)
    for one in taken:
        *way, last = one.path.replace("[0]", ".0").split(".")
        place = raw
        for step in way:
            place = place[int(step)] if step.isdigit() else place.setdefault(step, {})
        place[last] = int(one.change) if one.path.endswith("racks") else one.change
    again = plan.plan(documents.read(yaml.safe_dump(raw), Demand), parts)
    assert again.status.feasible, again.status.conflicts


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"limits": Limits(accelerators=("H100",), power_w=1e6)}, "limits.power"),
        ({"limits": Limits(accelerators=("H100",), carbon_g_per_year=1e9)}, "limits.carbon"),
        ({"limits": Limits(accelerators=("H100",), opex_usd_per_year=1e6)}, "limits.opex"),
        ({"site": Site(hall=Hall(num_racks=20))}, "site.hall.racks"),
        ({"site": Site(hall=Hall(power_w=1e6))}, "site.hall.power"),
        ({"site": Site(rack_power_w=8e3)}, "site.rack_power"),
        ({"site": Site(rack_power_w=90e3, cooling="air")}, "site.cooling"),
    ],
)
def test_each_limit_is_named_when_it_breaks(demand, parts, changes, limit):
    design = plan.plan(replace(demand, **changes), parts)
    assert limit in {one.limit for one in design.status.conflicts}
    assert limit in {one.path for one in design.status.relaxations}


def test_a_stream_that_overloads_a_given_fleet_is_told_so(parts):
    demand = demand_of(ROOT / "examples/university/centre.yaml")
    stream, *rest = demand.workloads
    busy = replace(demand, workloads=(replace(stream, jobs_per_day=5000), *rest))
    design = plan.plan(busy, parts)
    broken = {one.limit: one for one in design.status.conflicts}
    assert broken["workloads[0].wait.p95"].reached == "no end"


def test_a_design_within_its_limits_names_no_relaxation(demand, parts):
    design = plan.plan(demand, parts)
    assert design.status.conflicts == ()
    assert design.status.relaxations == ()


def read(workloads, head=""):
    text = f"apiVersion: clusterwright/v1\nkind: Demand\nname: x\n{head}workloads: [{workloads}]\n"
    return documents.read(text, Demand)


def test_a_deadline_that_no_number_of_accelerators_meets_is_a_result(parts):
    demand = read("{training: a, model: llama-3.1-405b, tokens: 100 T, within: 1 h}")
    design = plan.plan(demand, parts)
    assert [one.limit for one in design.status.conflicts] == ["workloads[0].within"]
    chosen = next(one for one in design.spec.compute.strategies if one.chosen)
    assert chosen.dp <= chosen.num_global_batch  # every copy of the model has a sequence


def test_the_storage_plane_takes_a_larger_switch_when_three_levels_are_too_few(parts):
    demand = read(
        "{training: a, model: llama-3.1-405b, tokens: 60 T, within: 1000 d, accelerators: 250000}",
        "limits: {accelerators: [H100], fabric: infiniband}\n",
    )
    plane = plan.plan(demand, parts).spec.fabric.planes.storage
    assert plane.num_endpoints > 65_536
    assert plane.radix == 128


def test_a_demand_without_accelerators_buys_none_and_chooses_none(parts):
    design = plan.plan(read("{processing: p, input: 1 TB/day, core: 20 MB/s}"), parts)
    assert design.status.feasible
    assert sum(pool.num_accelerators for pool in design.spec.compute.pools) == 0
    assert "accelerator" not in {one.what for one in design.spec.choices}


def test_a_campaign_on_a_fleet_leaves_people_their_slices(parts):
    head = "fleet: [{accelerator: A100-80GB, accelerators: 64}]\n"
    training = "{training: a, model: llama-2-7b, tokens: 100 B, within: 20 d}"
    alone = plan.plan(read(training, head), parts)
    shared = plan.plan(read(training + ", {seats: s, people: 28, gpu: 1g.10gb}", head), parts)
    taken = [
        next(one for one in design.spec.compute.strategies if one.chosen).num_accelerators
        for design in (alone, shared)
    ]
    assert taken == [64, 56]


def test_a_stated_rack_limit_binds_a_rack_scale_system(parts):
    head = "limits: {accelerators: [GB200]}\nsite: {cooling: liquid, rack_power: 80 kW}\n"
    campaign = "{training: a, model: llama-3.1-70b, tokens: 1 T, within: 30 d}"
    design = plan.plan(read(campaign, head), parts)
    assert "site.rack_power" in {one.limit for one in design.status.conflicts}
    free = plan.plan(read(campaign, head.replace(", rack_power: 80 kW", "")), parts)
    assert free.status.feasible
