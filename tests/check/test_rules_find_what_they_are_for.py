"""Lints: each rule finds the design that breaks it, and leaves the sound one alone."""

from dataclasses import replace

import pytest
from tests.plan.conftest import ROOT, design_of

from clusterwright.check import RULES, check
from clusterwright.model.design import Conflict, DesignStatus


@pytest.fixture
def design():
    return design_of(ROOT / "examples/autonomous-driving/centre.yaml")


def broken(design):
    """Return, by rule, the sound design with one thing wrong."""
    spec = design.spec
    group = spec.facility.groups[0]
    hot = replace(group, device_power_w=group.limit_w)
    groups = (hot, *spec.facility.groups[1:])
    strategy = spec.compute.strategies[0]
    large = replace(strategy, num_accelerators=2048)
    fat = replace(strategy, fits=False)
    lake = next(tier for tier in spec.storage.tiers if tier.name == "lake")
    tiers = tuple(replace(one, num_servers=5) if one is lake else one for one in spec.storage.tiers)
    plane = replace(spec.fabric.planes.compute, oversubscription_ratio=2.0)
    planes = replace(spec.fabric.planes, compute=plane)
    economics = replace(spec.economics, capex_usd=spec.economics.capex_usd * 2)

    def with_spec(**changes):
        return replace(design, spec=replace(spec, **changes))

    def with_strategies(first):
        rest = spec.compute.strategies[1:]
        return with_spec(compute=replace(spec.compute, strategies=(first, *rest)))

    conflict = Conflict(limit="limits.capex", asked="1 USD", reached="2 USD")
    return {
        "CW1001": replace(design, status=DesignStatus(feasible=False, conflicts=(conflict,))),
        "CW2001": with_spec(facility=replace(spec.facility, groups=groups)),
        "CW2002": with_strategies(large),
        "CW2003": with_strategies(fat),
        "CW2004": with_spec(storage=replace(spec.storage, tiers=tiers)),
        "CW2005": with_spec(economics=economics),
        "CW3002": with_spec(fabric=replace(spec.fabric, planes=planes)),
    }


@pytest.mark.parametrize(
    "rule", ["CW1001", "CW2001", "CW2002", "CW2003", "CW2004", "CW2005", "CW3002"]
)
def test_a_rule_finds_what_breaks_it_and_only_then(design, rule):
    assert rule not in {finding.rule_id for finding in check(design)}
    assert rule in {finding.rule_id for finding in check(broken(design)[rule])}


def test_the_worked_case_is_told_what_its_source_leaves_out(design):
    found = {finding.rule_id for finding in check(design)}
    assert "CW3001" in found  # no leaf port is left for a fabric manager
    assert "CW3003" in found  # the gang takes the whole pool and no server stands by


def test_the_worked_case_has_no_error(design):
    assert not [one for one in check(design) if one.level == "error"]


def test_every_rule_has_an_id_a_reason_and_a_remedy():
    assert len({rule.rule_id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.rule_id.startswith("CW")
        assert len(rule.rule_id) == 6
        assert rule.why
        assert rule.remedy
