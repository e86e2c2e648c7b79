"""Where in a text each value stands."""

from collections.abc import Mapping
from dataclasses import dataclass

from clusterwright.errors import Fault

Path = tuple[str | int, ...]
Place = tuple[int, int]  # line and column, from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The places of a document's values and keys, to give a path its line."""

    file: str = "-"
    """File as the user named it."""
    values: Mapping[Path, Place]
    """Place of each value."""
    keys: Mapping[Path, Place]
    """Place of each key of a mapping."""

    def of(self, path: Path, *, key: bool = False) -> Place:
        """Return the place of a path, or of the nearest thing around it that is there."""
        first, second = (self.keys, self.values) if key else (self.values, self.keys)
        for length in range(len(path), -1, -1):
            found = first.get(path[:length]) or second.get(path[:length])
            if found is not None:
                return found
        return (1, 1)

    def fault(self, path: Path, message: str, remedy: str = "", *, key: bool = False) -> Fault:
        """Return a fault at a path."""
        line, column = self.of(path, key=key)
        return Fault(
            file=self.file,
            line=line,
            column=column,
            path=dotted(path),
            message=message,
            remedy=remedy,
        )


def dotted(path: Path) -> str:
    """Return a path as people read it: `workloads[2].case.duration`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else str(step)
    return text
