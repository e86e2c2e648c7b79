"""Where nodes stand: under which scale-up domain, leaf switch and pod each node of a cluster is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.model.cluster import Cluster

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Places:
    """Positions of the nodes of a cluster, each array of shape (num_nodes,)."""

    group: Numbers
    """Node group of each node."""
    domain: Numbers
    """Scale-up domain, numbered through the cluster."""
    leaf: Numbers
    """Leaf switch, likewise; a group without known topology counts as one leaf."""
    pod: Numbers
    """Pod, likewise."""

    @classmethod
    def of(cls, cluster: Cluster) -> "Places":
        """Return where the nodes of a cluster stand."""
        columns: dict[str, list[Numbers]] = {"group": [], "domain": [], "leaf": [], "pod": []}
        seen = dict.fromkeys(columns, 0)
        for group in cluster.groups:
            at = np.arange(group.num_nodes, dtype=np.int64)
            per_leaf = group.nodes_per_leaf or group.num_nodes or 1
            widths = {
                "group": group.num_nodes or 1,
                "domain": group.nodes_per_domain,
                "leaf": per_leaf,
                "pod": per_leaf * (group.leaves_per_pod or group.num_nodes or 1),
            }
            for name, width in widths.items():
                columns[name].append(seen[name] + at // width)
                seen[name] += -(-group.num_nodes // width)
        none = np.zeros(0, dtype=np.int64)
        return cls(**{name: np.concatenate([none, *parts]) for name, parts in columns.items()})
