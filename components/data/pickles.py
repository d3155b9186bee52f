"""Arrays out of a pickle of Python 2, read so that it runs no code; not what they mean."""

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {b"f4": "<f4", b"i8": "<i8"}
_LITTLE_ENDIAN = b"<"


class _Dtype:
    """Stands for numpy.dtype."""

    def __init__(self, code: bytes, *_: object) -> None:
        if code not in _DTYPES:
            raise pickle.UnpicklingError(f"the dtype {code!r} is refused")
        self.code = _DTYPES[code]

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if state[1] != _LITTLE_ENDIAN:
            raise pickle.UnpicklingError(f"the byte order {state[1]!r} is refused")


class _Array:
    """Stands for numpy.ndarray while it is rebuilt; `values` is the result."""

    def __init__(self, *_: object) -> None:
        self.values: NDArray[Any] = np.zeros(0)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Dtype, bool, bytes]) -> None:
        _, shape, dtype, fortran_order, content = state
        if fortran_order:
            raise pickle.UnpicklingError("an array in Fortran order is refused")
        self.values = np.frombuffer(content, dtype.code).reshape(shape)


# NumPy's own constructors run no code either, but a damaged state makes them crash the process.
_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"the name {module}.{name} is refused")
        return _STAND_INS[module, name]


def load_pairs(content: bytes) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Reads a tuple of pairs of arrays, float32 or int64, as Python 2 pickled them.

    Raises:
        pickle.UnpicklingError: it is anything else, names anything but arrays, or is damaged.
    """
    try:
        loaded = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle can raise any error at all
        raise pickle.UnpicklingError(f"{type(error).__name__}: {error}") from error
    pairs = loaded if isinstance(loaded, tuple) else (loaded,)
    return [_to_pair(pair) for pair in pairs]


def _to_pair(value: object) -> tuple[NDArray[Any], NDArray[Any]]:
    if isinstance(value, tuple) and len(value) == 2:
        first, second = value
        if isinstance(first, _Array) and isinstance(second, _Array):
            return first.values, second.values
    raise pickle.UnpicklingError(f"a {type(value).__name__} that is no pair of arrays is refused")
