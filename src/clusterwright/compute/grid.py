"""The layouts that a plan weighs for a campaign: those that practitioners choose among.

Far fewer than `search training` tries, so that dozens of candidates of a plan are timed in seconds:
ranks in powers of two, copies of the model as many as there is work for, recomputation of
a share of the blocks, one chunk of layers a stage or the finest that divide the model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from clusterwright.compute.blocks import blocks
from clusterwright.compute.columns import Array, Columns, Layouts, Machines, Stacks, Transformers
from clusterwright.compute.footprint import Footprint, footprint
from clusterwright.compute.stack import MANY_EXPERTS
from clusterwright.compute.steptime import Steps, steps
from clusterwright.model.work import Parallel

_WIDEST_TP = 16  # ranks; wider ones leave too little of a layer to each
_DEEPEST_PP = 64
_MOST_CHUNKS = 8  # chunks of layers a stage; more make the messages between stages too many
_LONG = 16384  # tokens of a sequence from which on it is worth cutting
_MICRO = (1, 2, 4, 8)
_EXPERT_RANKS = (1, 4, 8, 16, 32, 64)
_FEWER_COPIES = 3  # further numbers of copies, each with one micro-batch more
_AGAIN = ((0, 0.0), (2, 0.25), (2, 0.5), (2, 1.0))  # recomputation, share of the blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways(Columns):
    """Ways to spread one copy of a model, each array of shape (n,); names as in `Layouts`."""

    tp: Array
    pp: Array
    cp: Array
    ep: Array
    expert_tp: Array
    chunks: Array
    micro_batch: Array
    zero_stage: Array
    recompute: Array
    recomputed: Array

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.tp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Layouts with their time and memory, each array of shape (n,)."""

    layout: Layouts
    """The layouts."""
    way: Array
    """Which of the ways each layout is."""
    step: Steps
    """Time by cause."""
    memory: Footprint
    """Memory by what it holds."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.way)


def ways(model: Mapping[str, float], *, domain: int, stated: Parallel | None = None) -> Ways:
    """Return the ways to spread a model.

    Parameters
    ----------
    model
        Columns of one model.
    domain
        Accelerators of a scale-up domain.
    stated
        Ranks and ZeRO stage that a demand states; absent, all are weighed.
    """
    rows = [
        (tp, pp, cp, ep, expert_tp, chunks, micro, zero, *again)
        for tp, pp, cp in _ranks(model, domain, stated)
        for ep, expert_tp in _expert_ranks(model, tp, stated)
        for chunks in _chunks(model["layers"], pp)
        for micro in _MICRO
        # Sharded parameters are gathered for every micro-batch, which a pipeline has many of.
        for zero in ((stated.zero_stage,) if stated is not None else (1, 3) if pp == 1 else (1,))
        for again in _AGAIN
    ]
    return Ways(**dict(zip(Ways.__slots__, np.asarray(rows, dtype=float).T, strict=True)))


def timed(
    machine: Machines,
    stack: Stacks,
    model: Transformers,
    known: Ways,
    *,
    num_accelerators: int,
    num_global_batch: int,
    gradient_bytes: float,
) -> Timed | None:
    """Return time and memory of ways on at most so many accelerators; nothing if none is legal.

    Of a way there are as few copies as get through the batch in so many micro-batches each: more
    take as long.
    """
    most = np.floor(num_accelerators / (known.tp * known.pp * known.cp))
    legal = np.flatnonzero((most >= 1) & (known.micro_batch <= num_global_batch))
    if len(legal) == 0:
        return None
    few = known.take(legal)
    fewest = np.ceil(num_global_batch / (few.micro_batch * most[legal]))
    turns = fewest + np.arange(_FEWER_COPIES + 1)[:, None]
    dp = np.ceil(num_global_batch / (few.micro_batch * turns))
    fresh = np.vstack([np.ones(len(few), dtype=bool), dp[1:] < dp[:-1]])
    whole = np.mod(dp * few.cp * few.tp, few.ep * few.expert_tp) == 0
    copy, row = np.nonzero(fresh & whole & (dp * few.micro_batch <= num_global_batch))
    if len(row) == 0:
        return None
    chosen, copies = few.take(row), dp[copy, row]
    zero = np.asarray(0.0)
    layout = Layouts(
        **{name: getattr(chosen, name) for name in Ways.__slots__},
        dp=copies,
        global_batch=np.asarray(float(num_global_batch)),
        shard=copies * chosen.cp,
        sequence_parallel=(chosen.tp > 1).astype(float),
        zero_bubble=zero,
        gpipe=zero,
        cp_gather=zero,
        offload=zero,
        grad_bytes=np.asarray(gradient_bytes),
    )
    return Timed(
        layout=layout,
        way=legal[row].astype(float),
        step=steps(model, machine, stack, layout, blocks(model, machine, stack, layout)),
        memory=footprint(model, stack, layout),
    )


def order(found: Timed, usable_bytes: float) -> list[int]:
    """Return the layouts that fit from the fastest on, then the others from the leanest on."""
    total = found.memory.total_bytes
    fits = total <= usable_bytes
    placed: list[int] = np.lexsort((total, np.where(fits, found.step.step_s, np.inf))).tolist()
    return placed


def _ranks(
    model: Mapping[str, float], domain: int, stated: Parallel | None
) -> Iterator[tuple[int, int, int]]:
    if stated is not None:
        yield stated.tp, stated.pp, stated.cp
        return
    for tp in _doublings(min(_WIDEST_TP, domain)):
        if model["heads"] % tp:
            continue
        for pp in _doublings(min(_DEEPEST_PP, int(model["layers"]))):
            for cp in _doublings(max(1, int(2 * model["seq_len"] // _LONG))):
                if model["seq_len"] % cp == 0:
                    yield tp, pp, cp


def _doublings(most: int) -> Iterator[int]:
    number = 1
    while number <= most:
        yield number
        number *= 2


def _expert_ranks(
    model: Mapping[str, float], tp: int, stated: Parallel | None
) -> Iterator[tuple[int, int]]:
    experts = int(model["experts"])
    if not experts:
        yield 1, tp
        return
    expert_tp = 1 if experts >= MANY_EXPERTS else tp
    for ep in (stated.ep,) if stated is not None and stated.ep > 1 else _EXPERT_RANKS:
        if ep <= experts and experts % ep == 0:
            yield ep, expert_tp


def _chunks(layers: float, pp: int) -> Iterator[int]:
    """Yield one chunk a stage, and the two finest that divide the model.

    With one layer less on the stages of embedding and vocabulary, layers + 2 is what is divided.
    """
    yield 1
    if pp > 1:
        fine = [
            many
            for many in range(min(_MOST_CHUNKS, int((layers + 2) // pp)), 1, -1)
            if layers % (pp * many) == 0 or (layers + 2) % (pp * many) == 0
        ]
        yield from fine[:2]
