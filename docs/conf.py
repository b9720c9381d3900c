"""How the site is built: `make docs`, or `sphinx-build -W --keep-going -n docs docs/_build/html`."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE / "_build"
sys.path.insert(0, str(HERE / "_extensions"))

import api_pages  # noqa: E402
import inventories  # noqa: E402

# Kernels of the notebooks inherit these: results are the same on any machine, and cores are not overcommitted.
for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

project = "velotime"
author = "The velotime developers"
copyright = author  # noqa: A001 - Sphinx's name
version = release = installed_version("velotime")
html_title = "velotime"
html_baseurl = "https://velotime.readthedocs.io/en/latest/"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "public_names",
]
exclude_patterns = ["_build", "_extensions", "_templates", "**.ipynb_checkpoints"]
templates_path = ["_templates"]

# API pages are written from the packages' `__all__`, so that a new public name has a page.
api_pages.write(HERE / "api")
autosummary_generate = True
autosummary_context = {"used_in": api_pages.used_in(HERE)}
autosummary_ignore_module_all = False
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False
# "Returns" tells in prose and in lists of slots what is written; as a section of types it would be taken apart.
napoleon_custom_sections = ["Returns", "Warns"]

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "substitution"]
myst_substitutions = {"release": release}
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_show_tb = True  # a notebook that fails is a warning, and warnings fail the build
nb_execution_timeout = 300
nb_output_stderr = "remove"  # progress bars
nb_merge_streams = True


def _cache_of_this_package() -> str:
    """Notebooks are executed again when the package changes, not only when their own text does."""
    digest = hashlib.sha256()
    for path in sorted((HERE.parent / "src").rglob("*.py")):
        digest.update(path.read_bytes())
    caches, name = BUILD / "notebooks", digest.hexdigest()[:16]
    for old in caches.glob("*"):
        if old.name != name:
            shutil.rmtree(old)
    return str(caches / name)


nb_execution_cache_path = _cache_of_this_package()

nitpicky = True
intersphinx_mapping = inventories.mapping(BUILD / "inventories", online="READTHEDOCS" in os.environ)

html_theme = "sphinx_book_theme"
html_theme_options = {
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # the search field is in the side bar
}
html_static_path = ["_static", "figures/stream.png"]  # the picture under an address that the README can name
html_css_files = ["site.css"]
html_extra_path = ["llms.txt"]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
