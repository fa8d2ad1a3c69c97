from pytest_awsbench import Gate


def pytest_awsbench_gates(config, model, suite):
    return [Gate(suite=suite, metric="format_ok", min=0.95), gate_short_answers]


def gate_short_answers(awsbench_results):
    results = awsbench_results("dataset").results.values()
    assert max(len(result.completion.text) for result in results) < 500
