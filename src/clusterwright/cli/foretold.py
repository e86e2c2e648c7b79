"""By when a job of the running centre will start, and what it will cost, in sentences."""

from collections.abc import Mapping
from typing import Any

from clusterwright.units import Grams, Joules, Seconds, Usd
from clusterwright.units import format as show

_NAMED = 8  # nodes that are named; the others are counted


def start(found: Mapping[str, Any]) -> str:
    """Return by when a job will have started."""
    even_s, likely_s = found["start_in_p50_s"], found["start_in_p90_s"]
    learned = found["learned_from_jobs"]
    basis = f"run times of {learned:,} jobs" if learned else "time limits alone: nothing has ended"
    if even_s is None:
        return f"in most futures it does not start within 60 days (from {basis})"
    if not even_s and not likely_s:
        return "it starts at once"
    text = f"starts {_within(even_s)} with an even chance"
    if likely_s is None:
        text += ", and in one future of ten or more not within 60 days"
    else:
        text += f", {_within(likely_s)} nine times in ten"
    return f"{text} (from {basis})"


def trial(found: Mapping[str, Any]) -> str:
    """Return place, start, run time and cost of a job that was only tried."""
    lines = [_place(found["place"]), start(found["start"])]
    words = (("p50", "with an even chance"), ("p90", "nine times in ten"), ("limit", "at most"))
    for name, word in words:
        one = found["expected"][name]
        costs = [
            show(one[key], unit) + what
            for key, unit, what in (
                ("cost_usd", Usd, ""),
                ("energy_j", Joules, ""),
                ("carbon_g", Grams, " CO2"),
            )
            if one[key]  # a centre that states no rates or power says nothing of them
        ]
        said = f": {', '.join(costs)}" if costs else ""
        lines.append(f"{word} it runs {show(one['run_s'], Seconds)}{said}")
    return "\n".join(lines)


def _place(found: Mapping[str, Any]) -> str:
    if not found["nodes"]:
        return f"now it would wait: {found['message']} ({found['reason']})"
    names, more = found["nodes"][:_NAMED], len(found["nodes"]) - _NAMED
    where = ", ".join(names) + (f" and {more} more" if more > 0 else "")
    level = found["within"]
    if len(found["nodes"]) > 1 and level is not None:
        where += f" ({level})"
    return f"now it fits on {where}"


def _within(time_s: float) -> str:
    return f"within {show(time_s, Seconds)}" if time_s else "at once"
