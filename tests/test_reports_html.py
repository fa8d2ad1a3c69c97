"""The page of a run, without a browser: figures, hostile texts, sizes, bad input."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from reported import HOSTILE, ITEMS, SURROGATE, make_run, with_surrogates

from pytest_awsbench.errors import ReportError
from pytest_awsbench.reports.headline import Headline, headline
from pytest_awsbench.reports.items import BUDGET, LIMITS, items_of
from pytest_awsbench.reports.reading import RunDocument, read_run


jinja2 = pytest.importorskip("jinja2", reason="needs the [report] extra")
pytest.importorskip("matplotlib", reason="needs the [report] extra")

VOID = {"meta", "br", "input"}
MEGABYTE = 1_000_000
DRAWS = 5


class Page(HTMLParser):
    """Collects what a page is made of; fails where a tag is closed that is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.parts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element of a picture."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Close the element that is open."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text, but not of scripts and styles."""
        if self._open and self._open[-1] not in {"script", "style"}:
            self.parts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of every element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        """All text that is shown."""
        return "".join(self.parts)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDocument:
    """A run of two models, the first one worse than its baseline, and hostile."""
    return read_run(make_run(tmp_path_factory.mktemp("project")))


@pytest.fixture(scope="module")
def page(run: RunDocument) -> Page:
    """Its page."""
    return page_of(run)


def page_of(run: RunDocument, history: list[dict[str, Any]] | None = None) -> Page:
    """Return a run's page, parsed."""
    from pytest_awsbench.reports.html import html_report

    return Page(html_report(run, history or []))


def changed(run: RunDocument, **keys: Any) -> RunDocument:
    """Return a run with other values in its document."""
    data = json.loads(json.dumps(run.data))
    return RunDocument({**data, **keys}, run.folder)


def test_verdict_comes_first(page: Page) -> None:
    """The heading says what failed, whose it is, and by how much."""
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", page.text)

    assert heading is not None
    assert re.match(
        r"2 of 4 gates failed for tuned: exact_match\s-2\d.\dpp", heading[1]
    )


def test_table_shows_what_a_gate_is_against(run: RunDocument) -> None:
    """Without a baseline of the model itself, the other side stands in its place."""
    of_one = json.loads(json.dumps(run.data["runs"][0]))
    of_one["means"]["exact_match"]["old"] = None
    gate = next(v for v in of_one["verdicts"] if v["metric"] == "exact_match")
    gate.update(against="sft", old=0.825)

    page = page_of(changed(run, runs=[of_one]))

    assert "82.5% (sft)" in page.words


def test_figures_are_those_of_the_document(page: Page, run: RunDocument) -> None:
    """Every mean stands in the page in full precision, beside its text."""
    shown = {
        (a["data-model"], a["data-suite"], a["data-metric"]): float(a["data-value"])
        for a in page.all("span")
        if a.get("data-figure") == "mean" and not {"data-tier", "data-source"} & set(a)
    }

    means = {
        (one["model"]["name"], one["suite"], metric): mean["mean"]
        for one in run.data["runs"]
        for metric, mean in one["means"].items()
    }
    assert len(means) > 2
    assert shown == means


def test_nothing_is_fetched(page: Page) -> None:
    """No element names anything outside the page, and the policy allows nothing."""
    [policy] = [
        meta["content"]
        for meta in page.all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    ]

    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    for _, attributes in page.tags:
        assert "src" not in attributes
        assert "style" not in attributes
        assert attributes.get("href", "#").startswith("#")
        assert not [name for name in attributes if name.startswith("on")]


def test_ids_are_unique(page: Page) -> None:
    """Every id stands once, so that each link has one end; no link is dead."""
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]

    inside = {
        a["href"][1:] for tag, a in page.tags if tag in {"a", "use"} and "href" in a
    }
    assert len(ids) == len(set(ids))
    assert {link for link in inside if "%3A" not in link} <= set(ids)


def test_scripts_of_answers_are_text(page: Page) -> None:
    """An answer opens no element: the page's scripts are its own two."""
    assert len(page.all("script")) == 2
    assert page.all("img") == []
    assert HOSTILE[4] in page.words
    assert "{{ 7 * 7 }}" in page.words


@pytest.mark.parametrize(
    "sign",
    ["␀", "␛[31m", "␇", "⟨U+202E⟩", "⟨U+2066⟩", "⟨U+200E⟩"],
)
def test_hidden_characters_are_shown(page: Page, sign: str) -> None:
    """Characters that show nothing, or steer what shows others, are named."""
    assert sign in page.words


def test_no_control_character_is_left(run: RunDocument) -> None:
    """The page can be stored as UTF-8, whatever was answered."""
    page = page_of(with_surrogates(run))

    page.text.encode("utf-8")
    assert SURROGATE not in page.words
    assert "aws s3 ls ⟨U+D800⟩ ⟨U+DFFF⟩ ⟨U+FFFF⟩" in page.words
    assert re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", page.text) is None


def test_long_lines_are_cut_with_a_note(page: Page) -> None:
    """A megabyte in one line costs little, and the page says what is missing."""
    missing = len(HOSTILE[8]) - LIMITS[0]

    assert len(page.text.encode()) < MEGABYTE
    assert f"Cut: {missing:,} more characters in run.json." in page.words


def test_same_document_same_bytes(run: RunDocument, page: Page) -> None:
    """Nothing of the page depends on when or how often it is made."""
    assert page_of(run).text == page.text


def test_flips_stand_in_full_regressed_first(page: Page, run: RunDocument) -> None:
    """Every item that changed or is wrong is in the document, at its node id."""
    items = [a for a in page.all("details") if "data-kind" in a]

    kinds = [item["data-kind"] for item in items]
    flips = {
        f"{r['node_prefix']}::{f['id']}" for r in run.data["runs"] for f in r["flips"]
    }
    assert flips <= {item["id"] for item in items}
    assert kinds == sorted(kinds, key=("regressed", "fixed", "wrong", "lost").index)
    assert {"regressed", "fixed", "wrong"} <= set(kinds)
    assert f'<code>pytest "{items[0]["id"]}"</code>' in page.text


def test_words_that_differ_are_marked(page: Page) -> None:
    """What is gone and what is new is marked, and said to those who hear it."""
    differences = re.findall(r'<p class="text difference">(.*?)</p>', page.text)

    assert (
        "aws s3api list-objects-v2 --bucket"
        ' <del><span class="spoken">removed: </span>b-10 </del>'
        '<ins><span class="spoken">added: </span>other </ins>'
    ) in differences


def test_right_items_are_embedded_once(page: Page) -> None:
    """Items that are simply right stand in JSON that no answer can end."""
    [block] = re.findall(r'id="right-items">(.*?)</script>', page.text)

    found = json.loads(block)
    in_full = len([a for a in page.all("details") if "data-kind" in a])
    assert len(found["items"]) + in_full == 2 * ITEMS
    assert len(found["samples"]) <= ITEMS
    assert "<" not in block


def test_many_items_fit(run: RunDocument) -> None:
    """With more texts than a page holds, each is cut; the shorter ones stay whole."""
    data = json.loads(json.dumps(run.data))
    for result in data["runs"][0]["results"]:
        texts = [f"{number} {'y' * LIMITS[0]}" for number in range(DRAWS)]
        result["completion"] = {"draws": [{"text": text} for text in texts]}

    items = items_of(data, {})

    assert ITEMS * DRAWS * LIMITS[0] > BUDGET
    assert items.limit < LIMITS[0]
    assert items.all[0].asked.target.missing == 0


def test_incomplete_run_is_not_judged(run: RunDocument) -> None:
    """A run that was killed shows its answers, and neither verdict nor mean."""
    page = page_of(changed(run, status="incomplete", exit_status=None))

    told = "The run did not end: 120 of 120 items answered; nothing is judged"
    assert told in page.words
    assert "REGRESSED" not in page.words
    assert [a for a in page.all("span") if "data-value" in a] == []
    assert [a for a in page.all("details") if "data-kind" in a]


def test_infrastructure_stands_apart(run: RunDocument) -> None:
    """What infrastructure lost is listed by itself, never among wrong answers."""
    data = json.loads(json.dumps(run.data))
    lost = data["runs"][0]["results"].pop()["sample_id"]
    data["runs"][0]["lost"] = [lost]
    node_id = f"{data['runs'][0]['node_prefix']}::{lost}"
    data["infra"] = [{"node_id": node_id, "reason": "connection <reset>"}]

    page = page_of(RunDocument(data, run.folder))

    [item] = [a for a in page.all("details") if a.get("id") == node_id]
    assert item["data-kind"] == "lost"
    assert "Lost to infrastructure" in page.words
    assert "connection <reset>" in page.words


def test_lost_answers_are_no_failed_gate(run: RunDocument) -> None:
    """A gate that is red for want of answers is no verdict; another red one is."""
    data = json.loads(json.dumps(run.data))
    for one in data["runs"]:
        one["lost"] = [one["results"].pop()["sample_id"]]

    assert headline(data) == Headline(
        "unsure",
        "incomplete",
        "2 items lost to infrastructure; without them nothing is judged",
    )

    data["runs"][0]["lost"] = []

    assert headline(data).word == "failed"


def test_history_marks_other_baselines(run: RunDocument) -> None:
    """A metric over runs is drawn and listed; a changed baseline is marked."""
    means = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 60}
    history = [
        {
            "schema": 1,
            "id": f"run-{number}",
            "date": f"2026-01-0{number}T00:00:00+00:00",
            "suite": "dataset",
            "model": "tuned",
            "digest": "",
            "data_digest": "",
            "baseline_date": "2026-01-01T00:00:00+00:00",
            "baseline_changed": number == 2,
            "metrics": {"exact_match": means},
            "red": number == 3,
            "complete": True,
        }
        for number in (1, 2, 3)
    ]

    page = page_of(run, history)

    assert "exact_match over runs, the newest first" in page.words
    assert page.words.count("changed 2026-01-01") == 1
    assert page.words.index("2026-01-03 00:00") < page.words.index("2026-01-01 00:00")


def test_pictures_keep_text_as_text(page: Page) -> None:
    """Pictures are named, hold text, and no colour that only one theme can show."""
    pictures = page.all("svg")

    assert len(pictures) >= 8
    assert all(picture["aria-label"] for picture in pictures)
    assert "change, percentage points" in page.words
    drawn = {
        attributes[name]
        for _, attributes in page.tags
        for name in ("fill", "stroke")
        if name in attributes
    }
    assert {colour for colour in drawn if colour != "none"} <= {
        f"var(--{name})"
        for name in (
            *("ink", "muted", "line", "bad", "good"),
            *("accent", "shade", "surface", "unsure"),
        )
    }


def test_tables_are_labelled(page: Page) -> None:
    """Every table has a caption, and every head a scope."""
    assert len(page.all("table")) == len(page.all("caption")) >= 3
    assert all(head.get("scope") in {"row", "col"} for head in page.all("th"))


def test_names_with_dollars_are_drawn_as_they_are(run: RunDocument) -> None:
    """A tier called $x^2$ is no formula, and one in another script no warning."""
    data = json.loads(json.dumps(run.data))
    data["runs"][0]["groups"]["tier"][0]["name"] = "$x^2$ 中文"

    page = page_of(RunDocument(data, run.folder))

    assert "$x^2$ 中文" in page.words


def test_says_what_is_not_installed(
    run: RunDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra, the error names what to install."""
    monkeypatch.setitem(sys.modules, "jinja2", None)

    with pytest.raises(ReportError, match=r"pip install 'pytest-awsbench\[report\]'"):
        page_of(run)


def test_templates_are_shipped() -> None:
    """What the page is made of lies in the package."""
    import pytest_awsbench.reports.html as module

    names = {
        path.name for path in (Path(module.__file__).parent / "templates").iterdir()
    }

    assert names == {"report.html.j2", "report.css", "report.js"}
