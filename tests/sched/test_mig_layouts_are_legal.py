"""MIG: positions, full layouts, best starts, covers and recuts.

Positions: NVIDIA, Multi-Instance GPU User Guide; `nvidia-smi mig -lgipp` on A100 and H100.
"""

from collections import Counter
from dataclasses import replace
from itertools import combinations_with_replacement

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan.conftest import the_catalog

from clusterwright.errors import UnknownName, UsageError
from clusterwright.sched.mig import Cut, Geometry, Instance

NAMES = [part.name for part in the_catalog().accelerators.values() if part.mig]
A100 = Geometry(the_catalog().accelerator("A100-SXM4-40GB"))
POSITIONS = {
    "1g.5gb": (1, (0, 1, 2, 3, 4, 5, 6)),
    "1g.10gb": (2, (0, 2, 4, 6)),
    "2g.10gb": (2, (0, 2, 4)),
    "3g.20gb": (4, (0, 4)),
    "4g.20gb": (4, (0,)),
    "7g.40gb": (8, (0,)),
}


def on(profile, start):
    return Instance(profile=profile, start=start)


def counts(layout):
    return Counter(one.profile for one in layout)


def test_positions_are_those_that_the_driver_lists():
    listed = {one.name: (one.memory_slices, one.starts) for one in A100.profiles.values()}
    assert listed == POSITIONS


@pytest.mark.parametrize("name", NAMES)
def test_as_many_instances_of_one_profile_fit_as_the_vendor_says(name):
    geometry = Geometry(the_catalog().accelerator(name))
    for profile in geometry.profiles.values():
        most = max(counts(layout)[profile.name] for layout in geometry.layouts())
        assert most == profile.num_instances, profile.name


@pytest.mark.parametrize("name", NAMES)
def test_full_layouts_overlap_nowhere_and_have_no_room_left(name):
    geometry = Geometry(the_catalog().accelerator(name))
    layouts = geometry.layouts()
    assert len(set(layouts)) == len(layouts)
    for layout in layouts:
        taken = geometry.taken(layout)  # refuses overlaps and illegal starts
        assert all(taken & bits for bits in geometry.positions.values())
        assert sum(geometry.profiles[one.profile].compute_slices for one in layout) <= 7


def test_without_the_double_memory_profile_there_are_nineteen():
    # Six ways for slices 0-3 (4g, 3g, and 2g or two 1g on each half), three for the rest, and 7g.
    plain = tuple(one for one in A100.accelerator.mig if one.name != "1g.10gb")
    assert len(Geometry(replace(A100.accelerator, mig=plain)).layouts()) == 6 * 3 + 1


@pytest.mark.parametrize(
    ("wanted", "legal"),
    [
        ({"1g.5gb": 7}, True),
        ({"3g.20gb": 2}, True),
        ({"4g.20gb": 1, "3g.20gb": 1}, True),
        ({"3g.20gb": 1, "2g.10gb": 1, "1g.5gb": 2}, True),
        ({"3g.20gb": 1, "2g.10gb": 2}, True),
        ({"2g.10gb": 3, "1g.5gb": 1}, True),
        ({"4g.20gb": 1, "1g.5gb": 3}, True),
        ({"4g.20gb": 2}, False),  # 40 GB by memory, but both would start at 0
        ({"3g.20gb": 2, "1g.5gb": 1}, False),  # seven compute slices, no memory slice left
        ({"2g.10gb": 4}, False),  # as much memory as there is
        ({"7g.40gb": 1, "1g.5gb": 1}, False),
    ],
)
def test_known_mixes_are_legal_or_not(wanted, legal):
    assert any(Counter(wanted) <= counts(layout) for layout in A100.layouts()) == legal


instances = st.sampled_from(sorted(A100.positions))


@given(st.lists(instances, max_size=8))
def test_instances_put_one_by_one_at_the_best_start_never_overlap(asked):
    layout = ()
    for one in asked:
        start = A100.best_start(one.profile, layout)
        room = [p for p, bits in A100.positions.items() if not bits & A100.taken(layout)]
        assert (start is not None) == any(p.profile == one.profile for p in room)
        if start is not None:
            chosen = on(one.profile, start)
            after = A100.taken((*layout, chosen))  # refuses what is not legal
            futures = [
                A100.num_futures(A100.taken((*layout, p))) for p in room if p.profile == one.profile
            ]
            assert A100.num_futures(after) == max(futures)
            layout = (*layout, chosen)


def test_a_small_instance_does_not_stand_in_the_way_of_large_ones():
    assert A100.best_start("1g.5gb", ()) == 6
    assert A100.best_start("3g.20gb", ()) == 4
    assert A100.best_start("4g.20gb", (on("3g.20gb", 4),)) == 0
    assert A100.best_start("4g.20gb", (on("3g.20gb", 0),)) is None


@pytest.mark.parametrize(
    ("layout", "why"),
    [
        ((on("4g.20gb", 4),), "may not start at 4"),
        ((on("3g.20gb", 0), on("1g.5gb", 3)), "overlaps"),
        ((on("1g.5gb", 7),), "may not start at 7"),
    ],
)
def test_illegal_layouts_are_refused(layout, why):
    with pytest.raises(UsageError, match=why):
        A100.taken(layout)


def test_an_unknown_profile_offers_a_near_one():
    with pytest.raises(UnknownName, match=r"1g\.5gb"):
        A100.recut([Cut()], {"1g.6gb": 1})


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from(sorted(POSITIONS)), st.integers(0, 9), max_size=4))
def test_a_cover_holds_what_is_wanted(wanted):
    cover = A100.cover(wanted)
    held = Counter()
    for layout, count in cover:
        A100.taken(layout)
        for profile, each in counts(layout).items():
            held[profile] += each * count
    assert Counter(wanted) <= held


def test_a_cover_is_the_smallest():
    wanted = {"3g.20gb": 3, "2g.10gb": 2, "1g.5gb": 4}
    count = sum(count for _, count in A100.cover(wanted))
    mixes = [counts(layout) for layout in A100.layouts()]
    fewer = combinations_with_replacement(mixes, count - 1)
    assert not any(Counter(wanted) <= sum(chosen, Counter()) for chosen in fewer)


def cuts():
    def cut(chosen, running):
        layout, taken = [], 0
        for one in chosen:
            if not taken & A100.positions[one]:
                layout.append(one)
                taken |= A100.positions[one]
        return Cut(running=tuple(sorted(layout[:running])), idle=tuple(sorted(layout[running:])))

    return st.builds(cut, st.lists(instances, max_size=5), st.integers(0, 3))


@settings(max_examples=25)
@given(
    st.lists(cuts(), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["1g.5gb", "2g.10gb", "3g.20gb"]), st.integers(0, 3)),
)
def test_a_recut_leaves_alone_what_runs_and_provides_what_it_says(given_cuts, wanted):
    recut = A100.recut(given_cuts, wanted)
    idle = [set(cut.idle) for cut in given_cuts]
    for change in recut.changes:
        assert set(change.destroyed) <= idle[change.gpu]
        idle[change.gpu] = idle[change.gpu] - set(change.destroyed) | set(change.created)
    held = Counter()
    for cut, left in zip(given_cuts, idle, strict=True):
        A100.taken((*cut.running, *left))
        held += counts(left)
    assert Counter(wanted) - held == Counter(recut.missing)
    if not Counter(wanted) - sum((counts(cut.idle) for cut in given_cuts), Counter()):
        assert recut.num_changes == 0


def test_a_recut_takes_the_accelerator_with_least_to_destroy():
    busy = Cut(running=(on("1g.5gb", 0),), idle=(on("1g.5gb", 4), on("1g.5gb", 5)))
    ready = Cut(running=(on("3g.20gb", 0),), idle=(on("1g.5gb", 6),))
    recut = A100.recut([busy, ready], {"3g.20gb": 1})
    assert [(one.gpu, one.destroyed, one.created) for one in recut.changes] == [
        (1, (on("1g.5gb", 6),), (on("3g.20gb", 4),))
    ]


def test_what_no_cutting_can_provide_is_told():
    busy = Cut(running=(on("1g.5gb", 0),))
    assert A100.recut([busy], {"7g.40gb": 1}).missing == {"7g.40gb": 1}
    assert A100.recut([], {"1g.5gb": 2}).missing == {"1g.5gb": 2}


@pytest.mark.parametrize(
    ("memory_bytes", "seats"),
    [(4e9, (1, 7, 10)), (9e9, (1, 4, 4)), (19e9, (1, 2, 2)), (39e9, (1, 1, 1)), (50e9, (0, 0, 0))],
)
def test_seats_by_instance_by_turns_and_alone(memory_bytes, seats):
    found = A100.seats(memory_bytes)
    assert (found.exclusive, found.mig, found.time_sliced) == seats


def test_a_part_without_mig_says_so():
    with pytest.raises(UsageError, match="cannot be cut"):
        Geometry(the_catalog().accelerator("MI300X"))
