"""The page of a run in a real browser: by hand, by keyboard, on paper, in the dark."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from reported import make_run

from pytest_awsbench.reports.reading import read_run


pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
pytest.importorskip("jinja2", reason="needs the [report] extra")
if CHROMIUM is None:
    pytest.skip("needs Chromium: apt-get install chromium", allow_module_level=True)

WIDTHS = (390, 1400)
WRONG = "awsbench::tuned::dataset::row-00012"
RIGHT = "awsbench::tuned::dataset::row-00042"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the page of a run that is red, of two models, with a history."""
    from pytest_awsbench.reports.html import html_report

    folder = tmp_path_factory.mktemp("project")
    path = folder / "report.html"
    path.write_text(html_report(read_run(make_run(folder))), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, without a window."""
    with sync_api.sync_playwright() as playwright:
        # As root, as in containers, Chromium runs only without its sandbox.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def view(browser: Any) -> Iterator[Any]:
    """A tab with a clipboard, which fails the test if anything is said or fetched."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    yield page
    # The page itself is asked for; links within it are not.
    assert [text for text in said if not text.startswith("file:///")] == []
    context.close()


def found(view: Any) -> str:
    """Return how many items the page says it found."""
    text: str = view.locator(".found").inner_text()
    return text


def test_opens_without_a_word(view: Any, url: str) -> None:
    """All items are there, the first page of them is drawn, and nothing complains."""
    view.goto(url)

    assert found(view) == "120 of 120 items"
    assert view.locator(".item").count() == 50
    assert view.title().startswith("failed: awsbench")


def test_filters_by_text(view: Any, url: str) -> None:
    """Words are looked for in prompts, targets and answers, of right items, too."""
    view.goto(url)

    view.locator("input[name=text]").press_sequentially("bucket B-42")

    assert found(view) == "2 of 120 items"
    assert RIGHT in view.locator(".item").first.inner_text()


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("kind", "regressed", 16),
        ("kind", "right", 100),
        ("tier", "warmup", 40),
        ("source", "success_first_step", 120),
        ("outcome", "exact", 101),
        ("label", "real", 17),
        ("run", "1", 60),
    ],
)
def test_filters_by_choice(
    view: Any, url: str, name: str, value: str, count: int
) -> None:
    """Every choice leaves the items that have it."""
    view.goto(url)

    view.select_option(f"select[name={name}]", value)

    assert found(view) == f"{count} of 120 items"


def test_clearing_brings_all_back(view: Any, url: str) -> None:
    """One button undoes every filter."""
    view.goto(url)
    view.select_option("select[name=kind]", "regressed")
    view.fill("input[name=text]", "nothing has this")
    assert found(view) == "0 of 120 items"

    view.get_by_role("button", name="Clear").click()

    view.wait_for_function("document.querySelector('.found').textContent[0] === '1'")
    assert found(view) == "120 of 120 items"


def test_pages(view: Any, url: str) -> None:
    """Items beyond the first fifty are reached page by page."""
    view.goto(url)

    view.get_by_role("button", name="Next").click()
    view.get_by_role("button", name="Next").click()

    assert view.locator(".place").inner_text() == "101 to 120 of 120"
    assert view.locator(".item").count() == 20
    assert view.get_by_role("button", name="Next").is_disabled()


@pytest.mark.parametrize("node_id", [WRONG, RIGHT])
@pytest.mark.parametrize("encoded", [False, True])
def test_deep_link(view: Any, url: str, node_id: str, *, encoded: bool) -> None:
    """A link by node id opens its item, on whatever page, shows and focuses it."""
    view.goto(f"{url}#{quote(node_id) if encoded else node_id}")

    item = view.locator(f'[id="{node_id}"]')
    assert item.get_attribute("open") is not None
    view.wait_for_function(f"document.activeElement.parentElement?.id === '{node_id}'")
    # The last item cannot be scrolled further up than the page is long.
    assert 0 <= item.bounding_box()["y"] < view.viewport_size["height"]


def test_link_to_a_filtered_item(view: Any, url: str) -> None:
    """A link to an item that the filter hides shows it, and clears the filter."""
    view.goto(url)
    view.select_option("select[name=kind]", "regressed")

    view.evaluate(f"location.hash = '#{RIGHT}'")

    view.wait_for_selector(f'[id="{RIGHT}"][open]')
    assert found(view) == "120 of 120 items"


def test_copies_the_line_that_runs_an_item(view: Any, url: str) -> None:
    """The button puts the pytest line on the clipboard, and says so."""
    view.goto(f"{url}#{WRONG}")

    view.locator(f'[id="{WRONG}"] button.copy').click()

    view.get_by_text("Copied").wait_for()
    copied = view.evaluate("navigator.clipboard.readText()")
    assert copied == f'pytest "{WRONG}"'


def test_keyboard_alone(view: Any, url: str) -> None:
    """From the first key on, items are reached, filtered and opened without a mouse."""
    view.goto(url)
    view.keyboard.press("Tab")
    assert view.evaluate("document.activeElement.textContent") == "Skip to the items"

    view.keyboard.press("Enter")
    view.keyboard.press("Tab")
    view.keyboard.type("b-12")
    view.locator(".item summary").first.focus()
    view.keyboard.press("Enter")

    assert view.locator(".item[open]").count() == 1


def test_hostile_answers_stay_text(view: Any, url: str) -> None:
    """A script in an answer is shown, and never runs, also in items drawn late."""
    view.goto(url)

    view.fill("input[name=text]", "owned")

    assert found(view) == "1 of 120 items"
    view.locator(".item summary").click()
    assert (
        "<script>document.title = 'owned'</script>"
        in view.locator(".item").inner_text()
    )
    assert "owned" not in view.title()


@pytest.mark.parametrize("width", WIDTHS)
def test_never_scrolls_sideways(view: Any, url: str, width: int) -> None:
    """On a phone and on a desk the page is as wide as the window, items open."""
    view.set_viewport_size({"width": width, "height": 900})
    view.goto(url)

    view.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")

    assert view.evaluate("document.documentElement.scrollWidth") == width


def test_dark_and_light(view: Any, url: str) -> None:
    """The page follows what its reader prefers, pictures included."""
    colours = "[getComputedStyle(document.body).backgroundColor,"
    colours += " getComputedStyle(document.querySelector('svg text')).fill]"
    view.emulate_media(color_scheme="light")
    view.goto(url)
    light = view.evaluate(colours)

    view.emulate_media(color_scheme="dark")

    dark = view.evaluate(colours)
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] == "rgb(17, 20, 24)"
    assert light[1] != dark[1]


def test_prints_what_is_closed(view: Any, url: str, tmp_path: Path) -> None:
    """On paper items are open, controls are gone, and it says what is not printed."""
    view.emulate_media(color_scheme="dark")
    view.goto(url)
    view.evaluate("dispatchEvent(new Event('beforeprint'))")
    view.emulate_media(media="print")

    assert view.locator("details:not([open])").count() == 0
    assert view.locator(".item").count() == 20
    assert view.locator(".printed").inner_text().startswith("Printed: 20 of 120 items")
    assert not view.locator(".filters").is_visible()
    assert view.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"

    view.evaluate("dispatchEvent(new Event('afterprint'))")
    assert view.locator(".item[open]").count() == 0
    file = tmp_path / "report.pdf"
    view.pdf(path=file)
    assert file.stat().st_size > 10_000


def test_reads_without_scripts(browser: Any, url: str) -> None:
    """Without JavaScript everything that changed is there, and what is not is said."""
    context = browser.new_context(java_script_enabled=False)
    view = context.new_page()
    view.goto(url)

    assert view.locator(".item").count() == 20
    assert "the 100 right items are not shown" in view.locator("noscript").inner_text()
    assert not view.locator(".filters").is_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_accessible(view: Any, url: str, scheme: str, width: int) -> None:
    """Axe finds nothing to complain about, with items open."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    view.emulate_media(color_scheme=scheme)
    view.set_viewport_size({"width": width, "height": 900})
    view.goto(f"{url}#{WRONG}")
    view.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")

    results = axe.Axe().run(view)

    assert [
        (violation["id"], violation["nodes"][0]["html"])
        for violation in results.response["violations"]
    ] == []
