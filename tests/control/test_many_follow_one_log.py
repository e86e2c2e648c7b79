"""Whoever follows a log gets all of it, in order, once; one look at the file serves all."""

import asyncio
import json
from types import SimpleNamespace

from clusterwright.control.api import logs
from clusterwright.engines import Attempt, End


def _text(events):
    return "".join(
        json.loads(line.removeprefix("data: "))
        for event in events
        if "event: log" in event
        for line in event.splitlines()
        if line.startswith("data: ")
    )


def test_followers_get_every_character_whenever_they_came(tmp_path):
    path = tmp_path / "log"
    attempt = SimpleNamespace(is_over=False, end=End.COMPLETED)
    record = SimpleNamespace(attempts=[attempt])
    conductor = SimpleNamespace(stopped=False)
    lines = [f"line {n} – ž – 中文\n" for n in range(40)]

    async def follow(tails, late_s, offset=0):
        await asyncio.sleep(late_s)
        found = logs.streamed(tails, conductor, record, Attempt("1", 1), path, offset)
        return [event async for event in found]

    async def write():
        for line in lines:
            with path.open("a", encoding="utf-8") as file:
                half = len(line) // 2
                file.write(line[:half])
                file.flush()
                await asyncio.sleep(0.01)
                file.write(line[half:])
        attempt.is_over = True

    async def everything():
        tails = logs.Tails()
        late = [0.03 * n for n in range(20)]
        found, _ = await asyncio.gather(
            asyncio.gather(*(follow(tails, one) for one in late)), write()
        )
        assert tails._tails == {}  # the last one to leave ends the looking
        return found

    for events in asyncio.run(everything()):
        assert _text(events) == "".join(lines)
        assert "event: end" in events[-1]
