"""The figures of the source documents, each classified once and held against ours.

`seed_claims.csv` is the reviewed file. `kind` says who answers: `plan` (the worked case),
`catalogue`, plain `arithmetic`, or `out_of_scope` with the reason in `note`. `value` is how we come
to the figure; the `verdict` is `reproduced` when that is the source's figure within `tolerance`,
`contradicted` when it is the published one instead. What is recalled
or without source is never an oracle.
"""

import csv
import math
from pathlib import Path

import pytest
from tests.plan.conftest import ROOT, design_of, the_catalog

from clusterwright import reliability, units

FILE = Path(__file__).with_name("seed_claims.csv")
KINDS = {"plan", "catalogue", "arithmetic", "out_of_scope"}
ROWS = list(csv.DictReader(FILE.read_text(encoding="utf-8").splitlines()))
JUDGED = [row for row in ROWS if row["kind"] != "out_of_scope"]


def names():
    design = design_of(ROOT / "examples/autonomous-driving/centre.yaml")
    spec = design.spec
    return {
        "d": design,
        "c": the_catalog(),
        "math": math,
        "units": units,
        "reliability": reliability,
        "fabric": spec.fabric.planes,
        "pool": spec.compute.pools[0],
        "stated": next(one for one in spec.compute.strategies if one.stated),
        "network_usd": sum(
            line.cost_usd for line in spec.economics.bom if line.category == "network"
        ),
        **{tier.name: tier for tier in spec.storage.tiers},
    }


def meets(ours: float, figure: str, tolerance: float) -> bool:
    if figure == "hundreds":
        return 100 <= ours < 1000
    return ours == pytest.approx(float(figure), rel=tolerance)


@pytest.mark.parametrize("row", JUDGED, ids=lambda row: f"{row['id']} {row['claim']}")
def test_the_verdict_on_a_claim_holds(row):
    ours = float(eval(row["value"], names()))  # the expression stands in the reviewed file
    tolerance = max(float(row["tolerance"]), 1e-9)
    claimed = meets(ours, row["figure"], tolerance)
    if row["verdict"] == "reproduced":
        assert claimed
    else:
        assert row["verdict"] == "contradicted"
        assert ours == pytest.approx(float(row["published"]), rel=tolerance)
        assert not claimed


def test_every_row_is_classified_once_and_what_is_left_out_says_why():
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row["kind"] in KINDS
        if row["kind"] == "out_of_scope":
            assert row["note"], row["id"]
            assert not row["value"], row["id"]


def test_the_file_has_exactly_the_rows_of_the_source_table():
    table = ROOT.parent / "shared/reference/seed_claims.csv"
    if not table.exists():
        pytest.skip("the table of the source documents' claims is not beside the repository")
    with table.open(newline="", encoding="utf-8") as rows:
        given = {row["id"]: row for row in csv.DictReader(rows)}
    assert {row["id"] for row in ROWS} == set(given)
    recalled = {key for key, row in given.items() if row["confidence"] == "recalled"}
    for row in JUDGED:
        assert (row["claim"], row["figure"]) == (
            given[row["id"]]["claim"],
            given[row["id"]]["figure"],
        )
        if row["id"] in recalled:
            # Definitions and arithmetic stand without a source; nothing recalled is an oracle.
            assert row["kind"] == "arithmetic", row["id"]
