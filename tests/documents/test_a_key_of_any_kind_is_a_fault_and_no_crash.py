"""YAML lets null, true and numbers be keys; where a name is expected they are faults."""

import pytest

from clusterwright import documents
from clusterwright.errors import InvalidInput
from clusterwright.model.jobspec import JobSpec


@pytest.mark.parametrize("key", ["null", "true", "1", "1.5", "~"])
def test_a_key_that_is_no_text_is_not_a_field(key):
    text = f"apiVersion: clusterwright/v1\nkind: Job\nname: a\ncommand: b\n{key}: c\n"
    with pytest.raises(InvalidInput, match=r"job.yaml:5:1: .* is not a field here"):
        documents.read(text, JobSpec, file="job.yaml")
