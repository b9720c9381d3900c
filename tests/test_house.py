"""The house: how large its pieces are, who leans on whom, and that the page that draws it is true."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import velotime

HOUSE = Path(velotime.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
MODULES = sorted(HOUSE.rglob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})

LONGEST_FILE, LONGEST_FUNCTION, USUAL_FUNCTION = 400, 60, 20  # lines; functions without their docstrings
MOST_FILES = 12  # Python files in a folder
FEW = 5  # modules in a folder, up to which one may well be what the others stand on


def lines_of_functions():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                documented = ast.get_docstring(node, clean=False) is not None
                body = node.body[documented:]
                yield body[-1].end_lineno - body[0].lineno + 1 if body else 0, f"{path.name}: {node.name}"


def test_functions_are_short():
    lines, names = zip(*lines_of_functions(), strict=True)
    assert max(lines) <= LONGEST_FUNCTION, names[int(np.argmax(lines))]
    assert np.quantile(lines, 0.9) <= USUAL_FUNCTION


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(HOUSE.parent)))
def test_folders_are_small_and_lean_on_no_single_module(folder):
    assert len(list(folder.glob("*.py"))) <= MOST_FILES
    modules = {path.stem: imports_of(path) for path in folder.glob("*.py") if path.stem != "__init__"}
    if len(modules) <= FEW:
        return
    package = ".".join(folder.relative_to(HOUSE.parent).parts)
    for name in modules:
        users = [other for other, imported in modules.items() if other != name and f"{package}.{name}" in imported]
        assert len(users) <= (len(modules) - 1) / 2, f"{package}.{name} is imported by {users}"


def imports_of(path):
    """Names of the modules that a file imports, and of what it imports from packages."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_the_architecture_page_draws_these_files_and_no_others():
    assert drawn_files() == {str(path.relative_to(HOUSE)) for path in MODULES if path.stem != "__init__"}


def drawn_files():
    """Files of the tree on the page: folders end in a slash, what stands further in lies in them."""
    tree = re.search(r"```text\nvelotime/\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL).group(1)
    folders, files = {}, set()
    for line in tree.splitlines():
        depth, entry = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folders[depth] = entry
        if entry.endswith(".py"):
            files.add("".join(folders[level] for level in range(1, depth)) + entry)
    return files
