"""The axis of time below a picture of a run: days, or hours and minutes for a short one."""

from dataclasses import dataclass

from clusterwright.report.numbers import positions
from clusterwright.report.svg import LINE_HEIGHT, Drawing, text_width
from clusterwright.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, Seconds

HEIGHT = 2.4 * LINE_HEIGHT
"""What the axis takes below a picture."""
_ROUND = (1 / 60, 1 / 12, 1 / 4, 1 / 2, 1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168, 336, 720)  # hours
_MOST_HOURS = 48  # a run up to that long is read in hours, up to two of them in minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAxis:
    """An axis of time from the start of a run to its end."""

    end_s: Seconds
    """When the run ended."""
    titles: tuple[str, str, str]
    """Titles for days, hours and minutes."""

    def draw(self, drawing: Drawing, left: float, right: float, y: float) -> None:
        """Draw the axis from `left` to `right` at the height `y`."""
        title, unit_s = self._unit()
        drawing.line(left, y, right, y, look="axis")
        whole = max(self.end_s, 1e-9) / unit_s
        for tick in positions(whole, max(2, int((right - left) // 60))):
            if tick > whole * 1.001:
                break
            x, text = left + (right - left) * tick / whole, f"{tick:g}"
            anchor = "end" if x + text_width(text) / 2 > right else "middle"
            drawing.line(x, y, x, y + 4, look="axis")
            drawing.text(x, y + LINE_HEIGHT + 2, text, look="muted", anchor=anchor)
        drawing.text(
            (left + right) / 2, y + 2.2 * LINE_HEIGHT, title, look="muted", anchor="middle"
        )

    def _unit(self) -> tuple[str, float]:
        hours = self.end_s / SECONDS_PER_HOUR
        units = (SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_HOUR / 60)
        place = 0 if hours > _MOST_HOURS else 1 if hours > 2 else 2
        return self.titles[place], units[place]


def step_s(end_s: Seconds, most: int) -> float:
    """Return the shortest round step of time of which at most so many fill a run.

    Examples
    --------
    >>> step_s(31 * 86400.0, 192) / 3600
    4.0
    """
    fitting = (one * SECONDS_PER_HOUR for one in _ROUND if one * SECONDS_PER_HOUR * most >= end_s)
    return next(fitting, end_s / most)
