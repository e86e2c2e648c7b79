"""How data survives losses: erasure codes and replicas."""

import re
from dataclasses import dataclass

from clusterwright.errors import UsageError

_CODE = re.compile(r"(?:ec\s*)?([0-9]{1,3})\s*\+\s*([0-9]{1,2})\Z", re.IGNORECASE)
_COPIES = re.compile(r"(?:replicas?\s*([0-9]{1,2})|([0-9]{1,2})[\s-]*replicas?)\Z", re.IGNORECASE)
_MOST_PARITY = 16
_MOST_COPIES = 10
_WRITE = "write data+parity, for example 8+3 or 4+2, or replica 3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A way of storing that survives losses."""

    num_data: int
    """Chunks that hold data, at least 1; 1 for replicas."""
    num_parity: int
    """Chunks that may be lost; 0 for a single copy, which survives nothing."""

    def __post_init__(self) -> None:
        """Refuse a scheme that stores nothing."""
        if self.num_data < 1 or self.num_parity < 0:
            msg = f"{self.num_data}+{self.num_parity} stores nothing; {_WRITE}"
            raise UsageError(msg)

    @property
    def overhead_ratio(self) -> float:
        """Raw bytes for one stored byte: (k + m) / k.

        Source: Ceph documentation, erasure code.
        """
        return (self.num_data + self.num_parity) / self.num_data

    @property
    def num_domains(self) -> int:
        """Hosts that one object spreads over."""
        return self.num_data + self.num_parity

    def __str__(self) -> str:
        """Return the name of the scheme, which `parse_scheme` reads back."""
        if self.num_data == 1:
            return f"replica {self.num_domains}"
        return f"ec {self.num_data}+{self.num_parity}"


def parse_scheme(text: str) -> Scheme:
    """Return the scheme that people write as `8+3` or `replica 3`.

    Raises
    ------
    UsageError
        If it is of neither form, survives nothing, or has more parity than data.

    Examples
    --------
    >>> parse_scheme("8+3").overhead_ratio
    1.375
    >>> parse_scheme("replica 3").overhead_ratio
    3.0
    """
    written = text.strip()
    if copies := _COPIES.match(written):
        return _replicas_as_written(int(copies.group(1) or copies.group(2)), text)
    match = _CODE.match(written)
    if match is None:
        msg = f"{text!r} is no way of storing that survives losses; {_WRITE}"
        raise UsageError(msg)
    data, parity = int(match.group(1)), int(match.group(2))
    if data < 1 or not 1 <= parity <= min(data, _MOST_PARITY):
        msg = (
            f"{text!r}: parity is between 1 and the number of data chunks (at most "
            f"{_MOST_PARITY}); write for example 8+3"
        )
        raise UsageError(msg)
    return Scheme(num_data=data, num_parity=parity)


def replicas(count: int) -> Scheme:
    """Return the scheme that keeps so many copies, at least 1."""
    return Scheme(num_data=1, num_parity=count - 1)


def _replicas_as_written(count: int, text: str) -> Scheme:
    if not 2 <= count <= _MOST_COPIES:  # one copy survives nothing
        msg = f"{text!r}: copies are between 2 and {_MOST_COPIES}; write for example replica 3"
        raise UsageError(msg)
    return replicas(count)
