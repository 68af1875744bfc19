"""Products of small matrices in compiled code: tiles of vectors that stay in registers (Goto and van de Geijn 2008).

Whatever the tile's width, a number of a tile is summed over k in order, a fused multiplication and addition at a time:
processors with longer registers take wider tiles and come to the same bits.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.extending import intrinsic

#: Numbers of the shortest vector in the products. Where registers are shorter, the compiler takes two.
VECTOR = 8

#: Numbers of the longest: those of AVX-512's registers, of which there are 32; with 16 shorter ones, eight.
LONG = 16 if binding.get_host_cpu_features().get("avx512f") else VECTOR

#: Rows of the second factor that are multiplied at a time: a panel of them stays in the first cache.
DEPTH = 256

#: Numbers of the second factor that stay there without being copied into one.
CACHED = 8192

#: Numbers of such a panel.
PANEL = DEPTH * 2 * LONG

#: Makes a place in a flat array unsigned: it needs no look whether it counts from the end and, unlike a slice, no count
#: of who holds the array, which for short lines took a tenth of a gradient step.
unsigned = np.uint64

#: Whether a product is added to what is there, or written: as variables, since literals would be compiled each anew.
ADD, NEW = np.int64(1), np.int64(0)

#: Sums may be reordered, the same way each time; products and sums fused; infinities and NaN are what they are.
FAST = {"reassoc", "contract", "nsz"}

#: For what compiled functions call: nothing of it is made for calls from Python.
inner = functools.partial(
    njit, cache=True, error_model="numpy", nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
)


@intrinsic
def _call_whole(typingctx):
    """Keep the function that says this out of its callers' code: it is compiled once, not once for each call."""

    def codegen(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


call_whole: Any = _call_whole


def _tile_of(rows: int, vectors: int, length: int) -> Any:
    """Return a function that writes, or adds, ``rows`` x ``vectors * length`` numbers of a product."""

    @intrinsic
    def tile(typingctx, a, a_at, a_row, a_step, b, b_at, b_row, c, c_at, c_row, depth, add):
        def codegen(context, builder, signature, arguments):
            a, a_at, a_row, a_step, b, b_at, b_row, c, c_at, c_row, depth, add = arguments
            starts = []
            for kind, array in ((signature.args[0], a), (signature.args[4], b), (signature.args[7], c)):
                starts.append(context.make_array(kind)(context, builder, array).data)
            number = context.get_value_type(signature.args[0].dtype)
            vector = ir.VectorType(number, length)
            whole = ir.IntType(64)
            name = f"llvm.fmuladd.v{length}f{signature.args[0].dtype.bitwidth}"
            found = builder.module.globals.get(name)
            fused = found or ir.Function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), length), [0] * length)
            size = signature.args[0].dtype.bitwidth // 8

            def vector_at(start, index):
                return builder.bitcast(builder.gep(start, [index]), vector.as_pointer())

            rows_of_a = [
                builder.gep(starts[0], [builder.add(a_at, builder.mul(a_row, ir.Constant(whole, row)))])
                for row in range(rows)
            ]
            places = []
            for row in range(rows):
                there = builder.add(c_at, builder.mul(c_row, ir.Constant(whole, row)))
                places.append([vector_at(starts[2], builder.add(there, ir.Constant(whole, length * v)))
                               for v in range(vectors)])  # fmt: skip
            zero = ir.Constant(vector, [0.0] * length)
            from_zero, from_c = builder.append_basic_block("from_zero"), builder.append_basic_block("from_c")
            body, after = builder.append_basic_block("depth"), builder.append_basic_block("done")
            builder.cbranch(builder.trunc(add, ir.IntType(1)), from_c, from_zero)
            builder.position_at_end(from_zero)
            builder.branch(body)  # depth is at least 1
            builder.position_at_end(from_c)
            before = [[builder.load(place, align=size) for place in row] for row in places]
            builder.branch(body)
            builder.position_at_end(body)
            at = builder.phi(whole)
            at.add_incoming(ir.Constant(whole, 0), from_zero)
            at.add_incoming(ir.Constant(whole, 0), from_c)
            sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]
            here = builder.add(b_at, builder.mul(at, b_row))
            factors = [
                builder.load(vector_at(starts[1], builder.add(here, ir.Constant(whole, length * v))), align=size)
                for v in range(vectors)
            ]
            grown = []
            step = builder.mul(at, a_step)
            for row in range(rows):
                one = builder.load(builder.gep(rows_of_a[row], [step]), align=size)
                single = builder.insert_element(ir.Constant(vector, ir.Undefined), one, ir.Constant(ir.IntType(32), 0))
                spread = builder.shuffle_vector(single, single, lanes)
                grown.append([builder.call(fused, [spread, factors[v], sums[row][v]]) for v in range(vectors)])
            following = builder.add(at, ir.Constant(whole, 1))
            at.add_incoming(following, body)
            for row in range(rows):
                for v in range(vectors):
                    sums[row][v].add_incoming(zero, from_zero)
                    sums[row][v].add_incoming(before[row][v], from_c)
                    sums[row][v].add_incoming(grown[row][v], body)
            builder.cbranch(builder.icmp_signed("<", following, depth), body, after)
            builder.position_at_end(after)
            for row in range(rows):
                for v in range(vectors):
                    builder.store(grown[row][v], places[row][v], align=size)
            return context.get_dummy_value()

        i8 = types.int64
        return types.void(a, i8, i8, i8, b, i8, i8, c, i8, i8, i8, types.boolean), codegen

    return tile


_tile_6_8, _tile_4_8, _tile_1_8 = _tile_of(6, 1, VECTOR), _tile_of(4, 1, VECTOR), _tile_of(1, 1, VECTOR)
if LONG > VECTOR:
    _tile_6_16, _tile_4_16, _tile_1_16 = _tile_of(6, 1, LONG), _tile_of(4, 1, LONG), _tile_of(1, 1, LONG)
    _tile_6_32, _tile_4_32, _tile_1_32 = _tile_of(6, 2, LONG), _tile_of(4, 2, LONG), _tile_of(1, 2, LONG)
else:
    _tile_6_16, _tile_4_16, _tile_1_16 = _tile_of(6, 2, VECTOR), _tile_of(4, 2, VECTOR), _tile_of(1, 2, VECTOR)
    _tile_6_32, _tile_4_32, _tile_1_32 = _tile_6_16, _tile_4_16, _tile_1_16  # never called


@intrinsic
def _move_square(typingctx, source, source_at, source_step, there, there_at, there_step, turned):
    """Copy a square of ``VECTOR`` x ``VECTOR`` numbers, or its transpose where ``turned`` is true."""

    def codegen(context, builder, signature, arguments):
        source, source_at, source_step, there, there_at, there_step, turned = arguments
        number = context.get_value_type(signature.args[0].dtype)
        vector, whole = ir.VectorType(number, VECTOR), ir.IntType(64)
        size = signature.args[0].dtype.bitwidth // 8
        begins = [context.make_array(kind)(context, builder, array).data
                  for kind, array in ((signature.args[0], source), (signature.args[3], there))]  # fmt: skip

        def places(begin, at, step):
            rows = [builder.add(at, builder.mul(step, ir.Constant(whole, i))) for i in range(VECTOR)]
            return [builder.bitcast(builder.gep(begin, [row]), vector.as_pointer()) for row in rows]

        rows = [builder.load(place, align=size) for place in places(begins[0], source_at, source_step)]
        columns = list(rows)
        half = VECTOR // 2
        while half:  # blocks off the diagonal change places, then blocks within blocks
            first = [i if not i & half else VECTOR + i - half for i in range(VECTOR)]
            second = [i + half if not i & half else VECTOR + i for i in range(VECTOR)]
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), VECTOR), mask) for mask in (first, second)]
            for i in range(VECTOR):
                if not i & half:
                    a, b = columns[i], columns[i + half]
                    columns[i], columns[i + half] = (builder.shuffle_vector(a, b, mask) for mask in masks)
            half //= 2
        condition = builder.trunc(turned, ir.IntType(1))
        for place, column, row in zip(places(begins[1], there_at, there_step), columns, rows, strict=True):
            builder.store(builder.select(condition, column, row), place, align=size)
        return context.get_dummy_value()

    i8 = types.int64
    return types.void(source, i8, i8, there, i8, i8, types.boolean), codegen


_move: Any = _move_square


@intrinsic
def _copy_vector(typingctx, source, source_at, there, there_at):
    """Copy ``VECTOR`` numbers."""

    def codegen(context, builder, signature, arguments):
        source, source_at, there, there_at = arguments
        vector = ir.VectorType(context.get_value_type(signature.args[0].dtype), VECTOR).as_pointer()
        size = signature.args[0].dtype.bitwidth // 8
        places = []
        for kind, array, at in ((signature.args[0], source, source_at), (signature.args[2], there, there_at)):
            begin = context.make_array(kind)(context, builder, array).data
            places.append(builder.bitcast(builder.gep(begin, [at]), vector))
        builder.store(builder.load(places[0], align=size), places[1], align=size)
        return context.get_dummy_value()

    return types.void(source, types.int64, there, types.int64), codegen


copy_vector: Any = _copy_vector


def exchange_of(actions: int, together: bool) -> Any:
    """Return a copy of ``VECTOR`` numbers of so many actions, from one number of each after the other to one action
    after the other (``apart`` numbers from each to the next), or where ``together`` is true the other way.
    """

    @intrinsic
    def exchange(typingctx, source, source_at, result, result_at, apart):
        def codegen(context, builder, signature, arguments):
            source, source_at, result, result_at, apart = arguments
            number, whole, place = context.get_value_type(signature.args[0].dtype), ir.IntType(64), ir.IntType(32)
            size, vector = signature.args[0].dtype.bitwidth // 8, ir.VectorType(number, VECTOR)
            row = ir.VectorType(number, VECTOR * actions)
            begins = [context.make_array(kind)(context, builder, array).data
                      for kind, array in ((signature.args[0], source), (signature.args[2], result))]  # fmt: skip

            def at(kind, begin, index):
                return builder.bitcast(builder.gep(begin, [index]), kind.as_pointer())

            def places(begin, first):
                steps = [builder.add(first, builder.mul(apart, ir.Constant(whole, a))) for a in range(actions)]
                return [at(vector, begin, step) for step in steps]

            def shuffled(a, b, mask):
                return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(place, len(mask)), mask))

            if not together:
                read = builder.load(at(row, begins[0], source_at), align=size)
                for a, there in enumerate(places(begins[1], result_at)):
                    part = shuffled(read, read, [a + n * actions for n in range(VECTOR)])
                    builder.store(part, there, align=size)
                return context.get_dummy_value()
            parts = [builder.load(there, align=size) for there in places(begins[0], source_at)]
            wide = [shuffled(part, part, [n if n < VECTOR else 0 for n in range(VECTOR * actions)]) for part in parts]
            made = wide[0]
            for a in range(1, actions):  # by action, one vector behind the other
                begin = VECTOR * actions - VECTOR * a
                made = shuffled(made, wide[a], [n if n < VECTOR * a else begin + n for n in range(VECTOR * actions)])
            mixed = shuffled(made, made, [a * VECTOR + n for n in range(VECTOR) for a in range(actions)])
            builder.store(mixed, at(row, begins[1], result_at), align=size)
            return context.get_dummy_value()

        i8 = types.int64
        return types.void(source, i8, result, i8, i8), codegen

    return exchange


@inner()
def _pack(b, at, b_row, b_step, panel, width, deep):
    """Write ``panel[k, v] = b[at + k * b_row + v * b_step]``, ``[deep, width]``; one of the strides is 1."""
    whole = deep - deep % VECTOR
    for v in range(0, width, VECTOR):
        for k in range(0, whole, VECTOR):
            if b_step == 1:
                _move(b, at + k * b_row + v, b_row, panel, k * width + v, width, False)
            else:
                _move(b, at + k + v * b_step, b_step, panel, k * width + v, width, True)
        for k in range(whole, deep):
            for i in range(v, v + VECTOR):
                panel[k * width + i] = b[at + k * b_row + i * b_step]


@inner(fastmath=FAST)
def product(a, a_row, a_step, b, b_row, b_step, c, c_row, rows, columns, depth, panel, add):
    """Write ``c[i, j] = sum over k of a[i, k] b[k, j]``, or add it to c; flat arrays with their strides.

    Args:
        a: Flat; ``a[i, k]`` lies at ``i * a_row + k * a_step``.
        b: Flat; ``b[k, j]`` at ``k * b_row + j * b_step``; one of the two is 1.
        c: Flat; ``c[i, j]`` at ``i * c_row + j``.
        rows: Of a and c.
        columns: Of b and c.
        depth: Columns of a, rows of b, >= 1.
        panel: ``[PANEL]``, overwritten.
        add: 1 where c has a value already, else 0.
    """
    call_whole()
    for begin in range(0, depth, DEPTH):
        deep, more = min(DEPTH, depth - begin), add > 0 or begin > 0
        packed = b_step != 1 or b_row * deep > CACHED
        i = j = 0
        while j + VECTOR <= columns and i < rows:
            left, here, there = rows - i, i * a_row + begin * a_step, i * c_row + j
            tall = 6 if left >= 6 and left != 8 else 4 if left >= 4 else 1
            width = VECTOR if j + 16 > columns else 32 if LONG > VECTOR and j + 32 <= columns else 16
            at = begin * b_row + j * b_step
            if packed and i == 0:
                _pack(b, at, b_row, b_step, panel, width, deep)
            source, source_at, source_row = (panel, 0, width) if packed else (b, at, b_row)
            if width == 32:
                if tall == 6:
                    _tile_6_32(a, here, a_row, a_step, source, source_at, source_row, c, there, c_row, deep, more)
                elif tall == 4:
                    _tile_4_32(a, here, a_row, a_step, source, source_at, source_row, c, there, c_row, deep, more)
                else:
                    _tile_1_32(a, here, a_row, a_step, source, source_at, source_row, c, there, c_row, deep, more)
            elif width == 16:
                if tall == 6:
                    _tile_6_16(a, here, a_row, a_step, source, source_at, source_row, c, there, c_row, deep, more)
                elif tall == 4:
                    _tile_4_16(a, here, a_row, a_step, source, source_at, source_row, c, there, c_row, deep, more)
                else:
                    _tile_1_16(a, here, a_row, a_step, source, source_at, source_row, c, there, c_row, deep, more)
            else:
                if tall == 6:
                    _tile_6_8(a, here, a_row, a_step, source, source_at, source_row, c, there, c_row, deep, more)
                elif tall == 4:
                    _tile_4_8(a, here, a_row, a_step, source, source_at, source_row, c, there, c_row, deep, more)
                else:
                    _tile_1_8(a, here, a_row, a_step, source, source_at, source_row, c, there, c_row, deep, more)
            if packed:  # all rows for a panel; else row by row, as c lies in memory
                i += tall
                if i >= rows:
                    i, j = 0, j + width
            else:
                j += width
                if j + VECTOR > columns:
                    i, j = i + tall, 0
        j = columns - columns % VECTOR
        while j < columns:
            for k in range(deep):
                panel[k] = b[(begin + k) * b_row + j * b_step]
            for i in range(rows):
                total = panel.dtype.type(0)
                here = i * a_row + begin * a_step
                if a_step == 1:
                    first = unsigned(here)
                    for k in range(unsigned(deep)):
                        total += a[first + k] * panel[k]
                else:
                    for k in range(deep):
                        total += a[here + k * a_step] * panel[k]
                c[i * c_row + j] = c[i * c_row + j] + total if more else total
            j += 1
