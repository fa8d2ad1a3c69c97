from pytest_awsbench import Sample, Suite


def pytest_awsbench_load_suite(config):
    samples = [
        Sample.of(f"TASK: list the objects of bucket {name}", f"aws s3 ls s3://{name}")
        for name in ("amber", "copper", "indigo")
    ]
    return Suite.of("listing", samples)
