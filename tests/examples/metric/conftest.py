from pytest_awsbench import Score


def pytest_awsbench_score(suite, sample, completion):
    return Score(metric="one_line", value=float("\n" not in completion.text.strip()))
