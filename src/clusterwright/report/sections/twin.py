"""A run of the twin on the design: how busy it is, how long jobs wait, what it draws."""

from clusterwright import units
from clusterwright.model.run import HourlyQueue, QueueSummary, Run
from clusterwright.report import blocks
from clusterwright.report.blocks import Block, Cell, Fact, Facts, Picture, Section, Table
from clusterwright.report.context import Context, Voice
from clusterwright.report.figures import area, spread
from clusterwright.report.numbers import scale
from clusterwright.report.sections import month

_ALL = "all"
_MOST_QUEUES = 12
_SPARE_COLOURS = ("blue", "sky", "yellow", "green", "orange", "purple", "red")


def section(context: Context) -> Section | None:
    """Return the section; without a run, how to make one."""
    words, show, run = context.words, context.show, context.run
    if run is None:
        return Section(name="twin", title=words("twin.title"), lead=words("twin.none"), blocks=())
    status = run.status
    parts: list[Block] = [facts(context, run)]
    if context.recording is not None:
        parts += month.pictures(context, context.recording)
    elif any(one.num_gpus and one.used_fraction for one in run.spec.hours):
        parts.append(_usage(context, run))
    parts += by_queue(context, run)
    return Section(
        name="twin",
        title=words("twin.title"),
        lead=words(
            "twin.lead",
            span=show(run.spec.span_s, units.Seconds),
            jobs=f"{status.num_jobs:,}",
            share=show(status.gpu_allocation_fraction, units.Fraction),
            waited=waited(context, status.p95_wait_s),
        ),
        blocks=tuple(parts),
    )


def by_queue(context: Voice, run: Run) -> list[Block]:
    """Return how long jobs waited by queue: a picture, and the table."""
    queues = [one for one in run.items if one.name != _ALL and one.num_jobs]
    picture: list[Block] = [_waits(context, queues)] if queues else []
    return [*picture, _table(context, run)]


def waited(context: Voice, p95_s: float) -> str:
    """Return how long 95 of 100 jobs waited, in words."""
    if p95_s <= 0:
        return context.words("twin.waited.none")
    return context.words("twin.waited", wait=context.show(p95_s, units.Seconds))


def facts(context: Voice, run: Run) -> Facts:
    """Return what a run came to in figures."""
    words, show, status = context.words, context.show, run.status
    items = [
        context.fact("twin.allocated", show(status.gpu_allocation_fraction, units.Fraction)),
        context.fact("twin.useful", show(status.gpu_utilization_fraction, units.Fraction)),
        context.fact("twin.goodput", show(status.goodput_fraction, units.Fraction)),
        context.fact("twin.interruptions", f"{status.num_interruptions:,}"),
        context.fact("twin.preemptions", f"{status.num_preemptions:,}"),
        Fact(
            name=words("twin.guarantees"),
            value=Cell(
                text="–"
                if status.num_guarantees_broken is None
                else f"{status.num_guarantees_broken:,}",
                status="bad" if status.num_guarantees_broken else "",
            ),
        ),
    ]
    if status.energy_j > 0:
        items += [
            context.fact("twin.energy", show(status.energy_j, units.Joules)),
            context.fact("twin.money", show(status.cost_usd, units.Usd)),
            context.fact("twin.carbon", show(status.carbon_g, units.Grams)),
        ]
    return Facts(items=tuple(items))


def _usage(context: Voice, run: Run) -> Picture:
    words, show = context.words, context.show
    queues = [one for one in run.spec.hours if one.num_gpus and one.used_fraction]
    total = sum(one.num_gpus for one in queues)
    hours = min(len(one.used_fraction) for one in queues)
    layers = [
        area.Layer(
            name=context.say(one.name),
            values=tuple(one.num_gpus * share for share in one.used_fraction[:hours]),
            colour=_colour(context, one.name, place),
        )
        for place, one in enumerate(_largest(queues, words("twin.other.queues")))
    ]
    idle = [total - sum(layer.values[hour] for layer in layers) for hour in range(hours)]
    layers.append(
        area.Layer(
            name=words("twin.idle"), values=tuple(max(0.0, value) for value in idle), colour=""
        )
    )
    mean = 1 - sum(idle) / (total * hours)
    caption = words("twin.usage.caption", policy=run.spec.policy, seed=run.spec.seed)
    if area.steps(hours) > 1:
        caption += words("twin.usage.averaged", hours=area.steps(hours))
    return blocks.picture(
        "usage",
        words(
            "twin.usage.figure",
            share=show(mean, units.Fraction),
            total=f"{total:,}",
            span=show(run.spec.span_s, units.Seconds),
        ),
        caption,
        words.listed([layer.name for layer in layers]),
        lambda name, width: area.draw(
            name,
            width,
            layers,
            axes=(words("twin.axis.time"), words("twin.axis.gpus")),
            show=lambda value: f"{value:,.0f}",
            day=lambda number: words("twin.day", number=number + 1),
        ),
    )


def _largest(queues: list[HourlyQueue], rest_name: str) -> list[HourlyQueue]:
    """Return the largest queues, the others put together into one."""
    if len(queues) <= len(_SPARE_COLOURS):
        return queues
    ordered = sorted(queues, key=lambda one: -one.num_gpus)
    kept, rest = ordered[: len(_SPARE_COLOURS) - 1], ordered[len(_SPARE_COLOURS) - 1 :]
    total = sum(one.num_gpus for one in rest)
    hours = min(len(one.used_fraction) for one in rest)
    used = tuple(
        sum(one.num_gpus * one.used_fraction[hour] for one in rest) / total for hour in range(hours)
    )
    return [
        *kept,
        HourlyQueue(name=rest_name, num_gpus=total, used_fraction=used, mean_waiting_ratio=()),
    ]


def _colour(context: Voice, name: str, place: int) -> str:
    colour = context.colour(name)
    return colour if colour != "grey" else _SPARE_COLOURS[place % len(_SPARE_COLOURS)]


def _waits(context: Voice, queues: list[QueueSummary]) -> Picture:
    words, show = context.words, context.show
    ordered = sorted(queues, key=lambda one: -one.p95_wait_s)
    drawn = ordered[:_MOST_QUEUES]
    rows = [
        spread.Spread(
            name=context.say(one.name),
            marks=(one.p50_wait_s, one.p95_wait_s, one.p99_wait_s),
            text=" · ".join(
                show(value, units.Seconds)
                for value in (one.p50_wait_s, one.p95_wait_s, one.p99_wait_s)
            ),
            colour=_colour(context, one.name, place),
        )
        for place, one in enumerate(drawn)
    ]
    longest = drawn[0]
    most = max(mark for row in rows for mark in row.marks)
    unit = scale(units.Seconds, "h" if most >= scale(units.Seconds, "h") else "min")
    caption = words("twin.waits.caption")
    if len(ordered) > len(drawn):
        caption += words("twin.waits.cut", count=len(drawn), total=len(ordered))
    return blocks.picture(
        "waits",
        words.opening(
            "twin.waits.figure",
            queue=context.say(longest.name),
            wait=show(longest.p95_wait_s, units.Seconds),
        )
        if longest.p95_wait_s > 0
        else words("twin.waits.nobody"),
        caption,
        "; ".join(f"{one.name}: {one.text}" for one in rows),
        lambda name, width: spread.draw(
            name,
            width,
            rows,
            axis=words("twin.waits.axis"),
            legend=(words("twin.p50"), words("twin.p95"), words("twin.p99")),
            unit=unit,
            show=lambda value: show(value, units.Seconds),
        ),
    )


def _table(context: Voice, run: Run) -> Table:
    words, show = context.words, context.show
    return Table(
        name="queues",
        caption=words("twin.table"),
        columns=context.columns(
            "twin.queue",
            "#twin.jobs",
            "#twin.unfinished",
            "#twin.p50",
            "#twin.p95",
            "#twin.p99",
            "#twin.jct",
            "#twin.allocated",
            "#twin.goodput",
        ),
        rows=tuple(_queue_row(context, one) for one in run.items if one.name != _ALL),
        total=(
            Cell(text=words("twin.whole")),
            Cell(text=show.count(run.status.num_jobs)),
            Cell(text=show.count(run.status.num_unfinished)),
            Cell(text=show(run.status.p50_wait_s, units.Seconds)),
            Cell(text=show(run.status.p95_wait_s, units.Seconds)),
            Cell(text=show(run.status.p99_wait_s, units.Seconds)),
            Cell(text=show(run.status.avg_jct_s, units.Seconds)),
            Cell(text=show(run.status.gpu_allocation_fraction, units.Fraction)),
            Cell(text=show(run.status.goodput_fraction, units.Fraction)),
        ),
        source=words(
            "twin.source",
            policy=run.spec.policy,
            placement=run.spec.placement,
            backfill=run.spec.backfill,
            seed=run.spec.seed,
            digest=run.spec.log_digest,
        ),
    )


def _queue_row(context: Voice, one: QueueSummary) -> tuple[Cell, ...]:
    show = context.show
    return (
        Cell(text=context.say(one.name)),
        Cell(text=show.count(one.num_jobs)),
        Cell(text=show.count(one.num_unfinished)),
        Cell(text=show(one.p50_wait_s, units.Seconds)),
        Cell(text=show(one.p95_wait_s, units.Seconds)),
        Cell(text=show(one.p99_wait_s, units.Seconds)),
        Cell(text=show(one.avg_jct_s, units.Seconds)),
        Cell(text=show(one.gpu_allocation_fraction, units.Fraction)),
        Cell(text=show(one.goodput_fraction, units.Fraction)),
    )
