"""The time of the journal goes forwards, whatever is done to the clock of the machine."""

import pytest
from tests.control.world import centre, comes_to, conducted, job, state_of, submit, until, world_of

from clusterwright.control.clock import BELIEVED_AFTER_S, JUMP_S, Clock
from clusterwright.engines import Attempt


class _Hands:
    """A wall clock and a steady one, both moved by hand."""

    def __init__(self, wall_s=1e9):
        self.wall_s, self.steady_s = wall_s, 50.0

    def clock(self, last_s=0.0):
        return Clock(last_s, wall=lambda: self.wall_s, steady=lambda: self.steady_s)

    def run(self, seconds):
        self.wall_s += seconds
        self.steady_s += seconds


def test_it_begins_at_the_wall_clock_or_at_what_was_written_down():
    hands = _Hands()
    assert hands.clock().now_s() == pytest.approx(1e9, abs=0.01)
    assert hands.clock(1e9 + 500).now_s() == pytest.approx(1e9 + 500, abs=0.01)


def test_no_two_times_are_alike():
    clock = _Hands().clock()
    times = [clock.now_s() for _ in range(5)]
    assert times == sorted(set(times))


@pytest.mark.parametrize("jump_s", [-86_400.0, -JUMP_S, JUMP_S, 86_400.0])
def test_a_jump_is_told_once_and_moves_nothing(jump_s):
    hands = _Hands()
    clock = hands.clock()
    before_s = clock.now_s()
    hands.wall_s += jump_s
    assert clock.jump_s() == pytest.approx(jump_s)
    assert clock.jump_s() == 0.0
    hands.run(10.0)
    assert clock.now_s() - before_s == pytest.approx(10.0, abs=0.01)


def test_a_slow_correction_is_not_told():
    hands = _Hands()
    clock = hands.clock()
    hands.wall_s += JUMP_S / 2
    assert clock.jump_s() == 0.0


def test_a_wall_clock_that_stays_ahead_is_followed_after_a_while():
    hands = _Hands()
    clock = hands.clock()
    hands.wall_s += 3600.0
    clock.jump_s()
    hands.run(BELIEVED_AFTER_S + 1.0)
    assert clock.jump_s() == 0.0
    assert clock.now_s() == pytest.approx(hands.wall_s, abs=0.01)


def test_a_wall_clock_that_stays_behind_is_not_followed():
    hands = _Hands()
    clock = hands.clock()
    before_s = clock.now_s()
    hands.wall_s -= 3600.0
    clock.jump_s()
    hands.run(BELIEVED_AFTER_S * 2)
    assert clock.jump_s() == 0.0
    assert clock.now_s() - before_s == pytest.approx(BELIEVED_AFTER_S * 2, abs=0.01)


@pytest.mark.parametrize("jump_s", [-7200.0, 7200.0])
def test_a_centre_tells_a_jump_and_trips_no_time_limit(tmp_path, jump_s):
    made = centre()
    world = world_of(made)
    conductor = conducted(tmp_path, world, made)
    try:
        runs = submit(conductor, job(nodes=2, time_limit_s=600.0))
        comes_to(conductor, runs, "RUNNING")
        wall = conductor.clock._wall
        conductor.clock._wall = lambda: wall() + jump_s
        world.bell.set()

        def told():
            return [e for e in conductor.journal.entries() if e.kind == "clock"]

        found = until(told, "the entry of the jump")
        assert found[0].body["jump_s"] == pytest.approx(jump_s, abs=JUMP_S)
        submit(conductor, job(name="after"))
        assert state_of(conductor, runs) == "RUNNING"
        assert not world.stopped
        times = [entry.time_s for entry in conductor.journal.entries()]
        assert times == sorted(times)
        world.end(Attempt(runs, 1))
        comes_to(conductor, runs, "COMPLETED")
    finally:
        conductor.stop()
        conductor.journal.close()
