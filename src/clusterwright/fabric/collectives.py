"""How long a collective takes on a group of accelerators, first order in latency and bandwidth.

Legend: p ranks, m bytes of the whole buffer, b bytes/s of one rank's link per direction, a latency
of one message in seconds. All functions broadcast over arrays.

Source: Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in MPICH",
2005, sections 4 and 5; the in-network form halves the bytes a rank sends, since the switch reduces
(Graham et al., "SHARP", 2016).
"""

import numpy as np
import numpy.typing as npt

Array = float | npt.NDArray[np.float64]


def all_reduce_ring_s(p: Array, m: Array, b: Array, a: Array) -> npt.NDArray[np.float64]:
    """Return 2(p-1) steps of m/p bytes each."""
    p = np.asarray(p, dtype=float)
    return np.asarray(2 * (p - 1) * (np.asarray(a) + np.asarray(m) / p / np.asarray(b)))


def all_reduce_tree_s(p: Array, m: Array, b: Array, a: Array) -> npt.NDArray[np.float64]:
    """Return a reduction and a broadcast along a pipelined double binary tree."""
    p = np.asarray(p, dtype=float)
    steps = 2 * np.ceil(np.log2(np.maximum(p, 1)))
    sent = np.where(p > 1, 2 * np.asarray(m) / np.asarray(b), 0.0)
    return np.asarray(steps * np.asarray(a) + sent)


def all_reduce_in_network_s(p: Array, m: Array, b: Array, a: Array) -> npt.NDArray[np.float64]:
    """Return one trip up and one down, each byte sent once."""
    p = np.asarray(p, dtype=float)
    return np.asarray(np.where(p > 1, 2 * np.asarray(a) + np.asarray(m) / np.asarray(b), 0.0))


def all_gather_s(p: Array, m: Array, b: Array, a: Array) -> npt.NDArray[np.float64]:
    """Return p-1 steps of m/p bytes each; a reduce-scatter takes the same."""
    p = np.asarray(p, dtype=float)
    return np.asarray((p - 1) * (np.asarray(a) + np.asarray(m) / p / np.asarray(b)))


def all_to_all_s(p: Array, m: Array, b: Array, a: Array) -> npt.NDArray[np.float64]:
    """Return p-1 messages of m/p bytes each, where m is what one rank sends in all."""
    return all_gather_s(p, m, b, a)


def all_reduce_hierarchical_s(
    inside: Array, outside: Array, m: Array, b_inside: Array, b_outside: Array, a: Array
) -> npt.NDArray[np.float64]:
    """Return reduce-scatter inside, all-reduce of the shares outside, all-gather inside.

    `inside` ranks share a scale-up domain with `b_inside`; `outside` domains are joined with
    `b_outside` for each rank.
    """
    inside = np.asarray(inside, dtype=float)
    return np.asarray(
        2 * all_gather_s(inside, m, b_inside, a)
        + all_reduce_ring_s(outside, np.asarray(m) / inside, b_outside, a)
    )
