"""What the site links to on other sites.

Whole inventories come from the network, which a build may not have: then only the few objects listed here are
known. Where the site is published (Read the Docs) the whole ones go first.
"""

from __future__ import annotations

import zlib
from pathlib import Path

Object = tuple[str, str, str]  # name, kind, page

ABSTRACT = ("Callable", "Iterable", "Iterator", "Mapping", "Sequence")

SITES: dict[str, tuple[str, list[Object]]] = {
    "anndata": (
        "https://anndata.readthedocs.io/en/stable/",
        [("anndata.AnnData", "py:class", "generated/anndata.AnnData.html")],
    ),
    "matplotlib": (
        "https://matplotlib.org/stable/",
        [
            ("matplotlib.axes.Axes", "py:class", "api/_as_gen/matplotlib.axes.Axes.html"),
            ("matplotlib.figure.Figure", "py:class", "api/_as_gen/matplotlib.figure.Figure.html"),
        ],
    ),
    "numpy": (
        "https://numpy.org/doc/stable/",
        [
            ("numpy.ndarray", "py:class", "reference/generated/numpy.ndarray.html"),
            ("numpy.dtype", "py:class", "reference/generated/numpy.dtype.html"),
            ("numpy.floating", "py:class", "reference/arrays.scalars.html"),
            ("numpy.random.Generator", "py:class", "reference/random/generator.html"),
        ],
    ),
    "pandas": (
        "https://pandas.pydata.org/docs/",
        [
            ("pandas.DataFrame", "py:class", "reference/api/pandas.DataFrame.html"),
            ("pandas.Series", "py:class", "reference/api/pandas.Series.html"),
        ],
    ),
    "python": (
        "https://docs.python.org/3/",
        [
            *((f"collections.abc.{name}", "py:class", "library/collections.abc.html") for name in ABSTRACT),
            *((name, "py:class", "library/stdtypes.html") for name in ("dict", "list", "str", "tuple")),
            *((name, "py:class", "library/functions.html") for name in ("bool", "float", "int", "object")),
            ("None", "py:data", "library/constants.html"),
            ("pathlib.Path", "py:class", "library/pathlib.html"),
            ("os.PathLike", "py:class", "library/os.html"),
            ("typing.Literal", "py:data", "library/typing.html"),
            ("typing.Any", "py:data", "library/typing.html"),
            ("enum.Enum", "py:class", "library/enum.html"),
        ],
    ),
    "scipy": (
        "https://docs.scipy.org/doc/scipy/",
        [("scipy.sparse.csr_matrix", "py:class", "reference/generated/scipy.sparse.csr_matrix.html")],
    ),
}


def mapping(folder: Path, *, online: bool) -> dict[str, tuple[str, tuple[str | None, ...]]]:
    """Write the short inventories into a folder; the setting ``intersphinx_mapping``."""
    folder.mkdir(parents=True, exist_ok=True)
    out: dict[str, tuple[str, tuple[str | None, ...]]] = {}
    for name, (address, objects) in SITES.items():
        path = folder / f"{name}.inv"
        path.write_bytes(_inventory(name, objects))
        out[name] = (address, (None, str(path)) if online else (str(path),))
    return out


def _inventory(project: str, objects: list[Object]) -> bytes:
    """In Sphinx's format, version 2: four lines, then the objects compressed."""
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = "".join(f"{name} {kind} 1 {page}#$ -\n" for name, kind, page in objects)
    return head.encode() + zlib.compress(lines.encode())
