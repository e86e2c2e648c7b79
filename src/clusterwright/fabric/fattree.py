"""How many switches and links a fat-tree takes: the counting rule of published reference designs.

Legend: N endpoints with manager ports, k ports of a switch, h = k/2, L leaves, S spines.

    L = ceil(N / h)
    two levels while N <= k^2/2:   S = the smallest divisor of h that is >= L*h/k,
                                   so that every leaf-spine pair has equally many links
    three levels while N <= k^3/4: S = L, cores = ceil(L*h / k)

The rule reproduces the component counts of NVIDIA's DGX SuperPOD reference architectures for H100,
B200 and B300 (tests/fabric). With an oversubscription of r a leaf has h*2r/(1+r) down-ports.
"""

import math

from clusterwright.errors import UsageError
from clusterwright.model.network import FatTree


def fat_tree(
    num_endpoints: int,
    radix: int,
    *,
    num_manager_ports: int = 0,
    oversubscription: float = 1.0,
) -> FatTree:
    """Return the switches and links of the smallest fat-tree for so many endpoints.

    Parameters
    ----------
    num_endpoints
        Ports of servers, 0 or more.
    radix
        Ports of one switch; even, at least 4.
    num_manager_ports
        Leaf ports for fabric managers.
    oversubscription
        Endpoint bandwidth over uplink bandwidth of a leaf, at least 1.

    Raises
    ------
    UsageError
        If the endpoints are more than three levels of such switches can connect, or an argument is
        out of its range.

    Examples
    --------
    >>> tree = fat_tree(1024, 64)
    >>> tree.num_leaf, tree.num_spine, tree.num_leaf_spine_links
    (32, 16, 1024)
    """
    _check(num_endpoints, radix, num_manager_ports, oversubscription)
    total = num_endpoints + num_manager_ports
    down = round(radix * oversubscription / (1 + oversubscription))
    up = radix - down
    leaves = math.ceil(total / down)
    levels, spines, cores = _upper_levels(total, leaves, radix, down, up)
    uplinks = leaves * up if levels > 1 else 0
    return FatTree(
        num_endpoints=num_endpoints,
        num_manager_ports=num_manager_ports,
        radix=radix,
        levels=levels,
        num_leaf=leaves,
        num_spine=spines,
        num_core=cores,
        num_down_ports=down,
        num_up_ports=up,
        num_node_leaf_links=total,
        num_leaf_spine_links=uplinks,
        num_spine_core_links=uplinks if levels == 3 else 0,
    )


def most_endpoints(radix: int, *, oversubscription: float = 1.0) -> int:
    """Return how many endpoints three levels of such switches connect: k^3/4 at 1:1."""
    down = round(radix * oversubscription / (1 + oversubscription))
    return down * (radix // 2) * radix


def _upper_levels(total: int, leaves: int, radix: int, down: int, up: int) -> tuple[int, int, int]:
    if total == 0:
        return 0, 0, 0
    if leaves <= radix:
        wanted = leaves * up / radix
        spines = next(one for one in range(1, up + 1) if up % one == 0 and one >= wanted)
        return 2, spines, 0
    if total > most_endpoints(radix, oversubscription=down / up):
        limit = most_endpoints(radix, oversubscription=down / up)
        msg = (
            f"{total:,} endpoints asked; three levels of switches with {radix} ports connect "
            f"{limit:,}. Take a switch with more ports, split its ports, or build several planes."
        )
        raise UsageError(msg)
    spines = math.ceil(leaves * up / (radix // 2))
    return 3, spines, math.ceil(spines * (radix // 2) / radix)


def _check(num_endpoints: int, radix: int, managers: int, oversubscription: float) -> None:
    if num_endpoints < 0 or managers < 0:
        msg = f"endpoints and manager ports are 0 or more; seen {num_endpoints} and {managers}"
        raise UsageError(msg)
    if radix < 4 or radix % 2:
        msg = f"the radix of a fat-tree switch is even and at least 4; seen {radix}"
        raise UsageError(msg)
    if not 1 <= oversubscription <= radix - 1:
        msg = f"oversubscription is between 1 and {radix - 1}; seen {oversubscription:g}"
        raise UsageError(msg)
