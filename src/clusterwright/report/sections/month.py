"""The pictures of a run event by event: nodes in time, use against guarantees, who waits."""

from dataclasses import dataclass

import numpy as np

from clusterwright import units
from clusterwright.report import blocks
from clusterwright.report.blocks import Picture
from clusterwright.report.context import Voice
from clusterwright.report.figures import heat, strips
from clusterwright.report.figures.time_axis import TimeAxis, step_s
from clusterwright.report.svg import Drawing
from clusterwright.twin import hourly, spans
from clusterwright.twin.recording import Floats, Numbers, Recording

MOST_ROWS = 128
"""Rows of the heat map: nodes, else leaf switches, else so many blocks of neighbouring nodes."""
_MOST_STEPS = 192  # steps of time in a wide picture; half of it on a phone
_MOST_QUEUES = 12  # the others are put together
_CRUMB = 1e-6  # of a guarantee: rounding, not borrowing
_WHOLE_FROM = 10
_LEAST = 0.1


def pictures(voice: Voice, recording: Recording) -> tuple[Picture, ...]:
    """Return the pictures of a run: nodes, use and waiting."""
    found = [_waiting(voice, recording)]
    if recording.num_nodes:
        found = [_nodes(voice, recording), _use(voice, recording), *found]
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """Which row of the heat map each node is in, and what a row is."""

    of_node: Numbers
    queue_of_row: Numbers
    kind: str
    num_nodes: int


def _nodes(voice: Voice, recording: Recording) -> Picture:
    words, show = voice.words, voice.show
    rows = _rows(recording)
    held, lost = spans.attempts(recording), spans.losses(recording)
    capacity = np.bincount(rows.of_node, recording.node_quanta)
    count = np.bincount(rows.of_node)
    sizes = np.bincount(recording.queue_of_node, minlength=recording.queue_name.size)
    groups = _groups(voice, recording, np.flatnonzero(sizes), sizes)

    def bands(width: float) -> list[heat.Band]:
        step, num, lasts = _steps(recording.end_s, width)
        shape = (rows.queue_of_row.size, num)
        used = spans.integrals(
            (held.since_s[held.attempt], held.until_s[held.attempt]),
            held.quanta,
            rows.of_node[held.node],
            shape=shape,
            step_s=step,
        )
        gone = spans.integrals(
            (lost.since_s, lost.until_s),
            np.ones(lost.subject.size),
            rows.of_node[lost.subject],
            shape=shape,
            step_s=step,
        )
        used = used / (np.maximum(capacity, 1)[:, None] * lasts)
        gone = gone / (count[:, None] * lasts)
        return [
            heat.Band(
                name=name,
                note=words.many("month.nodes", int(sizes[group].sum())),
                used=_tuples(used[np.isin(rows.queue_of_row, group)]),
                lost=_tuples(gone[np.isin(rows.queue_of_row, group)]),
            )
            for name, group in groups
        ]

    on_gpus = recording.node_gpus > 0
    mine = on_gpus if on_gpus.any() else ~on_gpus
    took = mine[held.node] * held.quanta * (held.until_s - held.since_s)[held.attempt]
    whole = float(recording.node_quanta[mine].sum())
    row = words.many(f"month.row.{rows.kind}", rows.num_nodes)
    caption = words("month.nodes.caption", row=row, step=_step_name(voice, recording))
    if lost.subject.size:
        caption += words.many("month.nodes.lost", int(lost.subject.size))
    return blocks.picture(
        "month-nodes",
        words(
            "twin.usage.figure" if on_gpus.any() else "month.nodes.cores",
            share=show(float(took.sum()) / (whole * recording.end_s or 1.0), units.Fraction),
            total=f"{int(recording.node_gpus.sum() if on_gpus.any() else whole):,}",
            span=show(recording.end_s, units.Seconds),
        ),
        caption,
        words.listed([name for name, _ in groups]),
        lambda name, width: heat.draw(
            name,
            width,
            bands(width),
            axis=_axis(voice, recording),
            legend=(
                words("month.legend.used"),
                words("month.legend.lost") if lost.subject.size else "",
            ),
        ),
    )


def _rows(recording: Recording) -> _Rows:
    """Return the finest rows of which there are few enough; no row has nodes of two queues."""
    queue, leaf = recording.queue_of_node, recording.node_leaf
    number = np.arange(recording.num_nodes)
    if recording.num_nodes <= MOST_ROWS:
        return _Rows(of_node=number, queue_of_row=queue, kind="node", num_nodes=1)
    if bool((leaf >= 0).all()) and int(leaf.max()) < MOST_ROWS:
        _, first = np.unique(leaf, return_index=True)
        most = int(np.bincount(leaf).max())
        return _Rows(of_node=leaf, queue_of_row=queue[first], kind="leaf", num_nodes=most)
    each = -(-recording.num_nodes // MOST_ROWS)
    order = np.argsort(queue, kind="stable")
    within = np.empty_like(number)
    within[order] = number - np.searchsorted(queue[order], queue[order])
    _, first, block = np.unique(
        np.stack([queue, within // each]), axis=1, return_index=True, return_inverse=True
    )
    return _Rows(of_node=block.reshape(-1), queue_of_row=queue[first], kind="block", num_nodes=each)


def _use(voice: Voice, recording: Recording) -> Picture:
    words, owed = voice.words, recording.queue_guarantee
    on_gpus = hourly.has_gpus(recording)
    mean = _mean(hourly.queue_use(recording, 1, recording.end_s or 1.0), recording)
    groups = _groups(voice, recording, np.flatnonzero((owed > 0) | (mean > 0)), owed)

    def rows(width: float) -> tuple[list[strips.Strip], bool]:
        step, num, lasts = _steps(recording.end_s, width)
        used = hourly.queue_use(recording, num, step) / lasts
        found, borrowed = [], False
        for name, group in groups:
            values, line = used[group].sum(axis=0), float(owed[group].sum())
            peak = float(values.max(initial=0.0))
            borrowed |= 0 < line < peak * (1 - _CRUMB)
            text = words(
                "month.use.gpus" if on_gpus[group].any() else "month.use.cores",
                mean=_count(float(mean[group].sum())),
                owed=_count(line),
            )
            top = max(line, peak)
            values_of = tuple(values.tolist())
            found.append(strips.Strip(name=name, text=text, values=values_of, top=top, line=line))
        return found, borrowed

    def drawn(name: str, width: float) -> Drawing:
        found, borrowed = rows(width)
        legend = (
            words("month.legend.within"),
            words("month.legend.borrowed") if borrowed else "",
            words("month.legend.guarantee"),
        )
        axis = _axis(voice, recording)
        return strips.draw(name, width, found, axis=axis, looks=("blue", "purple"), legend=legend)

    share = np.where(owed > 0, mean / np.maximum(owed, 1e-9), 0.0)
    busiest = int(share.argmax())
    title = words(
        "month.use.figure",
        queue=voice.say(str(recording.queue_name[busiest])),
        share=voice.show(float(share[busiest]), units.Fraction),
    )
    caption = words("month.use.caption", step=_step_name(voice, recording))
    described = "; ".join(f"{one.name}: {one.text}" for one in rows(blocks.WIDE)[0])
    return blocks.picture("month-use", title, caption, described, drawn)


def _waiting(voice: Voice, recording: Recording) -> Picture:
    words = voice.words
    mean = _mean(hourly.queue_waiting(recording, 1, recording.end_s or 1.0), recording)
    groups = _groups(voice, recording, np.flatnonzero(mean > 0), mean, apart=False)

    def rows(width: float) -> list[strips.Strip]:
        step, num, lasts = _steps(recording.end_s, width)
        waiting = hourly.queue_waiting(recording, num, step) / lasts
        levels = [(name, group, waiting[group].sum(axis=0)) for name, group in groups]
        top = max((float(level.max(initial=0.0)) for _, _, level in levels), default=0.0)
        return [
            strips.Strip(
                name=name,
                text=words(
                    "month.wait.row",
                    mean=_count(float(mean[group].sum())),
                    most=_count(float(level.max(initial=0.0))),
                ),
                values=tuple(level.tolist()),
                top=top,
            )
            for name, group, level in levels
        ]

    step, num, lasts = _steps(recording.end_s, blocks.WIDE)
    waiting = hourly.queue_waiting(recording, num, step) / lasts
    peak = int(waiting.sum(axis=0).argmax())
    most = int(waiting[:, peak].argmax())
    title = words("month.wait.nobody")
    if groups:
        title = words(
            "month.wait.figure",
            count=_count(float(waiting[:, peak].sum())),
            queue=voice.say(str(recording.queue_name[most])),
            share=voice.show(
                float(waiting[most, peak] / waiting[:, peak].sum()), units.Fraction, digits=2
            ),
        )
    return blocks.picture(
        "month-waiting",
        title,
        words("month.wait.caption", step=_step_name(voice, recording)),
        "; ".join(f"{one.name}: {one.text}" for one in rows(blocks.WIDE)),
        lambda name, width: strips.draw(
            name,
            width,
            rows(width),
            axis=_axis(voice, recording),
            looks=("orange", "orange"),
            legend=("", "", ""),
            tall=22.0,
        ),
    )


def _groups(
    voice: Voice,
    recording: Recording,
    queues: Numbers,
    weight: Numbers | Floats,
    *,
    apart: bool = True,
) -> list[tuple[str, Numbers]]:
    """Return queues with their names, largest first; small ones are put together.

    With `apart`, those on accelerators come before those on cores and are not put together.
    """
    on_cores = ~hourly.has_gpus(recording) & apart
    order = queues[np.lexsort((-weight[queues], on_cores[queues]))]
    kept = order if order.size <= _MOST_QUEUES else order[: _MOST_QUEUES - 1]
    found = [(voice.say(str(recording.queue_name[one])), np.array([one])) for one in kept]
    rest = order[kept.size :]
    for kind in (False, True):
        same = rest[on_cores[rest] == kind]
        if same.size:
            found.append((voice.words("twin.other.queues"), same))
    return found


def _steps(end_s: float, width: float) -> tuple[float, int, Floats]:
    """Return how long a step of a picture is, how many there are, and how long each of them is."""
    most = _MOST_STEPS if width >= blocks.WIDE else _MOST_STEPS // 2
    step = step_s(end_s or 1.0, most)
    num = max(1, int(np.ceil(end_s / step)))
    lasts = np.full(num, step)
    lasts[-1] = end_s - (num - 1) * step or step
    return step, num, lasts


def _step_name(voice: Voice, recording: Recording) -> str:
    return voice.show(_steps(recording.end_s, blocks.WIDE)[0], units.Seconds)


def _mean(whole: Floats, recording: Recording) -> Floats:
    """Return the mean over the run of what was summed over it, shape (num_queues,)."""
    return np.asarray(whole[:, 0] / (recording.end_s or 1.0))


def _axis(voice: Voice, recording: Recording) -> TimeAxis:
    words = voice.words
    titles = (words("month.axis.days"), words("month.axis.hours"), words("month.axis.minutes"))
    return TimeAxis(end_s=recording.end_s, titles=titles)


def _count(value: float) -> str:
    """Return a mean number of things: whole from ten on, and never zero where it is not."""
    if 0 < value < _LEAST:
        return f"<{_LEAST}"
    return f"{value:,.0f}" if value >= _WHOLE_FROM else f"{value:.1f}".removesuffix(".0")


def _tuples(rows: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in rows.tolist())
