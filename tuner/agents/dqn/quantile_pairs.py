"""The loss of quantile regression in registers: each quantile meets each target.

A vector of quantiles with one target at a time, all sums in registers, takes less time than sorting does, up to a
hundred quantiles and more.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tuner.agents.dqn.products import VECTOR


def pairs_of(vectors: int) -> Any:
    """Return a function that meets ``vectors * VECTOR`` quantiles theta, a block of a row, with all targets y.

    With ``u = y - theta`` and its clipped value c, which is the slope of the loss, four sums over the targets stay in
    registers for each quantile: of c, of c where u is positive, of the loss ``c (u - c / 2)``, and of that where u is
    positive. The gradient takes the place of the quantiles; their losses and they themselves are added to ``sums``.

    Additions and comparisons share two of the four units of AMD's processors: so the sum of c is one of products with
    1, and the greater of c and 0 that of two whole numbers; the bits are those of the plain operations.
    """

    @intrinsic
    def pairs(typingctx, thetas, begin, block, targets, count, bound, levels, padded, part, sums):
        def codegen(context, builder, signature, arguments):
            thetas, begin, block, targets, count, bound, levels, padded, part, sums = arguments
            kinds = (signature.args[0], signature.args[3], signature.args[6], signature.args[9])
            theta_at, target_at, level_at, sums_at = (
                context.make_array(kind)(context, builder, array).data
                for kind, array in zip(kinds, (thetas, targets, levels, sums), strict=True)
            )
            number, whole = context.get_value_type(kinds[0].dtype), ir.IntType(64)
            width = kinds[0].dtype.bitwidth
            size, vector, bits = width // 8, ir.VectorType(number, VECTOR), ir.VectorType(ir.IntType(width), VECTOR)
            name = f"llvm.fmuladd.v{VECTOR}f{width}"
            found = builder.module.globals.get(name)
            fused = found or ir.Function(builder.module, ir.FunctionType(vector, [vector] * 3), name)

            def spread(value):
                single = builder.insert_element(
                    ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
                )
                return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(ir.IntType(32), VECTOR), None))

            def extreme(sign, a, b):
                return builder.select(builder.fcmp_ordered(sign, a, b), a, b)

            def positive(a):
                whole_numbers, none = builder.bitcast(a, bits), ir.Constant(bits, None)
                above = builder.icmp_signed(">", whole_numbers, none)
                return builder.bitcast(builder.select(above, whole_numbers, none), vector)

            def vector_at(start, index, v):
                place = builder.add(index, ir.Constant(whole, VECTOR * v))
                return builder.bitcast(builder.gep(start, [place]), vector.as_pointer())

            def level(row, v):
                there = builder.add(block, builder.mul(padded, ir.Constant(whole, row)))
                return builder.load(vector_at(level_at, there, v), align=size)

            here = builder.add(begin, block)
            own = [builder.load(vector_at(theta_at, here, v), align=size) for v in range(vectors)]
            most = spread(bound)
            least, zero, half = builder.fneg(most), ir.Constant(vector, None), ir.Constant(vector, [-0.5] * VECTOR)
            one = spread(builder.load(builder.gep(level_at, [builder.mul(padded, ir.Constant(whole, 2))]), align=size))
            before = builder.block
            body, after = builder.append_basic_block("targets"), builder.append_basic_block("done")
            builder.branch(body)  # there is at least one
            builder.position_at_end(body)
            at = builder.phi(whole)
            at.add_incoming(ir.Constant(whole, 0), before)
            totals = [[builder.phi(vector) for _ in range(4)] for _ in range(vectors)]
            target = spread(builder.load(builder.gep(target_at, [at]), align=size))
            ended = []
            for theta, (slope, slope_above, loss, loss_above) in zip(own, totals, strict=True):
                error = builder.fsub(target, theta)
                clipped = extreme("<", extreme(">", error, least), most)
                above, rest = positive(clipped), builder.call(fused, [clipped, half, error])
                grown = [
                    builder.call(fused, [clipped, one, slope]), builder.fadd(slope_above, above),
                    builder.call(fused, [clipped, rest, loss]), builder.call(fused, [above, rest, loss_above]),
                ]  # fmt: skip
                ended.append(grown)
                for total, more in zip((slope, slope_above, loss, loss_above), grown, strict=True):
                    total.add_incoming(zero, before)
                    total.add_incoming(more, body)
            following = builder.add(at, ir.Constant(whole, 1))
            at.add_incoming(following, body)
            builder.cbranch(builder.icmp_signed("<", following, count), body, after)
            builder.position_at_end(after)
            places = [vector_at(sums_at, ir.Constant(whole, 0), v) for v in range(2)]
            lost, seen = (builder.load(place, align=size) for place in places)
            scale = spread(builder.fneg(part))
            for v, (theta, (slope, slope_above, loss, loss_above)) in enumerate(zip(own, ended, strict=True)):
                tau, rest = level(0, v), level(1, v)
                below = builder.fmul(rest, builder.fsub(slope, slope_above))
                weighted = builder.call(fused, [tau, slope_above, below])
                builder.store(builder.fmul(scale, weighted), vector_at(theta_at, here, v), align=size)
                lost = builder.call(fused, [rest, builder.fsub(loss, loss_above), lost])
                lost = builder.call(fused, [tau, loss_above, lost])
                seen = builder.call(fused, [level(2, v), theta, seen])
            for place, total in zip(places, (lost, seen), strict=True):
                builder.store(total, place, align=size)
            return context.get_dummy_value()

        i8 = types.int64
        number = thetas.dtype
        return types.void(thetas, i8, i8, targets, i8, number, levels, i8, number, sums), codegen

    return pairs


pairs_2, pairs_1 = pairs_of(2), pairs_of(1)
