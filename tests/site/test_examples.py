"""Examples in the docstrings of public names, run as a reader would."""

from __future__ import annotations

import doctest
import importlib
import inspect

import pytest

import velotime as vt


def public_objects():
    modules = [vt, *(getattr(vt, word) for word in vt.__all__ if inspect.ismodule(getattr(vt, word)))]
    modules.append(importlib.import_module("velotime.kinetics"))
    for module in modules:
        for word in module.__all__:
            thing = getattr(module, word)
            if not inspect.ismodule(thing):
                yield f"{module.__name__}.{word}", thing


EXAMPLES = [
    pytest.param(found, id=name)
    for name, thing in public_objects()
    for found in doctest.DocTestFinder(recurse=False).find(thing, name, globs={})
    if found.examples
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_holds(example):
    outcome = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(example, out=outcome.append)
    assert not runner.failures, "".join(outcome)


def test_examples_are_found():
    assert len(EXAMPLES) >= 10
