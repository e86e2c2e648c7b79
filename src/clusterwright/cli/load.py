"""What several commands begin with: the catalogue, a demand or a design from a file."""

import os
from pathlib import Path

from clusterwright import catalog, documents
from clusterwright.catalog import Catalog
from clusterwright.cli import files
from clusterwright.documents import Places
from clusterwright.errors import UsageError
from clusterwright.model.demand import Demand
from clusterwright.model.design import Design


def the_catalog(overlay: str | None) -> Catalog:
    """Return the catalogue, with the overlay of the option or of CLUSTERWRIGHT_CATALOG over it.

    Raises
    ------
    UsageError
        If the overlay is not a directory.
    """
    name = overlay or os.environ.get("CLUSTERWRIGHT_CATALOG")
    if not name:
        return catalog.load()
    if not Path(name).is_dir():
        msg = f"{name}: no such directory; --catalog names a directory of your own parts"
        raise UsageError(msg)
    return catalog.load(Path(name))


def demand(path: str) -> tuple[Demand, Places]:
    """Return the demand in a file, and where everything in it stands."""
    return documents.read_with_places(files.read_bytes(path), Demand, file=path)


def design(path: str) -> Design:
    """Return the design in a file, or in `design.yaml` of a directory."""
    path = design_file(path)
    return documents.read(files.read_bytes(path), Design, file=path)


def design_file(path: str) -> str:
    """Return the path of the design where a directory is named that holds one."""
    inside = Path(path) / "design.yaml"
    return str(inside) if path != "-" and inside.is_file() else path
