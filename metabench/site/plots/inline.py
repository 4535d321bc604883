"""Figures inside pages: text as text, colours from the style sheet, no style of their own."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from metabench.leaderboard.text import one_line
from metabench.site.plots.plot import CLASSES, Plot, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_DROPPED = {f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"}
_KEPT = frozenset({
    "stroke-width", "stroke-dasharray", "stroke-dashoffset", "stroke-linejoin", "stroke-linecap",
    "opacity", "fill-opacity", "stroke-opacity", "fill-rule", "text-anchor", "font-size",
    "font-weight", "clip-path",
})  # fmt: skip
_DEFAULTS = {"stroke-linejoin": "miter", "stroke-linecap": "butt", "stroke-dasharray": "none",
             "text-anchor": "start"}  # fmt: skip
_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def inline_svg(plot: Plot) -> str:
    """Return a figure as an ``<svg>`` element for a page.

    Style attributes become presentation attributes and classes: the pages' content security policy
    allows no style but the style sheet's.
    """
    root = ET.fromstring(svg_text(plot))  # noqa: S314 - our own output
    _clean(root, plot.name, plot.tips)
    root.attrib.clear()
    width, height = (size * 72 for size in plot.figure.get_size_inches())
    root.attrib.update(
        {
            "viewBox": f"0 0 {width:g} {height:g}",
            "width": f"{width:g}",
            "height": f"{height:g}",
            "class": "plot",
            "role": "img",
            "aria-labelledby": f"{plot.name}-title",
        }
    )
    title = ET.Element(f"{{{_SVG}}}title", {"id": f"{plot.name}-title"})
    title.text = one_line(plot.title)
    root.insert(0, title)
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ET.tostring(root, encoding="unicode").replace(f' xmlns="{_SVG}"', "")


def svg_text(plot: Plot) -> str:
    """Return a figure as an SVG file; equal figures give equal text."""
    return save(plot, "svg").decode()


def save(plot: Plot, kind: str) -> bytes:
    """Return a figure as a file.

    Args:
        plot: The figure.
        kind: ``svg``, ``png`` or ``pdf``.
    """
    buffer = io.BytesIO()
    no_date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    with styled(), warnings.catch_warnings():
        # A name in a script that the font lacks; on a page the reader's own fonts show it.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        plot.figure.savefig(buffer, format=kind, dpi=200, metadata=no_date[kind])
    return buffer.getvalue()


def _clean(element: ET.Element, prefix: str, tips: Mapping[str, str]) -> None:
    for parent in list(element.iter()):
        for child in list(parent):
            if child.tag in _DROPPED:
                parent.remove(child)
    used = {name for one in element.iter() for name in _references(one)}
    for one in list(element.iter()):
        _restyle(one)
        identity = one.attrib.pop("id", "")
        if identity in tips:
            title = ET.Element(f"{{{_SVG}}}title")
            title.text = one_line(tips[identity])
            one.insert(0, title)
        if identity in used:
            one.set("id", f"{prefix}-{identity}")
        for name, value in one.attrib.items():
            if name in {_XLINK, "clip-path"}:
                one.set(name, re.sub(r"(url\(#|^#)", rf"\g<1>{prefix}-", value))
            elif name in {"d", "x", "y", "transform"}:
                one.set(name, _NUMBER.sub(_rounded, value))
        one.text = one.text if one.text and one.text.strip() else None
        one.tail = None
    _flatten(element)


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _references(element: ET.Element) -> Iterator[str]:
    for value in element.attrib.values():
        yield from re.findall(r"(?:url\(#|^#)([\w.-]+)", value)


def _restyle(element: ET.Element) -> None:
    """Turn ``style`` into attributes; a known colour becomes a class."""
    style = element.attrib.pop("style", "")
    classes = []
    pairs = [pair.partition(":") for pair in style.split(";") if ":" in pair]
    found = {name.strip(): value.strip() for name, _, value in pairs}
    if "font" in found:  # such as: 10px 'DejaVu Sans'
        size = re.search(r"([\d.]+)px", found["font"])
        found["font-size"] = size[1] if size else "11"
        if re.search(r"\b(bold|[6-9]00)\b", found["font"]):
            found["font-weight"] = "650"
    if element.tag == f"{{{_SVG}}}text":
        found.setdefault("fill", "#000000")
    for name, value in found.items():
        if name in {"fill", "stroke"}:
            known = CLASSES.get(value.lower())
            if known:
                classes.append(f"{name}-{known}")
            else:
                element.set(name, value)
        elif name in _KEPT and _DEFAULTS.get(name) != value:
            element.set(name, value.removesuffix("px"))
    if classes:
        element.set("class", " ".join(classes))


def _flatten(element: ET.Element) -> None:
    """Take groups out that say nothing."""
    position = 0
    while position < len(element):
        child = element[position]
        _flatten(child)
        if child.tag == f"{{{_SVG}}}g" and not child.attrib and not _has_title(child):
            element[position : position + 1] = list(child)
            position += len(child)
        elif child.tag in {f"{{{_SVG}}}g", f"{{{_SVG}}}defs"} and not len(child):
            element.remove(child)
        else:
            position += 1


def _has_title(element: ET.Element) -> bool:
    return any(child.tag == f"{{{_SVG}}}title" for child in element)
