"""Half-lives on the command line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from velotime import InputError
from velotime.cli.hours import read_half_lives, to_hours


def test_a_table_of_half_lives_gives_hours(drawn, tmp_path, capsys):
    known = pd.DataFrame({"half_life": 48 * np.log(2) / drawn.var["fit_gamma"], "note": "x"}, drawn.var_names)
    known.to_csv(tmp_path / "known.csv")
    known.to_csv(tmp_path / "known.tsv", sep="\t")
    for name in ("known.csv", "known.tsv"):
        to_hours(drawn, read_half_lives(tmp_path / name))
        assert drawn.uns["real_time"]["hours_per_clock"] == pytest.approx(48, rel=0.05)
    to_hours(drawn, read_half_lives(None))
    to_hours(drawn, known["half_life"].iloc[:3])
    assert "Warning: to_real_time: half-lives are given of 3 of the 12 fitted genes" in capsys.readouterr().err


def test_what_is_no_table_of_half_lives_is_told_before_the_fit(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_half_lives(tmp_path / "none.csv")
    pd.DataFrame({"half_life": ["long"]}, ["a"]).to_csv(tmp_path / "words.csv")
    with pytest.raises(InputError, match=r"half-lives in hours.*no numbers"):
        read_half_lives(tmp_path / "words.csv")
