"""Put what the main command and the benchmarks print between their markers in the README and in the studies.

    python benchmarks/readme.py [--data FOLDER] [NAME ...]          default: all but those with scVelo

The README shows what the main command says of the pancreas, and so does docs/studies/benchmarks.md, which has all the
others. Those that run scVelo (`make peers`) fill a page of the studies and are named: against_scvelo,
against_scvelo_larger, direction, graph. A pair of markers is ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; what
is between them is written by this script.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
BENCHMARKS = HERE.parent / "docs" / "studies" / "benchmarks.md"
SCVELO = HERE.parent / "docs" / "studies" / "against_scvelo.md"


def commands(data: Path) -> dict[str, list[str]]:
    """What is run for each pair of markers."""
    python = sys.executable
    return {
        "pancreas": [python, "-m", "velotime", "run", str(data / "pancreas.h5ad"), "-o", "fitted.h5ad", "--quiet"],
        "truth": [python, str(HERE / "truth.py"), "--data", str(data)],
        "scaling": [python, str(HERE / "scaling.py")],
        "memory": [python, str(HERE / "memory.py"), "--whole"],
        "sweep": [python, str(HERE / "sweep.py")],
        "gene_clock": [python, str(HERE / "gene_clock.py"), "--data", str(data)],
        "lineages": [python, str(HERE / "lineages.py"), "--data", str(data)],
    }


def commands_with_scvelo(data: Path) -> dict[str, list[str]]:
    """The same for the page on scVelo."""
    peer = HERE.parent / ".venv-peers" / "bin" / "python"
    simulated = [sys.executable, str(HERE / "against_scvelo.py"), "--peer-python", str(peer)]
    return {
        "against_scvelo": simulated,
        "against_scvelo_larger": [*simulated, "--cells", "1000", "--genes", "100", "--seeds", "5"],
        "direction": [sys.executable, str(HERE / "direction.py"), "--data", str(data)],
        "graph": [sys.executable, str(HERE / "graph.py")],
    }


def pages(name: str) -> list[Path]:
    """Which pages show it: those that hold its markers."""
    found = [page for page in (README, BENCHMARKS, SCVELO) if marker(name) in page.read_text(encoding="utf-8")]
    if not found:
        raise SystemExit(f"No page has {marker(name).strip()}.")
    return found


def marker(name: str) -> str:
    """The line that what a command prints begins under."""
    return f"<!-- begin {name} -->\n"


def printed(command: list[str]) -> str:
    """Run a command in a folder of its own; what it prints, without the folder that its input lies in."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip("\n")


def fill(path: Path, name: str, text: str) -> None:
    """Put a block of text between the markers of ``name`` on a page."""
    begin, end = marker(name), f"<!-- end {name} -->"
    page = path.read_text(encoding="utf-8")
    if end not in page:
        raise SystemExit(f"{path.name} has no {end} after {begin.strip()}.")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    path.write_text(pattern.sub(lambda _: f"{begin}```\n{text}\n```\n{end}", page), encoding="utf-8")
    print(f"Filled {name} in {path.name}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    arguments = parser.parse_args()
    data = arguments.data.resolve()
    own, with_scvelo = commands(data), commands_with_scvelo(data)
    for name in arguments.names or own:
        if name not in own | with_scvelo:
            raise SystemExit(f"{name!r} is none of {list(own | with_scvelo)}.")
        text = printed((own | with_scvelo)[name])
        for page in pages(name):
            fill(page, name, text)


if __name__ == "__main__":
    main()
