"""The pages of the API: one for each public module with a table of its names, one for each name.

Everything follows from ``__all__``. A module that :mod:`velotime` exports is found by itself; only its place in the
contents is given here.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = "velotime"
FIRST = ("pp", "tl", "pl", "get", "metrics", "read", "write", "simulation", "datasets")  # others follow, by name
BESIDE = ("kinetics",)  # public, though not a name of the package's face
APART = ("architecture", "changelog", "index", "stability")
TITLES = {
    "pp": "Preprocessing",
    "tl": "Tools",
    "pl": "Plots",
    "get": "Results as arrays and tables",
    "metrics": "Metrics",
    "read": "Reading",
    "write": "Writing",
    "simulation": "Simulation",
    "datasets": "Published data",
    "kinetics": "Kinetics",
}


def modules() -> list[str]:
    """Names of the public modules under the package, in the order of the contents."""
    package = importlib.import_module(ROOT)
    found = {word for word in package.__all__ if inspect.ismodule(getattr(package, word))} | set(BESIDE)
    return [name for name in FIRST if name in found] + sorted(found - set(FIRST))


def names(module: str) -> list[str]:
    """Public names of a module under the package, or of the package itself for the empty name; no modules."""
    face = _import(module)
    return [word for word in face.__all__ if not inspect.ismodule(getattr(face, word))]


def qualified() -> list[str]:
    """Every public name, dotted."""
    return [_dotted(module, word) for module in ("", *modules()) for word in names(module)]


def write(folder: Path) -> None:
    """Write the pages with the tables; autosummary makes those of the names from them."""
    folder.mkdir(exist_ok=True)
    wanted = {"index.rst": _index(), "methods.rst": _face()}
    wanted |= {f"{module}.rst": _page(module) for module in modules()}
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in (*folder.glob("*.rst"), *(folder / "generated").glob("*.rst")):
        if path.name not in wanted and path.stem not in qualified():
            path.unlink()


def used_in(docs: Path) -> dict[str, list[str]]:
    """Pages that show each public name at work, for the links under its description."""
    pages = [path for path in sorted(docs.rglob("*.md")) if not _apart(path.relative_to(docs))]
    texts = {path.relative_to(docs).with_suffix("").as_posix(): path.read_text(encoding="utf-8") for path in pages}
    return {
        name: [page for page, text in texts.items() if re.search(rf"\bvt\.{short}(?=[\s(<=]|$)", text, re.MULTILINE)]
        for name in qualified()
        for short in [re.escape(name.removeprefix(f"{ROOT}."))]
    }


def _apart(path: Path) -> bool:
    """Pages that are no examples: built ones, studies, tables of all names."""
    return path.parts[0].startswith("_") or path.parts[0] in {"api", "studies"} or path.stem in APART


def _import(module: str) -> ModuleType:
    return importlib.import_module(f"{ROOT}.{module}" if module else ROOT)


def _dotted(module: str, word: str) -> str:
    return ".".join(part for part in (ROOT, module, word) if part)


def _heading(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n"


def _table(words: Iterable[str]) -> str:
    """Of names in the current module of the page."""
    rows = "\n".join(f"   {word}" for word in words)
    return f".. autosummary::\n   :toctree: generated\n   :nosignatures:\n\n{rows}\n"


def _summary(module: str) -> str:
    return (inspect.getdoc(_import(module)) or "").strip()


def _page(module: str) -> str:
    title = f"{TITLES.get(module, module)}: ``velotime.{module}``"
    gallery = "Each of them is drawn in the :doc:`gallery </guides/gallery>`.\n" if module == "pl" else ""
    inside = f".. module:: {ROOT}.{module}\n"
    return "\n".join([_heading(title), _summary(module), "", gallery, inside, _table(names(module))])


def _kind(thing: Any) -> str:
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        return "Errors and warnings"
    if inspect.isclass(thing):
        return "Methods and their settings"
    return "Functions"


def _face() -> str:
    """Names of the package itself by kind, in the order of ``__all__``."""
    package = importlib.import_module(ROOT)
    by_kind: dict[str, list[str]] = {"Methods and their settings": [], "Functions": [], "Errors and warnings": []}
    for word in names(""):
        by_kind[_kind(getattr(package, word))].append(word)
    parts = [_heading("Methods, knowledge, errors: ``velotime``"), f".. module:: {ROOT}\n"]
    parts += [f"{_heading(kind, '-')}\n{_table(words)}" for kind, words in by_kind.items() if words]
    return "\n".join(parts)


def _index() -> str:
    contents = "\n".join(f"   {name}" for name in ("methods", *modules()))
    text = "Import velotime as ``vt``; every name below is public, and so are the slots that its page lists."
    return f"{_heading('API')}\n{text}\n\n.. toctree::\n   :maxdepth: 1\n\n{contents}\n"
