"""What a running centre cannot carry out yet is refused with its field, never silently dropped."""

import pytest
from tests.control.drive import Drive
from tests.control.world import centre, job

from clusterwright.errors import InvalidInput
from clusterwright.model.jobspec import DataUse


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("image", {"image": "registry.example/train:1"}),
        ("mig_profile", {"mig_profile": "1g.10gb", "gpus": 0}),  # of which these nodes have none
        ("data.inputs", {"data": DataUse(inputs=("s3://bucket/set",))}),
        ("data.outputs", {"data": DataUse(outputs=("s3://bucket/out",))}),
    ],
)
def test_it_is_a_fault_of_that_field(path, asked):
    drive = Drive(centre())
    with pytest.raises(InvalidInput) as refused:
        drive.submit(job(**asked))
    assert [fault.path for fault in refused.value.faults] == [path]
    assert not drive.book.jobs
