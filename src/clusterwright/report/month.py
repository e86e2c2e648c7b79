"""The page of a run: what it came to in one sentence and five figures, then its pictures."""

from dataclasses import dataclass

from clusterwright import units
from clusterwright.model.run import Run
from clusterwright.report.blocks import Block, Fact
from clusterwright.report.context import Voice
from clusterwright.report.sections import month as pictures
from clusterwright.report.sections import twin
from clusterwright.twin.recording import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What stands on the page."""

    sentence: str
    """What the run came to."""
    cards: tuple[Fact, ...]
    """The five figures below it."""
    blocks: tuple[Block, ...]
    """Everything else."""


def month(voice: Voice, run: Run, recording: Recording) -> Month:
    """Return what stands on the page of a run."""
    show, status = voice.show, run.status
    return Month(
        sentence=voice.words(
            "month.sentence",
            span=show(run.spec.span_s, units.Seconds),
            jobs=show.count(status.num_jobs),
            share=show(status.gpu_allocation_fraction, units.Fraction),
            waited=twin.waited(voice, status.p95_wait_s),
        ),
        cards=(
            voice.fact("twin.jobs", show.count(status.num_jobs)),
            voice.fact("twin.unfinished", show.count(status.num_unfinished)),
            voice.fact("month.p50", show(status.p50_wait_s, units.Seconds)),
            voice.fact("month.p95", show(status.p95_wait_s, units.Seconds)),
            voice.fact("twin.jct", show(status.avg_jct_s, units.Seconds)),
        ),
        blocks=(
            twin.facts(voice, run),
            *pictures.pictures(voice, recording),
            *twin.by_queue(voice, run),
        ),
    )
