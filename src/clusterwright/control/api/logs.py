"""What ranks write, as text or as a stream of events that can be taken up where it broke off."""

import asyncio
import contextlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from clusterwright.control.api.problems import NotThere
from clusterwright.control.conductor import Conductor
from clusterwright.control.records import Record
from clusterwright.engines import Attempt

_PIECE = 1 << 16  # bytes of one event at most
_LOOK_S = 0.2  # a file is looked at so often while it is followed
_KEPT = 64  # pieces of a file that are kept for other followers of it
_BEAT_S = 15.0  # a comment goes out so often, that proxies keep the connection


def attempt_of(record: Record, number: int | None) -> Attempt:
    """Return the attempt whose log is meant: the latest one that was started, or that number.

    Raises
    ------
    NotThere
        If the job was never started, or not so often.
    """
    asked = [one for one in record.attempts if one.asked_s is not None]
    chosen = asked if number is None else [one for one in asked if one.attempt.number == number]
    if not chosen:
        what = "has not been started" if number is None else f"has no attempt {number}"
        msg = f"job {record.job_id} {what} yet"
        raise NotThere(msg)
    return chosen[-1].attempt


def text(path: Path, tail: int | None) -> str:
    """Return the text of a log, or its last lines; what is no UTF-8 is shown as such."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ""
    if tail is not None:
        content = b"".join(content.splitlines(keepends=True)[-tail:]) if tail else b""
    return content.decode("utf-8", "replace")


def offset_of(last_event_id: str | None) -> int:
    """Return where a stream goes on: the id of an event is the offset after it."""
    return int(last_event_id) if last_event_id and last_event_id.isdecimal() else 0


class Tails:
    """Looks at files that are followed: one look for all who follow the same one."""

    def __init__(self) -> None:
        """Follow nothing yet."""
        self._tails: dict[Path, _Tail] = {}

    @contextlib.contextmanager
    def of(self, path: Path) -> Iterator["_Tail"]:
        """Give the tail of a file to one follower; the last one to leave ends the looking."""
        tail = self._tails.get(path)
        if tail is None:
            tail = self._tails[path] = _Tail(path)
        tail.num_followers += 1
        try:
            yield tail
        finally:
            tail.num_followers -= 1
            if not tail.num_followers:
                tail.end()
                self._tails.pop(path, None)


class _Tail:
    """A file that grows, and those who wait for it to."""

    def __init__(self, path: Path) -> None:
        self.path, self.num_followers = path, 0
        self._size = -1
        self._grown = asyncio.Event()
        self._pieces: OrderedDict[int, bytes] = OrderedDict()
        self._look = asyncio.create_task(self._run())

    def end(self) -> None:
        self._look.cancel()

    async def piece(self, offset: int) -> bytes:
        """Return the next whole characters from an offset on, read once for all who are there."""
        if offset >= self._size:
            return b""
        found = self._pieces.get(offset)
        if found is None:
            found = await asyncio.to_thread(_piece, self.path, offset)
            if found:
                self._pieces[offset] = found
                while len(self._pieces) > _KEPT:
                    self._pieces.popitem(last=False)
        return found

    async def grown(self, timeout_s: float) -> bool:
        """Return True once the file has grown, False when the time has passed."""
        try:
            await asyncio.wait_for(self._grown.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        while True:
            size = await asyncio.to_thread(_size, self.path)
            if size != self._size:
                self._size = size
                grown, self._grown = self._grown, asyncio.Event()
                grown.set()
            await asyncio.sleep(_LOOK_S)


async def _followed(
    conductor: Conductor, record: Record, attempt: Attempt, tail: _Tail, offset: int
) -> AsyncIterator[str]:
    """Yield a log as server-sent events until the attempt is over and all of it has been sent."""
    quiet_s = 0.0
    while True:
        over = record.attempts[attempt.number - 1].is_over
        piece = await tail.piece(offset)
        if piece:
            offset += len(piece)
            data = json.dumps(piece.decode("utf-8", "replace"))
            yield f"id: {offset}\nevent: log\ndata: {data}\n\n"
            quiet_s = 0.0
            continue
        if over and not await tail.grown(2 * _LOOK_S):  # the file was looked at after the end
            state = record.attempts[attempt.number - 1].end
            yield f"id: {offset}\nevent: end\ndata: {json.dumps(str(state))}\n\n"
            return
        if conductor.stopped:
            return
        if over or await tail.grown(1.0):
            continue
        quiet_s += 1.0
        if quiet_s >= _BEAT_S:
            quiet_s = 0.0
            yield ": still here\n\n"


async def streamed(
    tails: Tails,
    conductor: Conductor,
    record: Record,
    attempt: Attempt,
    path: Path,
    offset: int,
) -> AsyncIterator[str]:
    """Yield the events of one follower of a file."""
    with tails.of(path) as tail:
        async for event in _followed(conductor, record, attempt, tail, offset):
            yield event


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _piece(path: Path, offset: int) -> bytes:
    """Return the next whole characters of a file."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            piece = file.read(_PIECE)
    except FileNotFoundError:
        return b""
    for cut in range(1, 4):  # a character may be cut in the middle of its bytes
        if len(piece) >= cut and piece[-cut] & 0xC0 == 0xC0:
            return piece[:-cut] if _is_cut(piece[-cut:]) else piece
    return piece


def _is_cut(tail: bytes) -> bool:
    needed = 2 if tail[0] < 0xE0 else 3 if tail[0] < 0xF0 else 4
    return len(tail) < needed
