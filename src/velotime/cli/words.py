"""Errors and warnings in the words of the command line: options where the library names arguments of Python."""

from __future__ import annotations

import re

from velotime._status import Cure, UnclearWarning

FLAGS = {
    Cure.ROOT: "--root clusters:progenitors",
    Cure.ENDS: "--end clusters:mature",
    Cure.MARKERS: "--early-markers GENE,GENE --late-markers GENE,GENE",
    Cure.TIMES: "--time-labels day",
    Cure.LINEAGES: "--lineages 3",
    Cure.TERMINALS: "--terminals clusters:A,B",
    Cure.COUNT_NOISE: "--noise negative-binomial",
}

# In this order: what is long before what is a part of it.
_AS_OPTIONS = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r" \(--[\w-]+(?: \w+)? on the command line\)", ""),
        (r" Genes that velotime\.pp\.filter_genes leaves out can be kept: keep=\[\.\.\.\]\.", ""),
        (r",? or merge samples with velotime\.read\.samples\(\[\.\.\.\]\)", ""),
        (r"force=True \(--force\)", "--force"),
        (r"method=vt\.SoftEM\(samples='\.\.\.'\)", "--samples COLUMN"),
        (r"resume=True \(--resume\)", "--resume"),
        (r"method=vt\.SoftEM\(noise=vt\.Gaussian\(\)\)", "--noise gaussian"),
        (r"method=vt\.SoftEM\(knowledge=vt\.TimeLabels\('([^']*)'\)\)", r"--time-labels \1"),
        (r"TimeLabels\('([^']*)', order=\[\.\.\.\]\)", r"--time-labels \1:LABEL,LABEL"),
        (r"TimeLabels\(order=[(\[](.*?)[)\]]\)", r"--time-labels with the order \1"),
        (r"Markers\(early=\['Sox9'\], late=\['Ins2'\]\)", "--early-markers Sox9 --late-markers Ins2"),
        (r"Markers\(early=[(\[](.*?)[)\]], late=[(\[](.*?)[)\]]\)", r"--early-markers \1 --late-markers \2"),
        (r"lineages=(?:vt\.)?Terminals\([^)]*\)", "--terminals COLUMN:LABEL,LABEL"),
        (r"(Terminals|Ends)\(labels=[(\[](.*?)[)\]]\)", lambda found: f"{_OPTION[found[1]]} {found[2]}"),
        (r"SoftEM\((n_lineages|max_iterations)=([^)]*)\)", lambda found: f"{_OPTION[found[1]]} {found[2]}"),
        (r'n_lineages="?(\w+)"?', r"--lineages \1"),
        (r"velotime\.pp\.filter_cells\(adata, min_counts=\.\.\.\)", "--min-counts N"),
        (r"\bPass (unspliced|spliced)=(?:'\.\.\.')?", r"Pass --\1"),
        (r"\b(unspliced|spliced)=", r"--\1 "),
        (r"\bLower min_cells or min_shared_counts\b", "Lower --min-cells"),
        (
            r"\b(min_cells|max_iterations|n_top_genes)(=| )?",
            lambda found: f"{_OPTION[found[1]]}{' ' if found[2] else ''}",
        ),
        (r"\bvt\.(TimeLabels)\b", "--time-labels"),
        (r"adata\.obs\[([^\]]*)\]", r"the obs column \1"),
        (r"adata\.var_names", "the names of genes"),
        (r"adata\.layers", "the layers"),
        (r"adata\.(obs|var)\b", r"\1"),
        (r"(?:call )?velotime\.(?:read|write|pp|tl)\.(\w+)(?:\([^)]*\))?", r"\1 of velotime's Python package"),
        (r"\bvt\.", ""),
        (r"\buns\['(\w+)'\]", r"the slot \1 of uns in the output"),
    )
)
_OPTION = {
    "Terminals": "--terminals",
    "Ends": "--end",
    "n_lineages": "--lineages",
    "max_iterations": "--max-iterations",
    "min_cells": "--min-cells",
    "n_top_genes": "--n-top-genes",
}


def in_options(text: str) -> str:
    """A message of the library as the command line says it."""
    for pattern, replacement in _AS_OPTIONS:
        text = pattern.sub(replacement, text)
    return text


def warning_text(warning: Warning | str) -> str:
    """A warning in one line, with the options that settle it."""
    if not isinstance(warning, UnclearWarning):
        return in_options(str(warning))
    cures = "; ".join(f"{cure} ({FLAGS[cure]})" for cure in warning.cures)
    return in_options(warning.text) + (f" What can settle it: {cures}." if cures else "")
