"""The cheat sheet knows every public name, and the derivation every object that can be passed to a method."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import velotime as vt

DOCS = Path(__file__).parents[2] / "docs"
ROOMS = ("tl", "pp", "pl", "get", "metrics", "read", "write", "simulation", "datasets")
NAMES = list(vt.__all__) + [f"{room}.{word}" for room in ROOMS for word in getattr(vt, room).__all__]
OUTCOMES = {"FitError", "InputError", "InputWarning", "UnclearWarning", "VelotimeError"}
OBJECTS = [name for name in vt.__all__ if inspect.isclass(getattr(vt, name)) and name not in OUTCOMES]


@pytest.mark.parametrize("name", NAMES)
def test_the_cheat_sheet_has_every_public_name(name):
    text = (DOCS / "guides" / "cheat-sheet.md").read_text(encoding="utf-8")
    assert re.search(rf"\b{name.split('.')[-1]}\b", text)


@pytest.mark.parametrize("name", OBJECTS)
def test_how_it_works_has_every_object(name):
    text = (DOCS / "how-it-works.md").read_text(encoding="utf-8")
    assert re.search(rf"\b{name}\b", text)
