"""The spool: the files by which engine and agents speak, and how each is written whole.

Agents load this module, so it imports the standard library alone. A file appears under its name
with all of its contents or not at all: it is written beside, synced and renamed (or linked, where
the first to write must win). A FIFO for each side wakes it; what it says stands in the files.

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
                /wake node.json down.json drained.json agent.log
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

VERSION = 1
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
    fresh = _beside(path, value, sync=sync)
    try:
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def create(path: Path, value: object) -> bool:
    """Put a JSON document where nothing is yet; return False when something is."""
    fresh = _beside(path, value, sync=True)
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        return False
    finally:
        fresh.unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


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


def sync_directory(path: Path) -> None:
    """Make the names in a directory last beyond a loss of power."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _beside(path: Path, value: object, *, sync: bool) -> Path:
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{next(_numbers)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(value, file)
            file.flush()
            if sync:
                os.fsync(file.fileno())
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    return fresh
