"""The ranked table of several models, recorded so that every number is known."""

import re

import pytest
from kept_runs import document, newest
from projects import row, write_answers, write_jsonl, wrong


DATASET = ("-m", "dataset")


def replayed(*names: str) -> list[str]:
    """Return flags that name recorded models."""
    return [f"--awsbench-model={name}=replay:{name}.jsonl" for name in names]


def line_of(result: pytest.RunResult, name: str) -> str:
    """Return a model's line in the table."""
    return next(x for x in result.outlines if re.match(rf"{name}\*? +\d+ +\d+ ", x))


def test_recorded_models_are_ranked(project: pytest.Pytester) -> None:
    """Any models are ranked; what recorded answers do not have is left open."""
    result = project.runpytest(*replayed("bad", "good", "slightly"), *DATASET)

    place = [result.outlines.index(line_of(result, n)) for n in ("good", "slightly")]
    assert place[0] + 1 == place[1]
    assert line_of(result, "good").split()[-2:] == ["-", "39"]
    result.stdout.fnmatch_lines([
        "told apart from good by exact_match (*3 pairs): bad (-25.0pp, p=.003);"
        " not told apart: slightly (-2.5pp, p=1.000)"
    ])


def test_ranking_is_in_every_report(reporting: pytest.Pytester) -> None:
    """run.json keeps the ranking; reports and ``awsbench show`` read it from there."""
    result = reporting.runpytest(*replayed("bad", "good", "slightly"), *DATASET)

    [ranking] = document(reporting)["rankings"]
    assert [m["model"] for m in ranking["models"]] == ["good", "slightly", "bad"]
    told = next(x for x in result.outlines if x.startswith("told apart from good"))
    cells = re.split(r"\s{2,}", line_of(result, "slightly"))
    markdown = (newest(reporting) / "report.md").read_text().splitlines()
    assert f"- `{told}`" in markdown
    assert f"| `slightly` | {' | '.join(cells[1:])} |" in markdown
    page = (newest(reporting) / "report.html").read_text()
    assert told in page
    assert "".join(f'<td class="n">{cell}</td>' for cell in cells[1:]) in page
    shown = reporting.run("awsbench", "show", "latest").outlines
    assert {told, line_of(result, "slightly")} <= set(shown)


def test_intervals_know_of_clusters(project: pytest.Pytester) -> None:
    """Prompts of one task that go together count less than their number."""
    numbers = [n for n in range(40) if n % 8 < 4]
    write_answers(project.path, "half", 40, wrong(numbers))
    models = replayed("good", "slightly", "half")
    alone = line_of(project.runpytest(*models, *DATASET), "half")
    rows = [row(n, task_id=n % 8) for n in range(40)]
    write_jsonl(project.path / "data.jsonl", rows)

    together = line_of(project.runpytest(*models, *DATASET), "half")

    assert "50.0 [35, 65]" in alone
    # 5 of a task are worth less than one: deff is 8/7 · 5, and t has 7 degrees.
    assert "50.0 [17, 83]" in together


def test_selection_is_not_ranked(project: pytest.Pytester) -> None:
    """A score of some items is not the suite's."""
    models = replayed("good", "slightly", "bad")

    result = project.runpytest(*models, *DATASET, "-k", "row-00001")

    assert result.ret == 0
    assert "models by exact_match" not in result.stdout.str()


def test_first_reason_alone_is_explained(project: pytest.Pytester) -> None:
    """Many items that were lost alike are counted, and told once."""
    project.makeconftest(
        """
        from pytest_awsbench.errors import InfraError

        def pytest_awsbench_score(suite, sample, completion):
            if sample.id < "row-00005":
                raise InfraError("the scorer's server is down")
        """
    )

    result = project.runpytest(*replayed("good"), *DATASET)

    counts = result.parseoutcomes()
    assert (result.ret, counts["errors"], counts["lost"]) == (75, 1, 4)
    assert result.stdout.str().count("\nthe scorer's server is down") == 1
