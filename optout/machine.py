"""Single instructions of the processor, for compiled functions."""

# mypy: disable-error-code="import-untyped,no-untyped-call"

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from optout.compiled import inline_code

__all__ = ["ones", "prefetch"]

_BYTE, _INT = ir.IntType(8), ir.IntType(32)


@inline_code
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of `array[index]`, to be read soon."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        struct = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        place = builder.bitcast(builder.gep(struct.data, [args[1]]), _BYTE.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _INT, _INT, _INT])
        instruction = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # Read, keep it in every level, data.
        builder.call(instruction, [place, _INT(0), _INT(3), _INT(1)])
        return context.get_dummy_value()

    return types.void(array, types.uint64), codegen


@inline_code
def ones(typingctx: Any, number: Any) -> Any:
    """How many bits of a uint64 are set, as a uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), codegen
