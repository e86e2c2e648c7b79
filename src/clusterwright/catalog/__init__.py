"""What can be bought and what is known about it, with a source on every figure."""

from clusterwright.catalog.catalog import Catalog
from clusterwright.catalog.loading import load

__all__ = ["Catalog", "load"]
