"""Examples read and planned once for all tests of the plan."""

from functools import cache
from pathlib import Path

import pytest

from clusterwright import catalog, documents, plan
from clusterwright.catalog import Catalog
from clusterwright.model.demand import Demand
from clusterwright.model.design import Design

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*/*.yaml"))


@cache
def the_catalog() -> Catalog:
    return catalog.load()


@cache
def demand_of(path: Path) -> Demand:
    return documents.read(path.read_bytes(), Demand, file=str(path))


@cache
def design_of(path: Path) -> Design:
    return plan.plan(demand_of(path), the_catalog())


@pytest.fixture(scope="session")
def parts() -> Catalog:
    return the_catalog()


@pytest.fixture(scope="session")
def worked_case() -> Design:
    return design_of(ROOT / "examples/autonomous-driving/centre.yaml")


@pytest.fixture(scope="session")
def by_deadline() -> Design:
    return design_of(ROOT / "examples/autonomous-driving/by-deadline.yaml")


@pytest.fixture(params=EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def any_design(request) -> Design:
    return design_of(request.param)


@pytest.fixture(params=EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def any_demand(request) -> Demand:
    return demand_of(request.param)
