"""Products of small matrices in compiled code: tiles of vectors that stay in registers (Goto and van de Geijn 2008)."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

#: Numbers of a vector in the products. Where registers are shorter, the compiler takes two.
VECTOR = 8

#: Sums may be reordered, the same way each time; products and sums fused; infinities and NaN are what they are.
FAST = {"reassoc", "contract", "nsz"}


def _tile_of(rows: int, vectors: int) -> Any:
    """Return a function that writes ``rows`` x ``vectors * VECTOR`` numbers of a product."""

    @intrinsic
    def tile(typingctx, a, a_at, a_row, a_step, b, b_at, b_row, c, c_at, c_row, depth):
        def codegen(context, builder, signature, arguments):
            a, a_at, a_row, a_step, b, b_at, b_row, c, c_at, c_row, depth = arguments
            starts = []
            for kind, array in ((signature.args[0], a), (signature.args[4], b), (signature.args[7], c)):
                starts.append(context.make_array(kind)(context, builder, array).data)
            number = context.get_value_type(signature.args[0].dtype)
            vector = ir.VectorType(number, VECTOR)
            whole = ir.IntType(64)
            name = f"llvm.fmuladd.v{VECTOR}f{signature.args[0].dtype.bitwidth}"
            found = builder.module.globals.get(name)
            fused = found or ir.Function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), VECTOR), [0] * VECTOR)
            size = signature.args[0].dtype.bitwidth // 8

            def vector_at(start, index):
                return builder.bitcast(builder.gep(start, [index]), vector.as_pointer())

            rows_of_a = [
                builder.gep(starts[0], [builder.add(a_at, builder.mul(a_row, ir.Constant(whole, row)))])
                for row in range(rows)
            ]
            before = builder.block
            body, after = builder.append_basic_block("depth"), builder.append_basic_block("done")
            builder.branch(body)  # depth is at least 1
            builder.position_at_end(body)
            at = builder.phi(whole)
            at.add_incoming(ir.Constant(whole, 0), before)
            sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]
            here = builder.add(b_at, builder.mul(at, b_row))
            factors = [
                builder.load(vector_at(starts[1], builder.add(here, ir.Constant(whole, VECTOR * v))), align=size)
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
            zero = ir.Constant(vector, [0.0] * VECTOR)
            for row in range(rows):
                for v in range(vectors):
                    sums[row][v].add_incoming(zero, before)
                    sums[row][v].add_incoming(grown[row][v], body)
            builder.cbranch(builder.icmp_signed("<", following, depth), body, after)
            builder.position_at_end(after)
            for row in range(rows):
                there = builder.add(c_at, builder.mul(c_row, ir.Constant(whole, row)))
                for v in range(vectors):
                    place = vector_at(starts[2], builder.add(there, ir.Constant(whole, VECTOR * v)))
                    builder.store(grown[row][v], place, align=size)
            return context.get_dummy_value()

        i8 = types.int64
        return types.void(a, i8, i8, i8, b, i8, i8, c, i8, i8, i8), codegen

    return tile


_tile_6_2, _tile_4_2, _tile_1_2 = _tile_of(6, 2), _tile_of(4, 2), _tile_of(1, 2)
_tile_6_1, _tile_4_1, _tile_1_1 = _tile_of(6, 1), _tile_of(4, 1), _tile_of(1, 1)


@njit(cache=True, fastmath=FAST, error_model="numpy", nogil=True)
def product(a, a_at, a_row, a_step, b, b_at, b_row, c, c_at, c_row, rows, columns, depth, scratch):
    """Write ``c[i, j] = sum over k of a[i, k] b[k, j]``; flat arrays, and in each where it begins and its strides.

    Args:
        a: Flat; ``a[i, k]`` lies at ``a_at + i * a_row + k * a_step``.
        b: Flat; ``b[k, j]`` at ``b_at + k * b_row + j``.
        c: Flat; ``c[i, j]`` at ``c_at + i * c_row + j``.
        rows: Of a and c.
        columns: Of b and c.
        depth: Columns of a, rows of b, >= 1.
        scratch: ``[depth]``, overwritten.
    """
    j = 0
    while j + VECTOR <= columns:
        vectors = 2 if j + 2 * VECTOR <= columns else 1
        i = 0
        while i < rows:
            left, here, there = rows - i, a_at + i * a_row, c_at + i * c_row + j
            if vectors == 2:
                if left >= 6:
                    _tile_6_2(a, here, a_row, a_step, b, b_at + j, b_row, c, there, c_row, depth)
                elif left >= 4:
                    _tile_4_2(a, here, a_row, a_step, b, b_at + j, b_row, c, there, c_row, depth)
                else:
                    _tile_1_2(a, here, a_row, a_step, b, b_at + j, b_row, c, there, c_row, depth)
            elif left >= 6:
                _tile_6_1(a, here, a_row, a_step, b, b_at + j, b_row, c, there, c_row, depth)
            elif left >= 4:
                _tile_4_1(a, here, a_row, a_step, b, b_at + j, b_row, c, there, c_row, depth)
            else:
                _tile_1_1(a, here, a_row, a_step, b, b_at + j, b_row, c, there, c_row, depth)
            i += 6 if left >= 6 else 4 if left >= 4 else 1
        j += vectors * VECTOR
    while j < columns:
        for k in range(depth):
            scratch[k] = b[b_at + k * b_row + j]
        for i in range(rows):
            total = scratch.dtype.type(0)
            begin = a_at + i * a_row
            if a_step == 1:
                line = a[begin : begin + depth]
                for k in range(depth):
                    total += line[k] * scratch[k]
            else:
                for k in range(depth):
                    total += a[begin + k * a_step] * scratch[k]
            c[c_at + i * c_row + j] = total
        j += 1
