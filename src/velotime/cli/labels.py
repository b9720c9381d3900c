"""Columns and labels as the command line gives them, ``COLUMN:LABEL,LABEL``, read with the cells at hand.

Both may hold blanks, commas and colons: the column is the longest one of obs that fits, and pieces between commas are
joined where that gives a label that occurs. Quotes settle what is left: ``kind:"CD4+, naive",B``.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from velotime._status import InputError

if TYPE_CHECKING:
    import pandas as pd


def column_and_labels(option: str, given: str, obs: pd.DataFrame) -> tuple[str, list[str]]:
    """Column and labels, one or more.

    Raises
    ------
    InputError
        If there is no such column, or no label after it.
    """
    column, text = _with_text(option, given, obs)
    return column, split_labels(text, _known(obs[column]))


def column_and_label(option: str, given: str, obs: pd.DataFrame) -> tuple[str, str]:
    """Column and one label, commas and all; errors as above."""
    column, text = _with_text(option, given, obs)
    return column, text[1:-1] if len(text) > 2 and text[0] == text[-1] == '"' else text


def column_and_order(option: str, given: str, obs: pd.DataFrame) -> tuple[str, list[str]]:
    """Column and labels, if any; errors as above."""
    if given in obs:
        return given, []
    column, text = _column_and_text(option, given, obs)
    return column, split_labels(text, _known(obs[column])) if text else []


def _with_text(option: str, given: str, obs: pd.DataFrame) -> tuple[str, str]:
    column, text = _column_and_text(option, given, obs) if ":" in given else (given, "")
    if not text:
        raise InputError(f"{option} {given}: give COLUMN:LABEL, e.g. clusters:Alpha.")
    return column, text


def _column_and_text(option: str, given: str, obs: pd.DataFrame) -> tuple[str, str]:
    ends = [k for k, letter in enumerate(given) if letter == ":" and given[:k] in obs]
    if ends:
        return given[: ends[-1]], given[ends[-1] + 1 :].strip()
    raise InputError(
        f"{option} {given}: column {given.partition(':')[0]!r} not found in adata.obs; available: {list(obs.columns)}."
    )


def _known(labels: pd.Series) -> set[str]:
    """The labels of a column."""
    from velotime.inference import NO_LABEL, label_texts

    return set(label_texts(labels).tolist()) - {NO_LABEL}


def split_labels(text: str, known: set[str]) -> list[str]:
    """Split at commas, but not within quotes and not within a label that is known; blanks around labels go."""
    if '"' in text:
        return split_names(text)
    pieces, labels = text.split(","), []
    while pieces:
        joined = [",".join(pieces[:k]).strip() for k in range(len(pieces), 0, -1)]
        label = next((one for one in joined if one in known), joined[-1])
        labels.append(label)
        pieces = pieces[len(pieces) - joined.index(label) :]
    return [label for label in labels if label]


def read_names(option: str, given: str) -> tuple[str, ...]:
    """Names from a file, one or several a line and none after #, or those that are given themselves.

    Raises
    ------
    InputError
        If there are none.
    """
    path = Path(given)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else [given]
    names = [name for line in lines for name in split_names(line.partition("#")[0].replace("\t", ","))]
    if not names:
        raise InputError(f"{option} {given}: give names of genes, GENE,GENE, or a file with one a line.")
    return tuple(dict.fromkeys(names))


def split_names(text: str | None) -> list[str]:
    """Split at commas, but not within quotes; blanks around names go."""
    row = next(csv.reader([text or ""], skipinitialspace=True), [])
    return [name.strip() for name in row if name.strip()]
