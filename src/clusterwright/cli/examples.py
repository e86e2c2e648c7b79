"""The examples that come with clusterwright, in a checkout as in an installed wheel."""

from importlib import resources
from pathlib import Path

from clusterwright.errors import TargetMissing, UnknownName


def folder() -> Path:
    """Return the folder of the examples.

    Raises
    ------
    TargetMissing
        If the installation has none.
    """
    package = Path(str(resources.files("clusterwright")))
    for place in (package / "examples", package.parents[1] / "examples"):
        if (place / "autonomous-driving" / "centre.yaml").is_file():
            return place
    msg = "the examples are missing from this installation; install clusterwright again"
    raise TargetMissing(msg)


def names() -> tuple[str, ...]:
    """Return the names of the examples."""
    return tuple(sorted(path.parent.name for path in folder().glob("*/centre.yaml")))


def path_of(name: str) -> Path:
    """Return the demand file of an example.

    Raises
    ------
    UnknownName
        If there is no such example.
    """
    if name not in names():
        raise UnknownName.of("example", name, names())
    return folder() / name / "centre.yaml"
