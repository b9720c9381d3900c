"""``velotime report``: the page of a file that is fitted already."""

from __future__ import annotations

from pathlib import Path

import click

from velotime.cli.console import Console, exit_codes
from velotime.cli.inputs import BASIS, FILE, FORCE, QUIET, read_fitted


@click.command()
@FILE
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write; default: FILE.html beside FILE.")
@click.option(
    "--tables", metavar="DIR", type=click.Path(path_type=Path), help="Write genes, cells, fates and verdict as CSV too."
)
@click.option("--title", help="Heading of the page. [default: the file's name]")
@BASIS
@FORCE
@QUIET
def report(
    file: Path, output: Path | None, tables: Path | None, title: str | None, basis: str | None, force: bool, quiet: bool
) -> None:
    """Write the page of a fitted FILE, as velotime run wrote it, for the browser."""
    console = Console(quiet)
    with exit_codes() as written:
        console.stage(f"Reading {file}")
        from velotime import data
        from velotime import report as write_report
        from velotime.report import TABLES, write_tables

        output = file.with_suffix(".html") if output is None else output
        data.check_output(output, force=force, suffixes=(".html",))
        if tables is not None:
            data.check_folder(tables, TABLES, force=force)
        adata = read_fitted(file)
        console.stage(f"Writing {output}")
        write_report(adata, output, title=title or file.name, basis=basis, force=force)
        written.append(output)
        if tables is not None:
            written.extend(write_tables(adata, tables, force=force))
        click.echo("\n".join(f"Wrote {path}" for path in written))
