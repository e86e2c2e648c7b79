"""Nodes whose accelerators are cut by MIG give slices to who asks for them, and to nobody else."""

from dataclasses import replace

import pytest
from tests.control.drive import Drive
from tests.control.world import centre, job

from clusterwright import documents
from clusterwright.control import accounts, fold, orders, snapshots
from clusterwright.control.filled import filled
from clusterwright.control.journal import Journal
from clusterwright.errors import InvalidInput
from clusterwright.model.centre import Centre, Nodes, Rates
from clusterwright.model.jobspec import JobSpec

A100 = "A100-SXM4-80GB"
WHOLE = Nodes(name="big", num_nodes=1, num_gpus=4, gpu_model=A100, num_cpus=16)
SMALL = replace(WHOLE, name="cut", num_nodes=2, num_gpus=7, mig_profile="1g.10gb")
HALVES = replace(SMALL, name="half", num_nodes=1, num_gpus=2, mig_profile="3g.40gb")
CUT = replace(centre(), nodes=(WHOLE, SMALL, HALVES), rates=Rates(usd_per_accelerator_hour=7.0))


def slice_of(profile="1g.10gb", **more):
    return JobSpec(name="small", command=("true",), mig_profile=profile, **more)


def held(drive, name):
    return {share.node: share.gpus for share in drive.book.jobs[name].current.shares}


def test_each_gets_what_it_asks_for():
    drive = Drive(CUT)
    seven = [drive.submit(slice_of()) for _ in range(7)]
    assert [held(drive, one) for one in seven] == [{"cut1": (n,)} for n in range(7)]
    assert held(drive, drive.submit(job(gpus=1))) == {"big1": (0,)}
    assert held(drive, drive.submit(slice_of("3g.40gb"))) == {"half1": (0,)}
    two = drive.submit(slice_of(num_nodes=2))
    assert drive.book.jobs[two].current is None  # one slice on each of two nodes, and one is full
    drive.end(seven[0])
    assert held(drive, two) == {"cut1": (0,), "cut2": (0,)}


def test_whole_ones_wait_rather_than_take_a_slice():
    drive = Drive(replace(CUT, policy="gather"))
    drive.submit(job(gpus=4))
    waits = drive.submit(job(gpus=1))
    assert drive.book.jobs[waits].current is None
    assert held(drive, drive.submit(slice_of())) == {"cut1": (0,)}


@pytest.mark.parametrize(
    ("nodes", "asked", "path", "remedy"),
    [
        ((WHOLE,), slice_of(), "mig_profile", "gpus_per_node"),
        ((SMALL, HALVES), slice_of("2g.20gb"), "mig_profile", "1g.10gb, 3g.40gb"),
        ((SMALL, HALVES), job(gpus=1), "gpus_per_node", "1g.10gb, 3g.40gb"),
    ],
)
def test_what_nobody_has_is_refused(nodes, asked, path, remedy):
    drive = Drive(replace(CUT, nodes=nodes))
    with pytest.raises(InvalidInput) as refused:
        drive.submit(asked)
    (fault,) = refused.value.faults
    assert fault.path == path
    assert remedy in fault.remedy


def test_a_profile_that_is_none_is_refused_in_both_files():
    with pytest.raises(InvalidInput, match="no profile"):
        slice_of("1x")
    with pytest.raises(InvalidInput, match="no profile"):
        Centre(nodes=(replace(SMALL, mig_profile="small"),))


def test_a_slice_pays_for_its_part_and_all_still_sums_to_the_bill():
    drive = Drive(CUT)
    one, half = drive.submit(slice_of()), drive.submit(slice_of("3g.40gb"))
    drive.begin(one)
    drive.end(one, after_s=3600.0)
    found = accounts.statement(drive.book, 0.0, drive.now_s, by="job")
    by_name = {account.name: account for account in found.items}
    assert by_name[one].gpu_s == pytest.approx(3600.0 / 7, rel=1e-6)
    assert by_name[one].cost_usd == pytest.approx(1.0, rel=1e-6)
    assert by_name[half].cost_usd == pytest.approx(3.0, rel=1e-6)
    there_s = found.bill.gpu_s / (4 + 2 + 2 * 3 / 7)
    assert there_s == pytest.approx(3600.0, rel=1e-6)
    parts = [*found.items, found.idle, found.down]
    assert sum(part.gpu_s for part in parts) == pytest.approx(found.bill.gpu_s)


def test_the_peak_of_a_slice_is_its_part_of_the_catalogues():
    whole, small, halves = filled(CUT).nodes
    assert small.gpu_peak_flop_per_s == pytest.approx(whole.gpu_peak_flop_per_s / 7)
    assert halves.gpu_peak_flop_per_s == pytest.approx(whole.gpu_peak_flop_per_s * 3 / 7)
    assert replace(SMALL, slice_fraction=0.25).gpu_fraction == 0.25


def test_who_waits_keeps_to_whole_ones_when_others_are_cut(tmp_path):
    drive = Drive(replace(CUT, nodes=(WHOLE,)))
    drive.submit(job(gpus=4))
    waits = drive.submit(job(gpus=1))
    with Journal(str(tmp_path / "journal.sqlite")) as journal:
        journal.append(drive.entries)
        snapshots.keep(journal, drive.book)
        drive.do(lambda book, now: orders.change_centre(book, CUT, now))
        assert drive.book.jobs[waits].current is None
        journal.append(drive.entries[journal.seq :])
        snapshots.keep(journal, drive.book)
        assert snapshots.differing(snapshots.newest(journal), fold.book_of(drive.entries)) == ""


def test_what_runs_on_a_node_keeps_it_from_being_cut():
    drive = Drive(replace(CUT, nodes=(WHOLE,)))
    drive.submit(job(gpus=4))
    cut = replace(CUT, nodes=(replace(WHOLE, mig_profile="3g.40gb"),))
    with pytest.raises(InvalidInput, match="would not be the same"):
        orders.change_centre(drive.book, cut, drive.now_s)


def test_the_centres_file_says_it_and_reads_back():
    text = documents.dump(CUT)
    assert "mig_profile: '1g.10gb'" in text
    assert documents.read(text, Centre) == CUT
