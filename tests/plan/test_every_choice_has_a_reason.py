"""Reasons, sources and the ledger: nothing of weight stands without its why."""

from clusterwright.model.paths import value_at


def test_every_choice_names_its_reason_and_what_lost(any_design):
    for choice in any_design.spec.choices:
        assert choice.chosen
        assert choice.reason
        assert all(lost.reason for lost in choice.rejected)


def test_every_vendor_is_weighed_and_none_is_dropped_silently(worked_case, parts):
    chosen = next(one for one in worked_case.spec.choices if one.what == "accelerator")
    named = {chosen.chosen, *(lost.candidate for lost in chosen.rejected)}
    assert named == set(parts.accelerators)


def test_every_assumption_says_where_it_comes_from(any_design):
    for one in any_design.spec.assumptions:
        assert one.value
        assert one.reason
        assert one.source


def test_every_derivation_leads_to_a_figure(any_design):
    for one in any_design.spec.derivations:
        value_at(any_design, one.path)
        assert one.formula
        assert one.source


def test_the_ledger_is_in_the_order_in_which_stages_bind(any_design):
    ledger = any_design.spec.bottlenecks
    assert [one.binds_in_order for one in ledger] == list(range(1, len(ledger) + 1))
    left = [one.headroom_fraction for one in ledger]
    assert left == sorted(left)
    for one in ledger:
        assert one.headroom_fraction <= 1
        if one.capacity:
            assert abs(one.headroom_fraction - (1 - one.demand / one.capacity)) < 1e-9


def test_the_best_design_is_first_and_marked(any_design):
    first = any_design.spec.alternatives[0]
    assert first.reason == "taken"
    assert first.feasible == any_design.status.feasible
