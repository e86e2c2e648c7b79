"""Topologies, cabling and collectives: how everything is joined, and what that carries."""

from clusterwright.fabric.estimate import PREDICTED, estimate_rows
from clusterwright.fabric.fattree import fat_tree, most_endpoints
from clusterwright.fabric.planes import compute_plane, management_plane, storage_plane
from clusterwright.fabric.wiring import Wiring, wiring

__all__ = [
    "PREDICTED",
    "Wiring",
    "compute_plane",
    "estimate_rows",
    "fat_tree",
    "management_plane",
    "most_endpoints",
    "storage_plane",
    "wiring",
]
