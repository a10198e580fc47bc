"""NumPy arrays as request and reply bodies of the tests, by NumPy's own means."""

import io
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

NPY = {"content-type": "application/x-npy"}
NPZ = {"content-type": "application/x-npz"}
WANT_NPY = {"accept": "application/x-npy"}
WANT_NPZ = {"accept": "application/x-npz"}


def npy(array: ArrayLike) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays: ArrayLike) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def array_in(content: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def arrays_in(content: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return dict(archive)
