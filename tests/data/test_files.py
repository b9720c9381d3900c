"""Files: what is read, and that writing leaves the old file or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import anndata as ad
import h5py
import numpy as np
import pytest

from velotime import InputError
from velotime.data import check_output, read_file, write_file


def test_round_trip(small, tmp_path):
    path = tmp_path / "cells.h5ad"
    write_file(small, path)
    again = read_file(path)
    assert (again.layers["spliced"] != small.layers["spliced"]).nnz == 0
    assert list(tmp_path.iterdir()) == [path]


def test_loom(small, tmp_path):
    path = tmp_path / "cells.loom"
    spliced, unspliced = (small.layers[name].toarray() for name in ("spliced", "unspliced"))
    with h5py.File(path, "w") as file:
        file["matrix"] = (spliced + unspliced).T
        for name, layer in (("spliced", spliced), ("unspliced", unspliced), ("ambiguous", 0 * spliced)):
            file[f"layers/{name}"] = layer.T
        file["row_attrs/Gene"] = np.array(small.var_names, dtype="S")
        file["col_attrs/CellID"] = np.array(small.obs_names, dtype="S")
        file["col_attrs/Clusters"] = np.arange(small.n_obs)
    adata = read_file(path)
    np.testing.assert_array_equal(adata.layers["spliced"].toarray(), spliced)
    np.testing.assert_array_equal(adata.layers["unspliced"].toarray(), unspliced)
    assert list(adata.obs_names) == list(small.obs_names)
    assert list(adata.var_names) == list(small.var_names)
    assert adata.obs["Clusters"].iloc[-1] == small.n_obs - 1


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_file(tmp_path / "no.h5ad")
    (tmp_path / "nose.h5ad").write_text("")
    with pytest.raises(InputError, match=r"no\.h5ad does not exist; similar: .*nose\.h5ad"):
        read_file(tmp_path / "no.h5ad")
    with pytest.raises(InputError, match=r"does not exist; nor does its folder .*nowhere"):
        read_file(tmp_path / "nowhere" / "no.h5ad")
    with pytest.raises(InputError, match="is a folder"):
        read_file(tmp_path)
    (tmp_path / "cells.csv").write_text("a,b")
    with pytest.raises(InputError, match=r"cannot read '.csv'.*\.h5ad, \.loom"):
        read_file(tmp_path / "cells.csv")
    (tmp_path / "broken.h5ad").write_text("no HDF5")
    with pytest.raises(InputError, match=r"broken.h5ad cannot be read as .h5ad"):
        read_file(tmp_path / "broken.h5ad")
    (tmp_path / "broken.loom").write_text("no HDF5")
    with pytest.raises(InputError, match=r"broken.loom cannot be read"):
        read_file(tmp_path / "broken.loom")


def test_what_cannot_be_written(tmp_path):
    old = tmp_path / "old.h5ad"
    old.write_text("old")
    for path, message in (
        (old, "exists.*--force"),
        (tmp_path / "new.txt", "ends in .h5ad"),
        (tmp_path / "nowhere" / "new.h5ad", "does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            check_output(path)
    check_output(old, force=True)


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_no_litter(small, tmp_path, monkeypatch, error):
    path = tmp_path / "cells.h5ad"
    path.write_text("old")

    def fail(self, target, **_):
        with open(target, "w") as file:
            file.write("half")
        raise error

    monkeypatch.setattr(ad.AnnData, "write_h5ad", fail)
    with pytest.raises((InputError, KeyboardInterrupt)):
        write_file(small, path, force=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


SLOW_WRITER = """
import sys, time, anndata as ad, numpy as np
from velotime.data import write_file
def slow(self, target, **_):
    with open(target, "w") as file:
        file.write("half")
    print("writing", flush=True)
    time.sleep(60)
ad.AnnData.write_h5ad = slow
write_file(ad.AnnData(np.zeros((3, 3), dtype=np.float32)), sys.argv[1], force=True)
"""


def test_a_killed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "cells.h5ad"
    path.write_text("old")
    process = subprocess.Popen([sys.executable, "-c", SLOW_WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    time.sleep(0.1)
    assert path.read_text() == "old"
