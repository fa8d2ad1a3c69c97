"""Figures of matplotlib as inline SVG: for a strict page, in light and dark.

A page that allows no inline styles drops ``style`` attributes, so each becomes plain
attributes; colours become variables of the page's style sheet; text stays text, in the
page's own font.
"""

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from pytest_awsbench.reports.visible import visible


if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What matplotlib draws with → the variable of the style sheet that is meant.
COLOURS = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--line)",
    "#040404": "var(--bad)",
    "#050505": "var(--good)",
    "#060606": "var(--accent)",
    "#070707": "var(--shade)",
    "#080808": "var(--surface)",
    "#090909": "var(--unsure)",
}
INK, MUTED, LINE, BAD, GOOD, ACCENT, SHADE, SURFACE, UNSURE = COLOURS
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "awsbench",
    # Names of models and tiers may hold dollar signs.
    "text.parse_math": False,
    "axes.unicode_minus": False,
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 11,
    "axes.linewidth": 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "figure.dpi": 72,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.02,
    "figure.constrained_layout.w_pad": 0.02,
}
SPACE = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
_SIZE = re.compile(r"[\d.]+px")
_REFERENCE = re.compile(r"#([\w.-]+)")
_KEPT = {"fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap"}
_KEPT |= {"stroke-linejoin", "stroke-dashoffset", "opacity", "fill-opacity"}
_KEPT |= {"stroke-opacity", "text-anchor", "font-size", "stroke-miterlimit"}


def inline(figure: "Figure", key: str, title: str) -> str:
    """Return a figure as an ``svg`` element.

    Args:
        figure: drawn with the colours above.
        key: unique in the page; begins all ids.
        title: what the picture shows, for those who do not see it.

    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    # Not figure.savefig: it would look for a backend by settings of the user.
    written = io.StringIO()
    FigureCanvasSVG(figure).print_svg(
        written, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    return _page_ready(written.getvalue(), key, title)


def _page_ready(text: str, key: str, title: str) -> str:
    """Return a written SVG as an element of a page."""
    root = ET.fromstring(visible(text))  # noqa: S314 - matplotlib's own
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{SPACE}metadata", f"{SPACE}style"}:
                parent.remove(child)
    wanted = set(_REFERENCE.findall(text))
    for element in root.iter():
        _plain(element, key, wanted)
    _, _, width, height = root.attrib["viewBox"].split()
    root.attrib.update({
        "role": "img", "aria-label": visible(title), "class": "picture",
        "width": width, "height": height,
    })  # fmt: skip
    root.attrib.pop("version", None)
    ET.register_namespace("", SPACE[1:-1])
    return ET.tostring(root, encoding="unicode")


def _plain(element: ET.Element, key: str, wanted: set[str]) -> None:
    """Turn one element's style into attributes, and its ids into the page's own."""
    for name, value in _declared(element.attrib.pop("style", "")):
        element.set(name, value)
    for name in ("fill", "stroke"):
        if element.get(name) in COLOURS:
            element.set(name, COLOURS[element.attrib[name]])
    own = element.attrib.pop("id", "")
    if own in wanted:
        element.set("id", f"{key}-{own}")
    if LINK in element.attrib:
        element.set("href", element.attrib.pop(LINK).replace("#", f"#{key}-"))
    if "clip-path" in element.attrib:
        clip = element.attrib["clip-path"].replace("#", f"#{key}-")
        element.set("clip-path", clip)


def _declared(style: str) -> Iterator[tuple[str, str]]:
    """Yield the declarations of a style that attributes can hold."""
    for declaration in style.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":
            size = _SIZE.search(value)
            name, value = "font-size", size[0] if size else ""
        if name in _KEPT and value:
            yield name, value
