"""What several tests share: small simulated data, and the project's data files where they exist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import velotime as vt

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture
def small():
    """250 cells, 60 genes, unfitted."""
    return vt.simulation.simulate(250, 60, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)


@pytest.fixture(scope="session")
def fitted():
    """600 cells, 100 genes, fitted; tests must not change it."""
    adata = vt.simulation.simulate(600, 100, rng=np.random.default_rng(1), mean_unspliced=1.0, mean_spliced=3.0)
    vt.tl.recover_dynamics(adata, progress=False)
    return adata


@pytest.fixture(scope="session")
def shared_data():
    """The folder of the project's data files; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the project's data files in {SHARED.name}/ beside the checkout's folder")
    return SHARED
