"""Every strategy that a training run may choose, as arrays; what each costs is not known here.

A strategy is a routine and a state. The routine says how the work is split and ordered: ranks,
chunks, schedule, micro-batch, sequence parallelism, recomputation; without the last it is a pace.
The state says where parameters, gradients and optimiser live: ZeRO stage, shard group, offload,
width of gradients. Each routine goes with each state that its replicas (dp·cp) allow. Routines with
equal ranks are one split.

The order is that of the options below, and it settles ties. What is legal, and why the steps are
as fine as they are: docs/decisions/0008.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from math import isqrt

import numpy as np
import numpy.typing as npt

from clusterwright.compute.columns import Array, Columns, Layouts, Transformers
from clusterwright.errors import UnknownName

Rows = npt.NDArray[np.intp]

_SHARES = (0.25, 0.5, 0.75, 1.0)
"""Shares of a chunk's blocks that full recomputation takes, rounded up to whole blocks."""
_OFFLOADS = (0.0, 0.5, 1.0)
"""Shares of the optimiser state in host memory."""
_GRAD_BYTES = (2.0, 4.0)
_VOCAB_MULTIPLE = 128.0
"""The vocabulary is padded to a multiple of this on each tensor-parallel rank."""

SPLIT = ("tp", "pp", "dp", "cp", "ep", "expert_tp")
"""Columns that strategies of one split share."""
_PACE = ("chunks", "zero_bubble", "gpipe", "micro_batch")
CHOSEN = (
    *(*SPLIT, *_PACE, "sequence_parallel", "cp_gather", "recompute", "recomputed"),
    *("zero_stage", "shard", "offload", "grad_bytes"),
)
"""Columns of a layout that a strategy chooses, in the order of the space, slowest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class States(Columns):
    """Places of parameters, gradients and optimiser, each array of shape (num_states,)."""

    zero_stage: Array
    """ZeRO stage."""
    shard: Array
    """Ranks of one shard group."""
    offload: Array
    """Share of the optimiser in host memory."""
    grad_bytes: Array
    """Bytes of a gradient."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.zero_stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The strategies of one model on so many accelerators."""

    paces: Layouts
    """Routines before recomputation is chosen, shape (num_paces,), those of one split together."""
    starts: Rows
    """First pace of each split and, last, the number of paces; shape (num_splits + 1,)."""
    blocks_per_chunk: Rows
    """Blocks of a chunk at most, shape (num_paces,)."""
    ways: Mapping[int, Array]
    """By blocks of a chunk, the kinds and shares of recomputation, shape (num_ways, 2)."""
    states: Mapping[int, States]
    """States by number of replicas."""
    rejected: Mapping[str, int]
    """How many splits each rule turned down."""

    @property
    def num_splits(self) -> int:
        """Ways to factor the accelerators."""
        return len(self.starts) - 1

    @property
    def num_points(self) -> int:
        """Strategies."""
        ways = np.asarray([len(self.ways[int(n)]) for n in self.blocks_per_chunk], dtype=np.intp)
        before = np.concatenate(([0], np.cumsum(ways)))
        routines = np.diff(before[self.starts])
        return sum(int(n) * len(self.states_of(split)) for split, n in enumerate(routines))

    def states_of(self, split: int) -> States:
        """Return the states that the routines of a split go with."""
        first = self.starts[split]
        return self.states[int(self.paces.dp[first] * self.paces.cp[first])]

    def routines_of(self, split: int) -> tuple[Layouts, Rows]:
        """Return the routines of a split, its ranks as single values, and the pace of each."""
        every = np.arange(self.starts[split], self.starts[split + 1])
        ways = [self.ways[int(n)] for n in self.blocks_per_chunk[every]]
        paces = np.repeat(every, [len(one) for one in ways])
        chosen = np.concatenate(ways)
        ranks = {name: np.asarray(getattr(self.paces, name)[every[0]]) for name in SPLIT}
        routines = self.paces.take(paces)
        return replace(routines, **ranks, recompute=chosen[:, 0], recomputed=chosen[:, 1]), paces

    def points_of(self, split: int) -> Layouts:
        """Return every strategy of a split, routines slowest, as columns or single values."""
        routines, paces = self.routines_of(split)
        states = self.states_of(split)
        every = np.repeat(np.arange(len(paces)), len(states))
        tiled = {one.name: np.tile(getattr(states, one.name), len(paces)) for one in fields(states)}
        return replace(routines.take(every), **tiled)


@dataclass(frozen=True, slots=True)
class _Split:
    tp: int
    pp: int
    dp: int
    cp: int
    ep: int
    expert_tp: int


def enumerate_space(
    model: Transformers,
    *,
    gpus: int,
    global_batch: int,
    fixed: Mapping[str, float] | None = None,
    selective: bool = True,
) -> Space:
    """Return every legal strategy.

    Parameters
    ----------
    model
        One model, its columns single values.
    gpus
        Accelerators, all of them used.
    global_batch
        Sequences of one optimiser step.
    fixed
        Columns of the layout that must have a value.
    selective
        Whether recomputing attention alone differs from recomputing nothing; with fused attention
        it does not.

    Raises
    ------
    UnknownName
        If a fixed column is none that a strategy chooses.
    """
    held = dict(fixed or {})
    for name in held:
        if name not in CHOSEN:
            raise UnknownName.of("choice of a strategy", name, CHOSEN)
    rejected: dict[str, int] = {}
    splits = list(_splits(model, gpus, global_batch, held, rejected))
    states = {n: _states(n, held) for n in sorted({one.dp * one.cp for one in splits})}
    columns = _paces(model, splits, global_batch, held)
    per_chunk = np.ceil(model.layers / (columns["pp"] * columns["chunks"])).astype(np.intp)
    ways = {int(blocks): _ways(int(blocks), held, selective=selective) for blocks in set(per_chunk)}
    # What is fixed may leave a pace without a way to recompute, or its split without a state.
    there = [
        len(ways[int(blocks)]) > 0 and len(states[int(replicas)]) > 0
        for blocks, replicas in zip(per_chunk, columns["dp"] * columns["cp"], strict=True)
    ]
    rows = np.flatnonzero(there)
    columns = {name: values[rows] for name, values in columns.items()}
    split_of = columns.pop("split").astype(np.intp)
    kept, starts = np.unique(split_of, return_index=True)
    if len(kept) < len(splits):
        rejected["fixed"] = len(splits) - len(kept)
    return Space(
        paces=_layout(columns, global_batch),
        starts=np.append(starts, len(rows)).astype(np.intp),
        blocks_per_chunk=per_chunk[rows],
        ways=ways,
        states=states,
        rejected=rejected,
    )


def padded(model: Transformers, layout: Layouts) -> Transformers:
    """Return the model with the vocabulary as training software lays it out over the ranks."""
    unit = _VOCAB_MULTIPLE * layout.tp
    return replace(model, vocab=np.asarray(np.ceil(model.vocab / unit) * unit))


@cache
def _divisors(number: int) -> tuple[int, ...]:
    small = [n for n in range(1, isqrt(number) + 1) if number % n == 0]
    return tuple(sorted({*small, *(number // n for n in small)}))


def _splits(
    model: Transformers,
    gpus: int,
    global_batch: int,
    fixed: Mapping[str, float],
    rejected: dict[str, int],
) -> Iterator[_Split]:
    """Yield the legal ways to factor the accelerators; counts what each rule turns down."""
    wanted = {name: value for name, value in fixed.items() if name in SPLIT}
    for tp in _divisors(gpus):
        for pp in _divisors(gpus // tp):
            for cp in _divisors(gpus // tp // pp):
                dp = gpus // tp // pp // cp
                rule = _broken_rule(model, tp, pp, dp, cp, global_batch)
                if rule:
                    rejected[rule] = rejected.get(rule, 0) + 1
                    continue
                for ep, expert_tp in _expert_ranks(model, tp, dp * cp):
                    split = _Split(tp, pp, dp, cp, ep, expert_tp)
                    if all(getattr(split, name) == value for name, value in wanted.items()):
                        yield split


def _broken_rule(model: Transformers, tp: int, pp: int, dp: int, cp: int, global_batch: int) -> str:
    """Return the first rule that ranks break; empty when they are legal."""
    shared_keys = model.kv_rank == 0 and model.kv_heads % tp
    if model.heads % tp or shared_keys or model.ffn % tp:
        return "heads"
    if pp > model.layers:
        return "layers"
    # A causal sequence is cut into twice as many chunks as ranks, so that all have equal work.
    if cp > 1 and model.seq_len % (2 * cp):
        return "sequence"
    return "batch" if global_batch % dp else ""


def _expert_ranks(model: Transformers, tp: int, replicas: int) -> list[tuple[int, int]]:
    """Return expert-parallel ranks and the tensor-parallel ones within an expert."""
    if model.experts == 0:
        return [(1, tp)]
    return [
        (ep, expert_tp)
        for ep in _divisors(replicas)
        if model.experts % ep == 0
        for expert_tp in sorted({1, tp})
        if model.expert_ffn % expert_tp == 0
    ]


def _schedules(model: Transformers, pp: int) -> list[tuple[int, int, int]]:
    """Return chunks, zero-bubble and GPipe of the schedules of a pipeline."""
    if pp == 1:
        return [(1, 0, 0)]
    layers = int(model.layers)
    chunks = [
        v
        for v in range(2, layers // pp + 2)
        if layers % (pp * v) == 0 or (layers + 2) % (pp * v) == 0
    ]
    return [(1, 0, 0), (1, 1, 0), (1, 0, 1), *((v, 0, 0) for v in chunks)]


def _paces(
    model: Transformers, splits: Sequence[_Split], global_batch: int, fixed: Mapping[str, float]
) -> dict[str, Array]:
    """Return the columns of the paces of splits, the number of the split among them."""
    # 1. Schedules and micro-batches: few enough for a loop.
    divisors = {split.dp: _divisors(global_batch // split.dp) for split in splits}
    schedules = {split.pp: _schedules(model, split.pp) for split in splits}
    few = [
        (number, chunks, zero_bubble, gpipe, micro)
        for number, split in enumerate(splits)
        for chunks, zero_bubble, gpipe in schedules[split.pp]
        for micro in divisors[split.dp]
        # An interleaved schedule goes round in groups of as many micro-batches as stages.
        if chunks == 1 or (global_batch // split.dp // micro) % split.pp == 0
    ]
    table = np.asarray(few, dtype=float).reshape(-1, 5).T
    ranks = np.asarray([[getattr(one, name) for name in SPLIT] for one in splits], dtype=float)
    columns = dict(
        zip(SPLIT, ranks.reshape(-1, len(SPLIT))[table[0].astype(np.intp)].T, strict=True)
    )
    columns |= dict(zip(("split", *_PACE), table, strict=True))
    columns = _kept(columns, fixed)
    # 2. Yes or no: sequence parallelism where ranks can share the sequence, keys gathered or not.
    can_share = (columns["tp"] > 1) & (np.mod(model.seq_len / columns["cp"], columns["tp"]) == 0)
    columns = _times(columns, can_share, "sequence_parallel")
    columns = _times(columns, columns["cp"] > 1, "cp_gather")
    return _kept(columns, fixed)


def _layout(columns: Mapping[str, Array], global_batch: int) -> Layouts:
    """Return paces as layouts that compute nothing again and share nothing out."""
    single = dict.fromkeys(("recompute", "recomputed", "zero_stage", "offload"), 0.0)
    single |= {"global_batch": float(global_batch), "grad_bytes": _GRAD_BYTES[0]}
    return Layouts(
        **columns,
        **{name: np.asarray(value) for name, value in single.items()},
        shard=columns["dp"] * columns["cp"],
    )


def _times(
    columns: Mapping[str, Array], doubled: npt.NDArray[np.bool_], name: str
) -> dict[str, Array]:
    """Return each row with 0 in a new column and, where it is doubled, once more with 1."""
    counts = 1 + doubled.astype(np.intp)
    rows = np.repeat(np.arange(len(counts)), counts)
    copy = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return {key: values[rows] for key, values in columns.items()} | {name: copy.astype(float)}


def _kept(columns: dict[str, Array], fixed: Mapping[str, float]) -> dict[str, Array]:
    """Return rows that have the fixed values, as far as their columns are there."""
    for name, value in fixed.items():
        if name in columns:
            rows = np.flatnonzero(np.isclose(columns[name], value))
            columns = {key: values[rows] for key, values in columns.items()}
    return columns


def _ways(blocks: int, fixed: Mapping[str, float], *, selective: bool) -> Array:
    """Return kinds and shares of recomputation of a chunk of so many blocks."""
    rows = [
        (0.0, 0.0),
        *([(1.0, 1.0)] if selective else []),
        *sorted({(2.0, float(np.ceil(share * blocks) / blocks)) for share in _SHARES}),
    ]
    names = ("recompute", "recomputed")
    columns = _kept(dict(zip(names, np.asarray(rows).T, strict=True)), fixed)
    return np.stack([columns[name] for name in names], axis=1)


def _states(replicas: int, fixed: Mapping[str, float]) -> States:
    """Return the states that so many replicas allow."""
    rows: list[tuple[float, float, float, float]] = []
    for stage in range(4):
        # Sharing out over one rank is the stage without it.
        groups = [n for n in _divisors(replicas) if n > 1] if stage else [replicas]
        # Offload comes with an optimiser that is shared out, or has no one to share with.
        offloads = _OFFLOADS if stage or replicas == 1 else _OFFLOADS[:1]
        rows += [
            (float(stage), float(group), offload, grad)
            for group in reversed(groups)
            for offload in offloads
            for grad in _GRAD_BYTES
        ]
    names = ("zero_stage", "shard", "offload", "grad_bytes")
    columns = dict(zip(names, np.asarray(rows).T, strict=True))
    return States(**_kept(columns, fixed))
