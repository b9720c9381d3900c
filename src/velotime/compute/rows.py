"""Sums of rows of a matrix that stay in registers, for kernels: written in the compiler's own language.

In a loop that adds rows of one array to another the compiler cannot know that these do not overlap. It compares all of
them in front of each loop, which for short rows takes longer than the loop itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from velotime.compute.jit import COMPILED
from velotime.compute.layers import BLOCK

TOGETHER = 8  # rows that are added up before they come to the sum, so that fewer numbers are added to the large one
_REGISTER = ir.VectorType(ir.FloatType(), BLOCK)
_ALIGNED = 4  # bytes: rows may begin at any number


def add_rows(n_blocks: int) -> Callable[..., None]:
    """Make what adds ``sum_k values[v + k] matrix[indices[i + k], at]``, k below n, to ``total[at]``.

    ``at`` are so many blocks of states from ``start`` on. Called by kernels with ``total, start, indices, values, i, v,
    n, matrix``, of which total and matrix are float32; all arrays are contiguous.
    """

    def plain(total: Any, start: int, indices: Any, values: Any, i: int, v: int, n: int, matrix: Any) -> None:
        at = slice(start, start + n_blocks * BLOCK)
        total[at] += values[v : v + n].astype(np.float32) @ matrix[indices[i : i + n], at]

    def typed(
        _: Any, total: Any, start: Any, indices: Any, values: Any, i: Any, v: Any, n: Any, matrix: Any
    ) -> tuple[Any, Callable[..., Any]]:
        del start, i, v, n
        if any(array.layout != "C" for array in (total, indices, values, matrix)):
            raise TypingError("add_rows: arrays must be contiguous")
        arguments = total, types.intp, indices, values, types.intp, types.intp, types.intp, matrix
        return types.void(*arguments), lambda *call: _add_in_registers(n_blocks, *call)

    return intrinsic(typed) if COMPILED else plain


def _add_in_registers(n_blocks: int, context: Any, builder: Any, signature: Any, given: Any) -> Any:
    total, start, indices, values, i, v, n, matrix = (
        context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, given, strict=True)
    )
    whole = builder.and_(n, _constant(-TOGETHER))
    width = cgutils.unpack_tuple(builder, matrix.shape)[1]
    entries = _Entries(builder, (indices.data, signature.args[2].dtype, i), (values.data, v), matrix.data, width)
    columns = [builder.add(start, _constant(block * BLOCK)) for block in range(n_blocks)]
    sums = [cgutils.alloca_once_value(builder, _load(builder, total.data, column)) for column in columns]
    with cgutils.for_range_slice(builder, _constant(0), whole, _constant(TOGETHER), whole.type) as (k, _):
        entries.add([builder.add(k, _constant(more)) for more in range(TOGETHER)], columns, sums)
    with cgutils.for_range_slice(builder, whole, n, _constant(1), n.type) as (k, _):
        entries.add([k], columns, sums)
    for column, place in zip(columns, sums, strict=True):
        builder.store(builder.load(place), _at(builder, total.data, column, _REGISTER), align=_ALIGNED)
    return context.get_dummy_value()


@dataclass(frozen=True)
class _Entries:
    """Entries of one row of a sparse matrix, and the dense matrix that it is multiplied with.

    Attributes
    ----------
    builder
        Of the function that is compiled.
    indices, values
        Where they are and which is the first.
    matrix, width
        Where the matrix begins, and how long its rows are.
    """

    builder: Any
    indices: tuple[Any, Any, Any]
    values: tuple[Any, Any]
    matrix: Any
    width: Any

    def add(self, entries: list[Any], columns: list[Any], sums: list[Any]) -> None:
        """Add some entries, all at once, to the sums at these columns."""
        builder = self.builder
        known = [(self._value(k), self._row(k)) for k in entries]
        for column, place in zip(columns, sums, strict=True):
            parts = [(x, _load(builder, self.matrix, builder.add(row, column))) for x, row in known]
            before = builder.load(place)
            if len(parts) == 1:
                after = _multiply_and_add(builder, *parts[0], before)
            else:
                halves = [self._sum(half) for half in (parts[: TOGETHER // 2], parts[TOGETHER // 2 :])]
                after = builder.fadd(before, builder.fadd(*halves))
            builder.store(after, place)

    def _sum(self, products: list[tuple[Any, Any]]) -> Any:
        total = self.builder.fmul(*products[0])
        for pair in products[1:]:
            total = _multiply_and_add(self.builder, *pair, total)
        return total

    def _value(self, k: Any) -> Any:
        """As float32, in all places of a register."""
        builder, (data, first) = self.builder, self.values
        value = builder.load(builder.gep(data, [builder.add(first, k)]))
        value = value if value.type == ir.FloatType() else builder.uitofp(value, ir.FloatType())
        one = builder.insert_element(ir.Constant(_REGISTER, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        places = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), [0] * BLOCK)
        return builder.shuffle_vector(one, ir.Constant(_REGISTER, ir.Undefined), places)

    def _row(self, k: Any) -> Any:
        """Where the row of the matrix begins."""
        builder, (data, kind, first) = self.builder, self.indices
        index = builder.load(builder.gep(data, [builder.add(first, k)]))
        whole = builder.sext(index, first.type) if kind.signed else builder.zext(index, first.type)
        return builder.mul(whole, self.width)


def _constant(value: int) -> Any:
    return ir.Constant(cgutils.intp_t, value)


def _at(builder: Any, data: Any, index: Any, kind: Any) -> Any:
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _load(builder: Any, data: Any, index: Any) -> Any:
    """A register of numbers."""
    return builder.load(_at(builder, data, index, _REGISTER), align=_ALIGNED)


def _multiply_and_add(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """``x y + z``, in one rounding where the processor can."""
    kind = ir.FunctionType(_REGISTER, [_REGISTER] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{BLOCK}f32")
    return builder.call(function, [x, y, z])
