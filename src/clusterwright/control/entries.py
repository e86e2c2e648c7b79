"""What the journal is made of: entries, each one fact, in one order.

Scheduling events carry the name of their `EventKind` and what it needs; the kinds below say the
rest. The body of an entry is plain JSON, so that any later release can read it.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from clusterwright.model.event import EventKind

Body = Mapping[str, Any]  # plain JSON; each kind has its own keys

_NOTHING: Body = MappingProxyType({})
SCHEDULING = {kind.name.lower(): kind for kind in EventKind}
"""Kinds of entries that are events of the scheduler."""


class Fact(StrEnum):
    """Kinds of entries that are not events of the scheduler."""

    CENTRE = "centre"
    """The centre is this from now on: `{centre}`; the first entry, and one for every change."""
    LAUNCH = "launch"
    """The engine is to start an attempt: `{attempt, resume_from}`."""
    RUNNING = "running"
    """An attempt runs: `{attempt, started_s, nodes}`."""
    ENDED = "ended"
    """An attempt has ended: `{attempt, end, message, exit_codes, started_s, ended_s, …usage}`."""
    CHECKPOINT = "checkpoint"
    """A checkpoint is complete: `{attempt, step, path, saved_s}`."""
    PROGRESS = "progress"
    """What a job has reported: `{attempt, step, tokens, samples, flop, offset}`."""
    ALTER = "alter"
    """Something of a waiting job was changed: `{priority}`."""
    TOKEN = "token"  # noqa: S105 - a kind, not a secret
    """A token was made: `{id, hash, name, role, projects, expires_s}`."""
    REVOKE = "revoke"
    """A token holds no more: `{id}`."""
    CLOCK = "clock"
    """The clock of this machine jumped: `{jump_s}`."""
    ENGINE = "engine"
    """The engine is out of reach, or back: `{reach, message}`."""
    RENEW = "renew"
    """The lease of a session begins anew: `{attempt}`."""
    HEALTH = "health"
    """A finding about a node or job: `{what, message}`; of a job also `{attempt}`, and
    `{since_s}` or `{ranks}`."""


class Entry(NamedTuple):
    """One fact of the journal."""

    time_s: float
    """When, in seconds since 1970; never earlier than the entry before."""
    kind: str
    """A kind of `SCHEDULING` or `Fact`."""
    job: str = ""
    """The job it is about; empty for none."""
    node: str = ""
    """The node it is about; empty for none."""
    body: Body = _NOTHING
    """What else it says."""
    who: str = ""
    """Name of the token that asked for it; empty for the control plane itself."""
    seq: int = 0
    """Its number in the journal, from 1; 0 before it is written."""
