"""The spool: the files by which engine and agents speak, and how each is written whole.

Agents load this module, so it imports the standard library alone. A file appears under its name
with all of its contents or not at all: it is written beside and renamed (or linked, where the
first to write must win). A FIFO for each side wakes it; what it says stands in the files.

    engine.lock engine.json wake          the engine: one at a time; its tag; its FIFO
    live/<attempt>                        attempts that the engine has not been told to forget
    attempts/<attempt>/order.json         the order, for all nodes at once; its link is the launch
                      /claim.<node>       who may start the part of a node: its agent, or nobody
                      /status.<node>.json how far the part of a node is
                      /stop.json kill     that it must end, and why; that it must end at once
                      /task-<n>.out .err report.jsonl
    nodes/<node>/agent.lock agent.json    the agent: one at a time; who it is
                /inbox/<attempt>          an order for this node, with its secrets
                /mine/<attempt>           parts that are not known to have ended
                /wake node.json down.json drained.json check.json agent.log
    jobs/<job>/work output checkpoints    directories of a job, over all its attempts
"""

import contextlib
import errno
import itertools
import json
import os
import stat
from pathlib import Path
from typing import Any

VERSION = 2
"""Of all of this; an agent of another version is replaced once it is idle."""

_numbers = itertools.count()


class Spool:
    """Where everything lies under one root."""

    __slots__ = ("root",)

    def __init__(self, root: Path) -> None:
        """Take the root."""
        self.root = root

    @property
    def live(self) -> Path:
        """Return the directory with a file for each attempt that is not forgotten."""
        return self.root / "live"

    @property
    def wake(self) -> Path:
        """Return the FIFO that wakes the engine."""
        return self.root / "wake"

    def attempt(self, name: str) -> Path:
        """Return the directory of an attempt."""
        return self.root / "attempts" / name

    def report(self, name: str) -> Path:
        """Return the file that an attempt tells of itself in."""
        return self.attempt(name) / "report.jsonl"

    def job(self, job_id: str) -> Path:
        """Return the directory of what a job keeps over all its attempts."""
        return self.root / "jobs" / job_id

    def order(self, name: str) -> Path:
        """Return the order of an attempt."""
        return self.attempt(name) / "order.json"

    def claim(self, name: str, node: str) -> Path:
        """Return the file that says who may start an attempt's part of a node."""
        return self.attempt(name) / f"claim.{node}"

    def status(self, name: str, node: str) -> Path:
        """Return how far an attempt's part of a node is."""
        return self.attempt(name) / f"status.{node}.json"

    def stop(self, name: str) -> Path:
        """Return the file that says why an attempt must end."""
        return self.attempt(name) / "stop.json"

    def kill(self, name: str) -> Path:
        """Return the file that says that an attempt must end at once."""
        return self.attempt(name) / "kill"

    def node(self, node: str) -> Path:
        """Return the directory of a node."""
        return self.root / "nodes" / node

    def inbox(self, node: str) -> Path:
        """Return the directory of orders that a node's agent has not taken."""
        return self.node(node) / "inbox"

    def mine(self, node: str) -> Path:
        """Return the directory of a node's parts that are not known to have ended."""
        return self.node(node) / "mine"

    def ear(self, node: str) -> Path:
        """Return the FIFO that wakes a node's agent."""
        return self.node(node) / "wake"


def write(path: Path, value: object, *, sync: bool = True) -> None:
    """Put a JSON document in place of whatever is there, whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written; what was there stays.
    """
    fresh, handle = _beside(path, value)
    try:
        if sync:
            os.fsync(handle)
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def create(path: Path, value: object) -> bool:
    """Put a JSON document where nothing is yet; return False when something is.

    Only `settle` makes it last: should the machine itself crash before, it may be torn or gone.
    """
    fresh, handle = _beside(path, value)
    os.close(handle)
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        return False
    finally:
        fresh.unlink(missing_ok=True)
    return True


def settle(path: Path) -> None:
    """Make a file and its name last beyond a crash of the machine."""
    for place, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        handle = os.open(place, flags)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: Path) -> dict[str, Any] | None:
    """Return a document; None where there is none, or what the machine's own crash left of one."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def names(directory: Path) -> list[str]:
    """Return the names in a directory, sorted, without those still being written."""
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))  # noqa: PTH208 - names alone are wanted
    except FileNotFoundError:
        return []


def poke(fifo: Path) -> None:
    """Wake whoever listens at a FIFO; nobody there is no fault, since files say it all."""
    try:
        handle = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in {errno.ENXIO, errno.ENOENT}:
            return
        raise
    try:
        # Full means that it wakes anyway.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(handle, b"!")
    finally:
        os.close(handle)


def listen(fifo: Path) -> int:
    """Return a handle of a FIFO that can be polled; it is made when it is not there."""
    try:
        if not stat.S_ISFIFO(fifo.lstat().st_mode):
            fifo.unlink()
            os.mkfifo(fifo, 0o600)
    except FileNotFoundError:
        os.mkfifo(fifo, 0o600)
    # Read and write: a FIFO without writers would be readable for ever.
    return os.open(fifo, os.O_RDWR | os.O_NONBLOCK)


def hear(handle: int) -> bool:
    """Take all that woke us; return False when nothing had."""
    heard = False
    with contextlib.suppress(BlockingIOError):
        while os.read(handle, 4096):
            heard = True
    return heard


def _beside(path: Path, value: object) -> tuple[Path, int]:
    """Write a document under a name of no meaning; return the name and an open handle."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{next(_numbers)}")
    text = json.dumps(value).encode()
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        while text:
            text = text[os.write(handle, text) :]
    except OSError:
        os.close(handle)
        fresh.unlink(missing_ok=True)
        raise
    return fresh, handle
