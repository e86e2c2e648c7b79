"""The storage tiers: what they hold, how fast they are, and what a checkpoint costs."""

from clusterwright.storage.schemes import Scheme, parse_scheme
from clusterwright.storage.tiers import StorageNeeds, Systems, size

__all__ = ["Scheme", "StorageNeeds", "Systems", "parse_scheme", "size"]
