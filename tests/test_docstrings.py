"""Defaults that docstrings name are those of the code, for every dataclass and every public function."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re

import pytest

import velotime as vt

VALUE = r"""(?:``)?("[^"\n]+"|'[^'\n]+'|-?\d+(?:\.\d+)?(?:e-?\d+)?|(?:vt\.)?[A-Z]\w+\(\))(?:``)?"""
NAMED = (
    rf"{VALUE} by default",
    rf"{VALUE} \(default",
    rf"{VALUE}, the default",
    rf"[Tt]he default, {VALUE}[,;.]",
    rf"[Tt]he default is {VALUE}",
)


def documented():
    """Every dataclass and function of the package that has a docstring, by name."""
    found = {}
    for module in pkgutil.walk_packages(vt.__path__, "velotime."):
        if module.name.endswith("__main__"):
            continue
        for name, thing in vars(importlib.import_module(module.name)).items():
            own = getattr(thing, "__module__", "") == module.name and thing.__doc__
            if own and (inspect.isfunction(thing) or (inspect.isclass(thing) and dataclasses.is_dataclass(thing))):
                found[f"{module.name}.{name}"] = thing
    return found


def entries(text):
    """Names and texts of what a numpydoc docstring lists."""
    text = inspect.cleandoc(text)
    for match in re.finditer(r"^([a-z_][\w, ]*)\n((?:    .*\n?|\n(?=    ))+)", text, flags=re.MULTILINE):
        for name in match[1].split(","):
            yield name.strip(), " ".join(match[2].split())


def claims():
    out = []
    for where, thing in documented().items():
        defaults = {name: one.default for name, one in inspect.signature(thing).parameters.items()}
        for name, text in entries(thing.__doc__):
            said = [value for pattern in NAMED for value in re.findall(pattern, text)]
            if name in defaults and said:
                out.append(pytest.param(thing, name, said, id=f"{where}.{name}"))
    return out


def real_default(thing, name):
    """What a call without the argument gets; factories are called."""
    if dataclasses.is_dataclass(thing):
        field = next(field for field in dataclasses.fields(thing) if field.name == name)
        if field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
    return inspect.signature(thing).parameters[name].default


@pytest.mark.parametrize(("thing", "name", "said"), claims())
def test_a_default_is_what_it_is_said_to_be(thing, name, said):
    real = real_default(thing, name)
    for value in said:
        if value.endswith("()"):
            kind = value.removeprefix("vt.")[:-2]
            # a function takes None for "the default method" and makes it itself
            assert real is None or type(real).__name__ == kind
        else:
            assert real == ast.literal_eval(value)


def test_the_search_for_claims_finds_them():
    names = {str(claim.id) for claim in claims()}
    assert "velotime.inference.methods.soft_em.SoftEM.hottest" in names
    assert "velotime.inference.methods.soft_em.SoftEM.noise" in names
    assert len(names) >= 15
