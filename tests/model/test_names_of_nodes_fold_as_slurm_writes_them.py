"""Lists of nodes: folded for the command line, unfolded as Slurm prints them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.model import slurm

FOLDED = {
    "no node": ([], ""),
    "one node": (["gpu-007"], "gpu-007"),
    "neighbours": (["gpu-001", "gpu-002"], "gpu-[001-002]"),
    "neighbours across a digit more": (["gpu-999", "gpu-1000"], "gpu-[999-1000]"),
    "a gap": (["gpu-001", "gpu-003"], "gpu-[001,003]"),
    "two queues": (["a-b-001", "c-001"], "a-b-001,c-001"),
    "a name that is the head of others": (["n", "n1", "n2"], "n,n[1-2]"),
    "a name that ends in letters": (["r1-login"], "r1-login"),
}

UNFOLDED = {
    "ranges and single numbers": ("n[1-3,7]", ("n1", "n2", "n3", "n7")),
    "leading zeros": ("gpu[008-010]", ("gpu008", "gpu009", "gpu010")),
    "two pairs of brackets": ("r[1-2]n[1-2]", ("r1n1", "r1n2", "r2n1", "r2n2")),
    "an ending": ("n[1-2]-ib", ("n1-ib", "n2-ib")),
    "several heads": ("n1,m[1-2]", ("n1", "m1", "m2")),
    "nothing": ("", ()),
}

BROKEN = ("n[1-", "n[3-1]", "n[a-b]", "n]1", "n[]", "n[1-99999999]", "a[1-2000]b[1-2000]")


@pytest.mark.parametrize("name", FOLDED)
def test_a_host_list_folds(name):
    names, folded = FOLDED[name]
    assert slurm.fold(names) == folded


@pytest.mark.parametrize("name", UNFOLDED)
def test_a_host_list_unfolds(name):
    text, names = UNFOLDED[name]
    assert slurm.unfold(text) == names


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_host_list_is_refused(text):
    with pytest.raises(ValueError, match=r"list of nodes|more than"):
        slurm.unfold(text)


@given(st.lists(st.from_regex(r"[a-c]-?[0-9]{0,4}", fullmatch=True), unique=True))
def test_no_name_is_lost_or_made_up(names):
    assert sorted(slurm.unfold(slurm.fold(names))) == sorted(names)
