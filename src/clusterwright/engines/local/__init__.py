"""The local engine: jobs as processes on this machine, on one node or on several emulated ones.

`agent`, `part`, `tasks`, `processes`, `cgroups`, `energy` and `spool` make up the agent of a node,
which loads nothing but the standard library; the rest is the server's side.
"""

from clusterwright.engines.local.engine import LocalEngine
from clusterwright.engines.local.nodes import LocalNode, emulated, this_machine

__all__ = ["LocalEngine", "LocalNode", "emulated", "this_machine"]
