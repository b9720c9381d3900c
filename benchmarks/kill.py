"""What is lost when `velotime run` is killed by SIGKILL at random moments, again and again, and `--resume` goes on.

    python benchmarks/kill.py [--kills 100] [--cells 300] [--genes 30] [--seed 0]

Runs go on from their checkpoints until they are done, and new ones begin until so many kills have been dealt. After
each kill the output must be whole or not there, the checkpoint whole or not there, and the input what it was. Every
run that is done must have written the same numbers, bit by bit, as one that was not killed (the seconds that it took
apart), and leave nothing beside its output. Ends with an error where any of this fails.

The killed processes are forks of this one, so that what takes long to import is imported once.
"""

from __future__ import annotations

import argparse
import os
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

import velotime as vt
from velotime.cli import main as velotime
from velotime.data.on_disk.checkpoint import MAGIC

WAIT = 0.15  # of the time of a whole run, on average, until it is killed
QUICK = ["--max-iterations", "12", "--skip-comparison", "-q"]


def begun(arguments: list[str]) -> int:
    """A fork of this process that runs a command; its process id."""
    process = os.fork()
    if process:
        return process
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        velotime(arguments, standalone_mode=False)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        code = 70
    os._exit(code)


def ended(process: int, seconds: float) -> int | None:
    """Exit code of a process that ends by itself before that; None for one that was killed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return None if code == -signal.SIGKILL else code


def contents(value: Any) -> Any:
    """All that a file holds as plain bytes and texts, without seconds."""
    if isinstance(value, ad.AnnData):
        boxes = ("obs", "var", "uns", "obsm", "varm", "obsp", "layers")
        return {box: contents(getattr(value, box)) for box in boxes}
    if isinstance(value, pd.DataFrame):
        return {name: contents(value[name]) for name in value} | {"index": list(map(str, value.index))}
    if isinstance(value, Mapping):
        return {str(key): contents(one) for key, one in value.items() if "seconds" not in str(key)}
    if sparse.issparse(value):
        matrix = sparse.csr_matrix(value)
        return [contents(part) for part in (matrix.data, matrix.indices, matrix.indptr)]
    if isinstance(value, pd.Series):
        return value.astype(str).tolist() if value.dtype.kind not in "biuf" else value.to_numpy().tobytes()
    array = np.asarray(value)
    return array.tobytes() if array.dtype.kind in "biuf" else array.astype(str).tolist()


def whole_or_absent(folder: Path) -> None:
    """Check what a killed run left."""
    output, checkpoint = folder / "out.h5ad", folder / "out.h5ad.checkpoint"
    if output.exists():
        ad.read_h5ad(output)
    if checkpoint.exists():
        content = checkpoint.read_bytes()
        assert content.startswith(MAGIC)
        pickle.loads(content[len(MAGIC) + 32 :])


def prepare(folder: Path, n_cells: int, n_genes: int) -> Path:
    adata = vt.simulation.simulate(n_cells, n_genes, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)
    adata.obsm["X_umap"] = adata.obs[["true_time", "true_depth"]].to_numpy()
    adata.write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--cells", type=int, default=300)
    parser.add_argument("--genes", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cells = prepare(folder, given.cells, given.genes)
        before = sha256(cells.read_bytes()).digest()
        began = time.monotonic()
        assert ended(begun(["run", str(cells), "-o", str(folder / "usual.h5ad"), *QUICK]), 3600) == 0
        seconds = time.monotonic() - began
        usual = contents(ad.read_h5ad(folder / "usual.h5ad"))
        arguments = ["run", str(cells), "-o", str(folder / "out.h5ad"), "--resume", *QUICK]
        kills = runs = 0
        while kills < given.kills:
            code = ended(begun(arguments), rng.exponential(WAIT * seconds) if kills < given.kills else 3600)
            assert sha256(cells.read_bytes()).digest() == before
            if code is None:
                kills += 1
                whole_or_absent(folder)
                if kills < given.kills and not (folder / "out.h5ad").exists():
                    continue
                code = 0 if (folder / "out.h5ad").exists() else ended(begun(arguments), 3600)
            assert code == 0, f"exit code {code}"
            assert contents(ad.read_h5ad(folder / "out.h5ad")) == usual, "another result"
            (folder / "out.h5ad").unlink()
            (folder / "out.h5ad.checkpoint").unlink(missing_ok=True)
            left = {path.name for path in folder.iterdir()} - {"cells.h5ad", "usual.h5ad"}
            assert not left, f"left: {left}"
            runs += 1
        print(f"{kills} kills in {runs} runs of {seconds:.1f} s each when not killed: the same bits in all of them")


if __name__ == "__main__":
    sys.exit(main())
