"""Functions that Numba compiles: loops over pixels where a library would walk over them several times."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

__all__ = ["compiled"]

_Function = TypeVar("_Function", bound=Callable[..., object])


def compiled(*signature: object) -> Callable[[_Function], _Function]:
    """Compile a function that holds no lock, and keep the machine code on disk where something may be written."""

    def compile_it(function: _Function) -> _Function:
        options = {"nogil": True, "error_model": "numpy"}
        try:
            return cast("_Function", numba.njit(*signature, cache=True, **options)(function))
        except RuntimeError:  # neither this folder nor the user's cache can be written: each process compiles anew
            return cast("_Function", numba.njit(*signature, **options)(function))

    return compile_it
