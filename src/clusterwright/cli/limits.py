"""The options of `simulate` for what bounds a start beyond free nodes: reservations."""

from dataclasses import dataclass, replace
from typing import Annotated

from cyclopts import Parameter

from clusterwright import traces
from clusterwright.cli import files
from clusterwright.cli.common import FileName
from clusterwright.model.cluster import Cluster


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Limits:
    """What may keep a job waiting though nodes are free."""

    reservations: Annotated[FileName | None, Parameter(name="--reservations")] = None
    """CSV table name,start_s,end_s,queue,leaf,nodes,for_queues,for_users,for_projects,for_jobs,
    stops: nodes kept for some jobs, or for nobody in maintenance. A job that cannot end before, by
    its estimate or limit, does not start on them."""

    def cluster(self, cluster: Cluster) -> Cluster:
        """Return a cluster with its reservations."""
        if self.reservations is None:
            return cluster
        content = files.read_bytes(self.reservations)
        found = traces.read_reservations(content, cluster, file=self.reservations)
        return replace(cluster, reservations=found)
