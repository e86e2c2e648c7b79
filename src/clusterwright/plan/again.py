"""What can be drawn again from a design alone: its hall, and from that its cable list."""

from collections.abc import Iterator

from clusterwright.catalog import Catalog
from clusterwright.model.design import Design
from clusterwright.model.network import Cable
from clusterwright.plan.cabling import cable_list
from clusterwright.plan.hall import hall_of


def cables(design: Design, catalog: Catalog) -> Iterator[Cable]:
    """Yield every cable of a design, in the order of planes, levels and ports."""
    hall = hall_of(design.spec.facility.groups, catalog)
    yield from cable_list(design.spec.fabric, hall, catalog)
