"""Conventions of the public names."""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import version

import pytest

import velotime as vt

MODULES = [
    "velotime",
    "velotime.tl",
    "velotime.pp",
    "velotime.pl",
    "velotime.get",
    "velotime.metrics",
    "velotime.datasets",
    "velotime.read",
    "velotime.write",
    "velotime.simulation",
    "velotime.kinetics",
]


def test_version_is_that_of_the_distribution():
    assert vt.__version__ == version("velotime")


@pytest.mark.parametrize("name", MODULES)
def test_all_is_true(name):
    module = importlib.import_module(name)
    assert len(module.__all__) == len(set(module.__all__)) > 0
    for word in module.__all__:
        assert hasattr(module, word), word


FUNCTIONS = [
    pytest.param(getattr(module, word), id=f"{module.__name__}.{word}")
    for module in (vt.tl, vt.pp, vt.pl, vt.get, vt.metrics, vt.datasets, vt.read, vt.write, vt.simulation)
    for word in module.__all__
    if inspect.isfunction(getattr(module, word))
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_public_functions_document_every_parameter(function):
    text = inspect.getdoc(function)
    assert "Parameters\n----------" in text
    for parameter in inspect.signature(function).parameters.values():
        assert parameter.name in text, parameter.name
        assert parameter.kind is not parameter.VAR_KEYWORD
        assert parameter.name not in ("seed", "random_state", "random_seed"), "randomness is named rng everywhere"
        if parameter.default is not parameter.empty and function.__module__.startswith(("velotime.tl", "velotime.pp")):
            assert parameter.kind is parameter.KEYWORD_ONLY
