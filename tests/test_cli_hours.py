"""Half-lives and labelled counts on the command line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from velotime import InputError
from velotime.cli.hours import known_hours, read_half_lives, to_hours


def test_a_table_of_half_lives_gives_hours(drawn, tmp_path, capsys):
    known = pd.DataFrame({"half_life": 48 * np.log(2) / drawn.var["fit_gamma"], "note": "x"}, drawn.var_names)
    known.to_csv(tmp_path / "known.csv")
    known.to_csv(tmp_path / "known.tsv", sep="\t")
    for name in ("known.csv", "known.tsv"):
        to_hours(drawn, known_hours(tmp_path / name, None, None, None))
        assert drawn.uns["real_time"]["hours_per_clock"] == pytest.approx(48, rel=0.05)
    to_hours(drawn, known_hours(None, None, None, None))
    to_hours(drawn, {"half_lives": known["half_life"].iloc[:3]})
    assert "Warning: to_real_time: half-lives are given of 3 of the 12 fitted genes" in capsys.readouterr().err


def test_what_is_no_table_of_half_lives_is_told_before_the_fit(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_half_lives(tmp_path / "none.csv")
    pd.DataFrame({"half_life": ["long"]}, ["a"]).to_csv(tmp_path / "words.csv")
    with pytest.raises(InputError, match=r"half-lives in hours.*no numbers"):
        read_half_lives(tmp_path / "words.csv")


def test_labelled_counts_are_layers_and_hours(drawn, capsys):
    known = known_hours(None, "new_unspliced, new_spliced", "2.5", "plate")
    assert known == {"labelled": ("new_unspliced", "new_spliced"), "hours": 2.5, "samples": "plate"}
    assert known_hours(None, "a,b", "pulse", None)["hours"] == "pulse"
    drawn.obs["plate"] = "one"
    to_hours(drawn, known)
    assert "Warning: layer 'new_unspliced' not found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, "a,b", None, None), "go together: give both"),
        ((None, None, "2", None), "go together: give both"),
        ((None, "a", "2", None), "give two layers"),
        (("x.csv", "a,b", "2", None), "leave the other out"),
    ],
)
def test_labels_that_are_not_told_in_full(given, message):
    with pytest.raises(InputError, match=message):
        known_hours(*given)
