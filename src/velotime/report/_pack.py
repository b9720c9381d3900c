"""Numbers into few bytes: rounded, byte planes apart, deflated, base64. The page's ``data.js`` undoes it."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np

from velotime._types import FloatArray

MANTISSA = 23  # bits of a float32
TOP = {np.uint8: 255, np.uint16: 65535}


def round_bits(values: FloatArray, bits: int) -> FloatArray:
    """Float32 with so many bits of mantissa, the others 0: within ``2^-(bits + 1)`` of the value, easy to deflate."""
    raw = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    drop = MANTISSA - bits
    half = np.uint32(1 << (drop - 1))
    rounded = ((raw + half) >> np.uint32(drop)) << np.uint32(drop)
    return np.where(np.isfinite(values), rounded, raw).astype(np.uint32).view(np.float32)


def planes(values: np.ndarray[Any, Any]) -> bytes:
    """All first bytes, then all second ones, ...: bytes of one meaning stand together, little end first."""
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).ravel()
    return little.view(np.uint8).reshape(-1, little.itemsize).T.tobytes()


def deflate(raw: bytes) -> str:
    """Deflated (zlib), as base64."""
    return base64.b64encode(zlib.compress(raw, 6)).decode("ascii")


def to_whole(values: FloatArray) -> tuple[np.ndarray[Any, Any], float, float]:
    """Values as whole numbers ``q`` with ``value = low + step q``: counts up to 65,535 exactly, others in 256 steps."""
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if low == 0 and high <= TOP[np.uint16] and np.array_equal(values, np.floor(values)):
        kind = np.uint8 if high <= TOP[np.uint8] else np.uint16
        return values.astype(kind), 0.0, 1.0
    step = (high - low) / TOP[np.uint8] or 1.0
    return np.rint((values - low) / step).astype(np.uint8), low, step


def script_json(value: Any) -> str:
    """JSON that is inert between script tags: no ``<``, ``>`` or ``&`` in it, and numbers that are none become null."""
    text = json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plain(value: Any) -> Any:
    """What JSON can hold, of nested dicts, sequences, arrays and NumPy's numbers."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value
