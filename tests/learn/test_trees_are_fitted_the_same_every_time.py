"""Boosted trees: the extra `ml`."""

import numpy as np
import pytest
from tests.learn.conftest import job, past

from clusterwright import learn
from clusterwright.errors import UsageError

pytest.importorskip("lightgbm", reason="LightGBM is not installed; pip install 'clusterwright[ml]'")


def months(count=400):
    return [
        past(n, submit_s=n * 600.0, queue="ab"[n % 2], duration_s=(60.0, 9000.0)[n % 2])
        for n in range(count)
    ]


def test_trees_tell_queues_apart():
    trees = learn.Boosted(months(), 1e6)
    short, long = trees.outlooks([job(1, queue="a"), job(2, queue="b")])
    assert short.quantile_s(0.5) < 600
    assert long.quantile_s(0.5) > 3000


def test_the_same_jobs_give_the_same_trees():
    asked = [job(n, queue="ab"[n % 2], submit_s=n * 5000.0) for n in range(50)]
    first, second = (learn.Boosted(months(), 1e6).outlooks(asked) for _ in range(2))
    assert all(np.array_equal(a.shares, b.shares) for a, b in zip(first, second, strict=True))


def test_what_ends_later_is_not_seen():
    late = [past(999, submit_s=0.0, queue="a", duration_s=2e6)]
    asked = [job(1, queue="a")]
    (without,) = learn.Boosted(months(), 1e6).outlooks(asked)
    (with_it,) = learn.Boosted([*months(), *late], 1e6).outlooks(asked)
    assert np.array_equal(without.shares, with_it.shares)


def test_a_stranger_is_no_error():
    (outlook,) = learn.Boosted(months(), 1e6).outlooks([job(1, queue="new", user="eve")])
    assert outlook.shares.sum() == pytest.approx(1.0)


def test_too_few_jobs_are_refused():
    with pytest.raises(UsageError, match="trees need"):
        learn.Boosted(months(20), 1e6)
