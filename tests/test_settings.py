"""Every setting of every dataclass: allowed at its bounds, refused beyond them, in one form of error."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields

import numpy as np
import pytest

import velotime as vt
from velotime import InputError
from velotime import simulation as sim
from velotime._check import Settings
from velotime.metrics import GeneSpace

TINY = 1e-300
NOT_WHOLE = (2.5, 2.0, "2", True, None, np.nan, [2])
NOT_NUMBER = ("1", True, None, np.nan, np.inf, [1.0], 1j)
NOT_NAME = ("", 3, None, b"a", ["a"], True)
NOT_NAMES = (3, None, [3], [""], [None])


def whole(least):
    """From a bound on, as Python's and as NumPy's whole number."""
    return (least, np.int32(least + 1), np.uint8(least)), (least - 1, *NOT_WHOLE)


def number(allowed, refused):
    return (*allowed, np.float32(allowed[0])), (*refused, *NOT_NUMBER)


POSITIVE = number((1.0, TINY, 1e300), (0.0, -1.0))
FROM_ZERO = number((0.0, 3, 1e300), (-TINY, -1))
SHARE = number((0, 0.5, 1), (-TINY, 1.0000001))
OPEN_SHARE = number((0.5, TINY, 1 - 1e-12), (0, 1, -1, 2))
OPTIONAL_NAME = (("day", None), ("", 3, ["a"], True))
COLUMN = (("clusters", np.str_("a b")), NOT_NAME)

#: Of each field: what is allowed, and what is not.
TABLE = {
    "Terminals": {
        "column": COLUMN,
        "labels": (
            (["a", "b"], ("a", "b", "c"), [1, 2], np.array(["a", "b"]), {"a": 0, "b": 1}),
            (["a"], "a", ["a", "a"], [1, "1"], [], None, [None, "a"], ["", "a"]),
        ),
        "strength": OPEN_SHARE,
    },
    "Root": {
        "column": (("clusters",), NOT_NAME),  # None leaves a label without its column
        "label": (("a", 3, np.int64(3), 3.0, True), ("", None, ["a"], np.nan)),
        "cell": ((None,), ("", 3, ["a"], "cell_1")),  # a cell beside a label
        "strength": OPEN_SHARE,
    },
    "Ends": {
        "column": COLUMN,
        "labels": ((["a"], "a", ["a", "b"], 3, np.array([1, 2])), (["a", "a"], [], None, [None], [["a"]])),
        "strength": OPEN_SHARE,
    },
    "Markers": {
        "early": ((["a"], "a", ("a", "b"), np.array(["a"])), ([], ["a", "a"], *NOT_NAMES)),
        "late": ((["x"], "x", ()), (["a"], *NOT_NAMES)),  # "a" is early already
        "strength": OPEN_SHARE,
    },
    "TimeLabels": {
        "column": COLUMN,
        "order": (((), ["a", "b"], [1, 2.5], range(3)), (["a"], "a", ["a", "a"], None, [None, "a"])),
        "strength": OPEN_SHARE,
    },
    "LearnedPrior": {
        "concentration": FROM_ZERO,
        "smoothness": number((0, 0.5), (-TINY, 0.5000001)),
        "by": OPTIONAL_NAME,
    },
    "FixedPrior": {
        "weights": (
            ([1, 1], (0, 1), np.ones(5), range(3)),
            ([1], [], [0, 0], [1, -1], [1, np.nan], [1, np.inf], "11", 3, None, np.ones((2, 2)), [True, False]),
        )
    },
    "UniformPrior": {},
    "GrowingPrior": {},
    "Line": {},
    "CountDrop": {},
    "Cycle": {
        "origin": (
            (None, vt.CountDrop(), vt.Markers("a"), vt.Markers(late="b")),
            ("a", vt.Markers, vt.Ends("c", "a"), ["a"]),
        ),
        "not_cycling": ((True, False), (None, "yes", 1)),
    },
    "NegativeBinomial": {
        "least": number((20.0, TINY), (0, -1, 20.1)),
        "most": number((1.0, 0.01, 1e300), (0, 0.009)),
    },
    "Poisson": {},
    "Gaussian": {"least": OPEN_SHARE},
    "SoftEM": {
        "noise": (
            (vt.Poisson(), vt.Gaussian(), vt.NegativeBinomial()),
            ("poisson", vt.Poisson, None, vt.UniformPrior(), sim.PoissonCounts()),
        ),
        "prior": (
            (vt.LearnedPrior(), vt.UniformPrior(), vt.FixedPrior()),
            ("learned", vt.LearnedPrior, None, vt.Poisson()),
        ),
        "n_times": whole(8),
        "max_cells": ((None, *whole(20)[0]), (19, *(v for v in NOT_WHOLE if v is not None))),
        "backend": ((None, vt.ArrayBackend()), ("torch", vt.ArrayBackend, 3)),
        "hottest": number((1, 1e6), (1 - 1e-12, 0, -1)),
        "annealing": whole(0),
        "max_iterations": whole(1),
        "tolerance": FROM_ZERO,
        "start_cells": whole(20),
        "start_genes": whole(1),
        "start_times": whole(8),
        "n_lineages": ((*whole(1)[0], "auto"), (*whole(1)[1], "all")),
        "most_lineages": whole(1),
        "lineages": (
            (None, vt.Terminals("c", ["a", "b"])),
            (["a", "b"], vt.Terminals, vt.Root("c", "a"), ("c", ["a", "b"])),
        ),
        "root": ((None, vt.Root("c", "a"), vt.Root(cell="a")), ("a", ("c", "a"), vt.Root, vt.Ends("c", "a"))),
        "knowledge": (
            ((), [], vt.Ends("c", "a"), [vt.Ends("c", "a"), vt.TimeLabels("day")], (vt.Markers("a"),)),
            (vt.Ends, "day", None, [vt.Root("c", "a")], vt.Terminals("c", ["a", "b"]), ["day"]),
        ),
        "samples": OPTIONAL_NAME,
        "without": (((), ["a"], "a", ("a", "b"), np.array(["a"])), NOT_NAMES),
        "background": (
            (vt.NoBackground(), vt.LearnedBackground()),
            (None, True, vt.NoBackground, 0.1, vt.UniformPrior()),
        ),
        "clock": ((vt.Line(), vt.Cycle()), ("cycle", vt.Cycle, None, vt.UniformPrior())),
    },
    "NoBackground": {},
    "LearnedBackground": {"least_gain": FROM_ZERO},
    "GeneClock": {
        "last": ((vt.ExactTimes(), vt.ExplicitTimes(), vt.PosteriorTimes()), (vt.ExactTimes, "exact", None, 3)),
        "explicit_iterations": whole(0),
        "max_iterations": whole(0),
        "tolerance": FROM_ZERO,
    },
    "ArrayBackend": {
        "library": (("torch", "cupy", "numpy"), ("jax", None, 3)),
        "device": (("cuda", "cpu"), ("", None, 0)),
        "block": whole(1),
    },
    "ExplicitTimes": {},
    "ExactTimes": {},
    "PosteriorTimes": {},
    "SharedClock": {
        "explicit_iterations": whole(0),
        "max_iterations": whole(0),
        "tolerance": FROM_ZERO,
        "n_times": whole(8),
    },
    "TwoStageEM": {
        "clock": (
            ("gene", "shared", vt.GeneClock(), vt.SharedClock()),
            ("soft", "", vt.GeneClock, None, vt.SoftEM(), vt.ExactTimes()),
        )
    },
    "MixtureEM": {
        "n_components": whole(1),
        "max_iterations": whole(1),
        "tolerance": FROM_ZERO,
        "least": number((0, 0.999), (-TINY, 1)),
    },
    "GeneMix": {  # the others add up to 1 without it
        name: number((0,), (-TINY, 0.1, 1.1)) for name in ("induction", "repression", "pulse", "dip", "flat")
    },
    "LogNormalRates": {"beta": POSITIVE, "gamma": POSITIVE, "sd": FROM_ZERO},
    "Branches": {
        "times": (
            ([0.5], (TINY, 1 - 1e-12), np.array([0.1, 0.2, 0.3, 0.4])),
            ([], [0], [1], [0.5, np.nan], 0.5, None, "0.5", [0.1] * 5),
        ),
        "fate_genes": SHARE,
    },
    "Samples": {
        "per_condition": (([1], (3, 3), np.array([2])), ([], [0], 3, None, [1.5])),
        **dict.fromkeys(("capture_unspliced", "capture_spliced", "dispersion", "composition", "replicates"), FROM_ZERO),
        "condition_composition": number((-2, 0, 3), ()),
        "changed": SHARE,
        "fold": POSITIVE,
        "speed": POSITIVE,
        "sizes": (((), [1], (0.5, 2)), ([0], 3, None)),
    },
    "PoissonCounts": {},
    "NegativeBinomialCounts": {"dispersion": POSITIVE},
    "GaussianValues": {"sd": FROM_ZERO},
    "LogNormalDepth": {"sd": FROM_ZERO},
    "Ambient": {name: number((0, 0.5, 1 - 1e-12), (-TINY, 1, 1.5)) for name in ("unspliced", "spliced")},
    "UniformTimes": {},
    "ClumpedTimes": {
        "centres": (([0, 1], (0.5,), np.array([0.2])), ([], [-0.1], [1.1], [np.nan], 0.5, None)),
        "width": FROM_ZERO,
        "background": SHARE,
    },
    "GrowingTimes": {},
    "Cycling": {"flat": SHARE, "growth": FROM_ZERO, "smooth": SHARE, "not_cycling": SHARE},
    "GappedTimes": {
        "start": number((0, 0.5), (-TINY, 0.6, 0.7)),  # the gap stops at 0.6
        "stop": number((1, 0.5), (0.4, 0.3, 1.1)),
    },
    "ExponentialTimes": {"rate": POSITIVE},
    "GeneSpace": {"genes": COLUMN, "spliced": OPTIONAL_NAME},
}
#: What else a field needs to stand.
BESIDE = {
    "Terminals": {"column": "c", "labels": ["a", "b"]},
    "Root": {"column": "c", "label": "a"},
    "Ends": {"column": "c", "labels": ["a"]},
    "Markers": {"early": ["a"]},
    "TimeLabels": {"column": "c"},
}
WITHOUT = {
    "induction": {"repression": 0.5, "pulse": 0.5, "dip": 0, "flat": 0},
    "repression": {"induction": 0.5, "pulse": 0.5, "dip": 0, "flat": 0},
    "pulse": {"induction": 0.5, "repression": 0.5, "dip": 0, "flat": 0},
    "dip": {"induction": 0.5, "repression": 0.5, "pulse": 0, "flat": 0},
    "flat": {"induction": 0.5, "repression": 0.5, "pulse": 0, "dip": 0},
}


def subclasses(kind):
    return {kind, *(below for child in kind.__subclasses__() for below in subclasses(child))}


KINDS = {
    kind.__name__: kind
    for kind in subclasses(Settings)
    if "__dataclass_fields__" in vars(kind) and kind.__module__.startswith("velotime")
}


def made(kind, name, value):
    beside = BESIDE.get(kind, {}) | (WITHOUT[name] if kind == "GeneMix" else {})
    return KINDS[kind](**(beside | {name: value}))


def cases(side):
    return [
        pytest.param(kind, name, value, id=f"{kind}-{name}-{k}")
        for kind, rows in TABLE.items()
        for name, row in rows.items()
        for k, value in enumerate(row[side])
    ]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_field_has_a_rule_and_a_row(kind):
    names = {own.name for own in fields(KINDS[kind])}
    assert set(TABLE[kind]) == names
    assert set(KINDS[kind].rules) == names


def test_all_public_settings_are_checked():
    public = [getattr(room, name) for room in (vt, sim, vt.metrics) for name in room.__all__]
    results = {"CircularCorrelation", "CircularError", "RankCorrelation"}
    unchecked = {
        kind.__name__
        for kind in public
        if inspect.isclass(kind) and hasattr(kind, "__dataclass_fields__") and not issubclass(kind, Settings)
    }
    assert unchecked <= results
    assert GeneSpace.__name__ in KINDS


@pytest.mark.parametrize(("kind", "name", "value"), cases(0))
def test_allowed_at_the_bounds(kind, name, value):
    kept = getattr(made(kind, name, value), name)
    if isinstance(value, np.generic) and not isinstance(value, np.str_):
        assert not isinstance(kept, np.generic)  # settings are written to files, and compared
    if isinstance(value, str | float | int) and isinstance(kept, type(value)):
        assert kept == value


@pytest.mark.parametrize(("kind", "name", "value"), cases(1))
def test_refused_beyond_them(kind, name, value):
    with pytest.raises(InputError) as caught:
        made(kind, name, value)
    assert kind in str(caught.value)
    assert name in str(caught.value)


def test_defaults_pass_their_own_rules():
    for kind in KINDS.values():
        for own in fields(kind):
            if own.default is not MISSING:
                assert kind.rules[own.name].accept(own.default) == own.default


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: vt.SoftEM(n_times=7), "SoftEM(n_times=7): must be a whole number, 8 or more. The default is 64."),
        (
            lambda: vt.SoftEM(noise=vt.Poisson),
            "SoftEM(noise=Poisson): must be NegativeBinomial(), Poisson() or Gaussian(). "
            "This is the class; call it: Poisson(...).",
        ),
        (
            lambda: vt.SoftEM(root="Ductal"),
            "SoftEM(root='Ductal'): must be Root(...), or None. E.g. vt.Root('clusters', 'Ductal').",
        ),
        (
            lambda: vt.LearnedPrior(smoothness=0.6),
            "LearnedPrior(smoothness=0.6): must be a number, 0 or more and 0.5 or less. The default is 0.0.",
        ),
        (
            lambda: vt.SharedClock(0, 0),
            "SharedClock(explicit_iterations=0, max_iterations=0): one of them must be 1 or more. "
            "The defaults are 10 and 100.",
        ),
        (
            lambda: vt.FixedPrior(np.zeros((40, 40)) - 1),
            "must be a list of 2 or more values, each a number, 0 or more. The default is (1.0, 1.0).",
        ),
    ],
)
def test_errors_say_what_was_wrong_what_is_allowed_and_the_cure(make, text):
    with pytest.raises(InputError) as caught:
        make()
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_dispersion_stays_within_its_bounds(small):
    method = vt.SoftEM(
        noise=vt.NegativeBinomial(least=0.5, most=0.6),
        n_times=16,
        annealing=2,
        max_iterations=3,
        n_lineages=1,
        start_cells=60,
        start_genes=20,
        start_times=8,
    )
    vt.tl.recover_dynamics(small, method=method, progress=False)
    for name in ("fit_dispersion_u", "fit_dispersion_s"):
        found = small.var[name].dropna()
        assert found.between(0.5 - 1e-9, 0.6 + 1e-9).all()
