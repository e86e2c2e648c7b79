"""Other people's logs as our jobs; every row that cannot be used is reported and counted."""

from clusterwright.traces.quotas import read_quotas
from clusterwright.traces.tidy import Trace, read_estimates, read_nodes, read_queues, read_trace

__all__ = ["Trace", "read_estimates", "read_nodes", "read_queues", "read_quotas", "read_trace"]
