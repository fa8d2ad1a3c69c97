"""What the documentation says is so: its examples run, its links lead somewhere."""

import doctest
import re
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")

needs_docs = pytest.mark.skipif(
    not DOCS.is_dir(), reason="the docs folder does not stand beside the tests"
)


@needs_docs
def test_examples_of_verdicts_print_what_they_say() -> None:
    """Every number in a grey box is what the library computes."""
    results = doctest.testfile(str(DOCS / "verdicts.md"), module_relative=False)

    assert results.attempted
    assert not results.failed


@needs_docs
def test_links_lead_somewhere() -> None:
    """Links between pages, and to pictures, name files that are there."""
    pages = [
        path for path in (ROOT / "README.md", *DOCS.rglob("*.md")) if path.is_file()
    ]

    dead = [
        f"{page.name}: {link}"
        for page in pages
        for link in LINK.findall(page.read_text("utf-8"))
        if not (page.parent / link).exists()
    ]

    assert not dead
