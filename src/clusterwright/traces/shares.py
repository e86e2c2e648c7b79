"""How other people's logs count accelerators: resource names of Kubernetes and MIG profiles.

The names stand in a table with their sources, the profiles in the catalogue.
"""

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources

from clusterwright import catalog

_TABLE = "data/accelerator_resources.csv"


@cache
def mig_shares() -> Mapping[str, float]:
    """Return the share of an accelerator's compute by the name of a MIG profile.

    The profiles are those of the catalogue. A name that accelerators cut differently is left out.
    """
    shares: dict[str, set[float]] = {}
    for accelerator in catalog.load().accelerators.values():
        whole = max((profile.compute_slices for profile in accelerator.mig), default=0)
        for profile in accelerator.mig:
            shares.setdefault(profile.name, set()).add(profile.compute_slices / whole)
    return {name: one.pop() for name, one in shares.items() if len(one) == 1}


@cache
def accelerators_of(resource: str) -> float | None:
    """Return the accelerators that one of a Kubernetes resource is, 0 for what is none.

    None when it is a share of one that its name does not state.
    """
    for name, counts in _resources().items():
        if counts == "profile" and resource.startswith(name):
            return mig_shares().get(resource.removeprefix(name))
        if resource == name:
            return 1.0 if counts == "accelerator" else None
    return 0.0


@cache
def _resources() -> Mapping[str, str]:
    table = resources.files("clusterwright.traces").joinpath(_TABLE).read_text(encoding="utf-8")
    return {row["name"]: row["counts"] for row in csv.DictReader(table.splitlines())}
