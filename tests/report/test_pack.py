"""Packed numbers, unpacked as the page does it."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest

from velotime.report._pack import deflate, planes, round_bits, script_json, to_whole


def unpack(text, kind):
    raw = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)
    size = np.dtype(kind).itemsize
    return np.ascontiguousarray(raw.reshape(size, -1).T).view(kind).ravel()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_planes_and_back(kind):
    values = np.random.default_rng(0).uniform(0, 200, 77).astype(kind)
    np.testing.assert_array_equal(unpack(deflate(planes(values)), kind), values)


def test_rounding_is_as_close_as_it_says():
    values = np.random.default_rng(0).lognormal(0, 5, 1000) * np.resize([1, -1], 1000)
    for bits in (6, 11):
        assert np.abs(round_bits(values, bits) / values - 1).max() <= 2.0 ** -(bits + 1) * 1.001
    odd = np.array([np.nan, np.inf, -np.inf, 0.0])
    np.testing.assert_array_equal(round_bits(odd, 6), odd)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0, 3, 255], np.uint8), ([0, 3, 256], np.uint16), ([0.0, 0.0], np.uint8), ([0, 65535], np.uint16)],
)
def test_counts_are_exact(values, kind):
    q, low, step = to_whole(np.array(values, dtype=float))
    assert q.dtype == kind
    np.testing.assert_array_equal(low + step * q, values)


@pytest.mark.parametrize("values", [[0.5, 1.25, 100.0], [-3.0, 2.0], [0, 70_000]])
def test_other_values_are_within_half_a_step(values):
    q, low, step = to_whole(np.array(values, dtype=float))
    assert np.abs(low + step * q - values).max() <= step / 2 + 1e-9
    assert step <= (max(values) - min([0, *values])) / 255


def test_json_is_inert_in_a_script_and_whole():
    value = {"a</script>": ["<!--", "&", "\u2028", np.float64("nan"), np.int64(3), np.array([1.5, 2.0])]}
    text = script_json(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a</script>": ["<!--", "&", "\u2028", None, 3, [1.5, 2.0]]}
