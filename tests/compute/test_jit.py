"""The decorator of the kernels: what its cache depends on, and what happens where no cache can be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching

from velotime.compute import jit as jit_module
from velotime.compute.jit import CONTRACT, hash_of_sources, jit

SOURCE = Path(jit_module.__file__).parents[1]
#: No folder can be written, or none but temporary ones: a read-only home and package, in a process of its own.
READ_ONLY = """
import numba.core.caching as caching
import numpy as np

def refuse(self):
    if not self.get_cache_path().startswith({allowed!r}):
        raise PermissionError(13, "read-only", self.get_cache_path())

caching._CacheLocator.ensure_cache_path = refuse
"""
NOWHERE = "no such folder"


def run(code, **environment):
    """Run some Python in a process of its own; what it printed."""
    clean = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**clean, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.mark.parametrize("first", ["tl", "pl", "data", "report"])
def test_the_package_works_with_a_read_only_home(first):
    """numba gets a temporary folder, without which scanpy could not be imported either; it is gone afterwards."""
    code = f"""{READ_ONLY.format(allowed=tempfile.gettempdir())}
import importlib
import os
import numba
from click.testing import CliRunner
from velotime.cli import main
assert CliRunner().invoke(main, ["--help"]).exit_code == 0
importlib.import_module("velotime.{first}")
assert os.path.isdir(numba.config.CACHE_DIR)
print(numba.config.CACHE_DIR)
"""
    assert not Path(run(code)).exists()


def test_kernels_run_where_no_folder_at_all_can_be_written():
    """Not even a temporary one; without the rest of the package, as scanpy cannot be imported then."""
    code = f"""{READ_ONLY.format(allowed=NOWHERE)}
import sys
import tempfile
import types
tempfile.tempdir = {NOWHERE!r}
sys.modules["velotime"] = types.ModuleType("velotime")
sys.modules["velotime"].__path__ = [{str(SOURCE)!r}]
from velotime.compute import NUMBA
u, s = NUMBA.curve_means(np.zeros((1, 8)), np.array([0.0]), np.arange(8)[None])
print(u[0, 0], s[0, 0])
"""
    assert run(code) == "1.0 1.0"


def test_without_this_numba_would_refuse():
    """The premise of the tests above: the same process, numba's own cache."""
    code = f"""{READ_ONLY.format(allowed=NOWHERE)}
import numba
try:
    numba.njit(cache=True)(caching.inspect.cleandoc)
except RuntimeError as error:
    print(error)
"""
    assert "no locator available" in run(code)


@pytest.mark.parametrize("failing", ["_save_index", "_save_data", "_load_index", "_load_data"])
def test_a_cache_that_fails_later_costs_a_compilation(monkeypatch, tmp_path, failing):
    """A full disk, or a file that somebody removed."""
    monkeypatch.setattr(caching.config, "CACHE_DIR", str(tmp_path))

    def fail(*arguments):
        raise OSError(28, "no space left on device")

    jit(CONTRACT)(twice)(1.0)
    monkeypatch.setattr(caching.IndexDataCacheFile, failing, fail)
    assert jit(CONTRACT)(twice)(2.0) == 4.0
    assert jit(CONTRACT)(twice)(np.float32(2)) == 4.0  # of another signature, which would be saved


def twice(x):
    return 2 * x


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="compiles nothing")
def test_an_edit_of_an_imported_file_is_seen(tmp_path):
    """numba alone keeps the old code of a function in another file, as the caller's own file is as it was."""
    package = tmp_path / "velotime"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    inner, outer = package / "compute" / "inner.py", package / "compute" / "numba" / "outer.py"
    inner.write_text(
        "from velotime.compute.jit import CONTRACT, jit\n\n\n@jit(CONTRACT)\ndef f(x):\n    return x + 1.0\n"
    )
    outer.write_text(
        "from velotime.compute.inner import f\nfrom velotime.compute.jit import CONTRACT, jit\n\n\n"
        "@jit(CONTRACT)\ndef g(x):\n    return 10.0 * f(x)\n"
    )
    where = {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    call = "from velotime.compute.numba.outer import g; print(g(1.0), sum(g._cache_hits.values()))"
    assert run(call, **where) == "20.0 0"
    assert run(call, **where) == "20.0 1"  # the cache is used
    inner.write_text(inner.read_text().replace("x + 1.0", "x + 2.0"))
    assert run(call, **where) == "30.0 0"


def test_the_hash_is_of_names_and_contents(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.py").write_text("y = 1")

    def fresh():
        hash_of_sources.cache_clear()
        return hash_of_sources(tmp_path)

    before = fresh()
    (tmp_path / "notes.txt").write_text("no source")
    assert fresh() == before
    (tmp_path / "deep" / "b.py").write_text("y = 2")
    changed = fresh()
    assert changed != before
    (tmp_path / "deep" / "b.py").rename(tmp_path / "deep" / "c.py")
    assert fresh() not in (before, changed)


def test_kernels_call_kernels_of_hashed_folders_only():
    """Every module with kernels takes others from compute or from its own folder, which is what the hash is of."""
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        if "velotime.compute.jit import" not in text or path.parent.parent == SOURCE / "compute":
            continue
        own = "velotime." + ".".join(path.parent.relative_to(SOURCE).parts)
        for line in text.splitlines():
            if line.startswith("from velotime.") and not line.startswith("from velotime._types"):
                assert line.startswith((f"from {own}", "from velotime.compute")), f"{path}: {line}"
