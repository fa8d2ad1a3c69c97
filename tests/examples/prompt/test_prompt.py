import pytest


@pytest.mark.awsbench_prompt("TASK: list all S3 buckets")
def test_lists_buckets(awsbench_completion):
    assert "s3" in awsbench_completion.text
