"""What is published beside the code says the same as the code."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import velotime as vt

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = {"matplotlib-base": "matplotlib"}  # conda's name: the index's


def test_types_are_shipped():
    assert files("velotime").joinpath("py.typed").is_file()


def test_one_version():
    assert f"\nversion: {vt.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f'set version = "{vt.__version__}"' in (ROOT / "conda" / "meta.yaml").read_text()


def test_the_conda_recipe_asks_for_what_the_package_asks_for():
    text = (ROOT / "conda" / "meta.yaml").read_text()
    run = re.search(r"  run:\n((?:    - .*\n)+)", text)[1]
    asked = dict(re.findall(r"- (\S+) >=(\S+)", run))
    assert asked.pop("python") == PROJECT["project"]["requires-python"].removeprefix(">=")
    wanted = dict(entry.split(">=") for entry in PROJECT["project"]["dependencies"])
    assert {CONDA.get(name, name): bound for name, bound in asked.items()} == wanted


@pytest.mark.parametrize("workflow", ["test", "release"])
def test_workflows_try_every_python_that_is_claimed(workflow):
    text = (ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text()
    prefix = "Programming Language :: Python :: "
    claimed = [c.removeprefix(prefix) for c in PROJECT["project"]["classifiers"] if c.startswith(prefix)]
    tried = re.findall(r'"(3\.\d+)"', re.search(r"python: \[(.*)\]", text)[1])
    assert tried == claimed
