"""Erasure codes and replicas: overhead, failure domains, and how people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.errors import UsageError
from clusterwright.storage.schemes import Scheme, parse_scheme, replicas

# sentence: (text, overhead, hosts, losses survived, source)
PUBLISHED = {
    "eight and three": ("8+3", 1.375, 11, 3, "Ceph documentation, erasure code; claims S3-20, 21"),
    "four and two": ("4+2", 1.5, 6, 2, "Ceph documentation, erasure code"),
    "three copies": ("replica 3", 3.0, 3, 2, "Ceph documentation, pools; claim S3-22"),
}


@pytest.mark.parametrize("case", PUBLISHED)
def test_published_schemes_have_their_published_overhead(case: str) -> None:
    text, overhead, hosts, losses, _ = PUBLISHED[case]
    scheme = parse_scheme(text)
    # Exact: (k + m) / k of small whole numbers has no rounding to forgive.
    assert scheme.overhead_ratio == overhead
    assert scheme.num_domains == hosts
    assert scheme.num_parity == losses


@pytest.mark.parametrize("text", ["8+3", " 8 + 3 ", "ec 8+3", "EC8+3"])
def test_a_code_may_be_written_as_people_do(text: str) -> None:
    assert parse_scheme(text) == Scheme(num_data=8, num_parity=3)


@pytest.mark.parametrize("text", ["replica 3", "3 replicas", "3-replica", "Replicas 3"])
def test_replicas_may_be_written_as_people_do(text: str) -> None:
    assert parse_scheme(text) == replicas(3)


WRONG = {
    "nothing": "",
    "words": "raid 6",
    "no parity": "8+0",
    "no data": "0+3",
    "more parity than data": "2+3",
    "more parity than anyone computes": "200+17",
    "three numbers": "8+3+1",
    "a negative": "-8+3",
    "another script's digits": "८+३",
    "one copy": "replica 1",
    "a hundred copies": "replica 99",
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_scheme_is_refused_with_what_was_seen_and_what_to_write(case: str) -> None:
    text = WRONG[case]
    with pytest.raises(UsageError) as refused:
        parse_scheme(text)
    assert repr(text) in str(refused.value)
    assert "write" in str(refused.value)


def test_a_scheme_that_stores_nothing_cannot_be_built() -> None:
    with pytest.raises(UsageError):
        replicas(0)


@given(data=st.integers(1, 64), parity=st.integers(1, 16))
def test_what_is_printed_is_read_back(data: int, parity: int) -> None:
    if parity > data > 1:
        return
    scheme = Scheme(num_data=data, num_parity=min(parity, 9) if data == 1 else parity)
    assert parse_scheme(str(scheme)) == scheme


@given(data=st.integers(1, 64), parity=st.integers(0, 16))
def test_more_parity_costs_more_and_more_data_costs_less(data: int, parity: int) -> None:
    scheme = Scheme(num_data=data, num_parity=parity)
    assert Scheme(num_data=data, num_parity=parity + 1).overhead_ratio > scheme.overhead_ratio
    assert Scheme(num_data=data + 1, num_parity=parity).overhead_ratio <= scheme.overhead_ratio
    assert scheme.overhead_ratio >= 1
