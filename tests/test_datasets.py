"""Published data, from a server on this machine."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest

import velotime as vt
from velotime import InputError
from velotime.datasets import _sets
from velotime.datasets._published import Published


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing, and counts what it was asked for."""

    asked: ClassVar[list[str]] = []

    def log_message(self, *_):
        """Not on the terminal."""

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def server(tmp_path, small):
    """A folder that is served, with one good file; its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    small.write_h5ad(folder / "cells.h5ad")
    Quiet.asked = []
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()
    thread.join()


def test_it_is_downloaded_once_and_checked(server, small, tmp_path, monkeypatch):
    _, address = server
    monkeypatch.setattr(_sets, "PANCREAS", Published("cells.h5ad", f"{address}/cells.h5ad", small.shape))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for _ in range(2):
        adata = vt.datasets.pancreas()
        assert np.array_equal(adata.layers["spliced"].toarray(), small.layers["spliced"].toarray())
    assert Quiet.asked == ["/cells.h5ad"]
    assert list((tmp_path / "cache").rglob("*.h5ad"))
    vt.datasets.pancreas(folder=tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "cells.h5ad").exists()


def test_what_is_not_the_file_is_told_and_does_not_stay(server, small, tmp_path):
    folder, address = server
    broken = small.copy()
    broken.layers["spliced"] = broken.layers["spliced"] * 0.5
    broken.write_h5ad(folder / "normalised.h5ad")
    (folder / "page.h5ad").write_text("<html>please log in</html>")
    for name, shape, words in [
        ("cells.h5ad", (7, 8), "holds .* not 7 cells x 8 genes.*Remove it"),
        ("normalised.h5ad", small.shape, "no layer 'spliced' of raw counts"),
        ("page.h5ad", small.shape, "page.h5ad cannot be read"),
        ("missing.h5ad", small.shape, "could not be downloaded into .*404"),
    ]:
        with pytest.raises(InputError, match=words):
            Published(name, f"{address}/{name}", shape).read(tmp_path / "kept")
    assert not list((tmp_path / "kept").iterdir())
    mine = tmp_path / "mine"
    mine.mkdir()
    small.write_h5ad(mine / "cells.h5ad")
    with pytest.raises(InputError, match="not 7 cells"):
        Published("cells.h5ad", f"{address}/cells.h5ad", (7, 8)).read(mine)
    assert (mine / "cells.h5ad").exists()  # it was there before


def test_without_a_network_there_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match=r"could not be downloaded into .*Where this machine has no network.*folder="):
        Published("cells.h5ad", "http://127.0.0.1:9/cells.h5ad", (1, 1)).read(tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"datasets\.pancreas\(folder=3\)"):
        vt.datasets.pancreas(folder=3)
