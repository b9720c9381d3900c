"""Links from the names that annotations use to the pages that the site, or another site, has for them.

Annotations name classes where they are defined (``velotime.inference.methods.soft_em.SoftEM``) or as they were imported
(``AnnData``); readers know them by their public names. What is no public name at all (protocols, type aliases) is shown
as plain text.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import Any

import api_pages
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

ELSEWHERE = {
    "AnnData": "anndata.AnnData",
    "Axes": "matplotlib.axes.Axes",
    "DataFrame": "pandas.DataFrame",
    "Figure": "matplotlib.figure.Figure",
    "Generator": "numpy.random.Generator",
    "Path": "pathlib.Path",
    "Series": "pandas.Series",
    "csr_matrix": "scipy.sparse.csr_matrix",
}


def _public() -> dict[str, str]:
    """Public name of each class and function by where it is defined, and by its last word."""
    found: dict[str, str] = {}
    for dotted in api_pages.qualified():
        module, word = dotted.rsplit(".", 1)
        thing = getattr(importlib.import_module(module), word)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            found[f"{thing.__module__}.{thing.__qualname__}"] = dotted
            found.setdefault(thing.__name__, dotted)
    return found


def _resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement) -> Any:
    """Try the public name here, then that on another site, which intersphinx looks up."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    name = _public().get(target)
    if name is not None:
        return env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, content)
    word = target.rsplit(".", 1)[-1]
    if word in ELSEWHERE:
        node["reftarget"], node["reftype"] = ELSEWHERE[word], "obj"
    return content if _is_ours(target) else None


def _is_ours(name: str) -> bool:
    """Whether it is a class, protocol or alias of a type that one of our modules defines, but no public name."""
    module, _, word = name.rpartition(".")
    ours = [name for name in sys.modules if name.startswith(f"{api_pages.ROOT}.")]
    return any(hasattr(sys.modules[place], word) for place in ([module] if module in ours else [] if module else ours))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx, ahead of intersphinx, which looks up what is renamed here."""
    app.connect("missing-reference", _resolve, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
