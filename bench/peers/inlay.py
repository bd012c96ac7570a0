"""Inlay through its C ABI: engine/include/inlay/inlay.h. The library is $INLAY_LIBRARY, the command $INLAY."""
import ctypes
import os
from ctypes import POINTER, Structure, byref, c_char_p, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path

import numpy as np

from peers.backend import Arrays, Backend, command

DTYPES = {np.dtype(name): number for name, number in [
    ("f4", 0), ("f8", 1), ("f2", 2), ("i1", 4), ("i2", 5), ("i4", 6), ("i8", 7), ("u1", 8), ("u2", 9), ("u4", 10),
    ("u8", 11), ("?", 12)]}
OF_NUMBER = {number: dtype for dtype, number in DTYPES.items()}


class Tensor(Structure):
    _fields_ = [("data", c_void_p), ("shape", POINTER(c_int64)), ("rank", c_int32), ("dtype", c_int32)]

    @staticmethod
    def of(array: np.ndarray) -> "Tensor":
        return Tensor(array.ctypes.data, (c_int64 * array.ndim)(*array.shape), array.ndim, DTYPES[array.dtype])


class SessionOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("threads", c_int32), ("manual_states", c_int32), ("pool", c_void_p)]


class ValueInfo(Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("kind", c_int32), ("dtype", c_int32), ("rank", c_int32),
                ("shape", POINTER(c_int64)), ("symbols", c_void_p), ("upper", c_void_p), ("text", c_char_p),
                ("image", c_char_p)]

    def array(self) -> np.ndarray | None:
        """Memory for a value of this type; None where its extents are not known."""
        shape = self.shape[:max(self.rank, 0)]
        if self.kind or self.rank < 0 or min(shape, default=0) < 0 or self.dtype not in OF_NUMBER:
            return None
        return np.empty(shape, OF_NUMBER[self.dtype])


def library() -> ctypes.CDLL:
    it = ctypes.CDLL(os.environ["INLAY_LIBRARY"])
    it.inlay_error.restype = it.inlay_version_string.restype = c_char_p
    it.inlay_session_run.argtypes = [c_void_p, c_void_p]
    return it


class Engine(Backend):
    @staticmethod
    def convert(model: Path, folder: Path, inputs: Arrays) -> Path:
        path = folder / "model.inlay"
        command(os.environ["INLAY"], "convert", model, "-o", path)
        return path

    def __init__(self, model: Path, inputs: Arrays, outputs: list[str], threads: int):
        self._library = library()
        pool, it, self._session = c_void_p(), c_void_p(), c_void_p()
        self._call("pool_create", threads, None, c_size_t(0), byref(pool))
        self._call("model_load", os.fsencode(model), None, byref(it))
        options = SessionOptions(ctypes.sizeof(SessionOptions), 0, 1, pool)
        self._call("session_create", it, byref(options), byref(self._session))
        self._results = []  # memory that the session writes to
        for name, array in inputs.items():
            self._call("session_set_input", self._session, self._index(it, "input", name), byref(Tensor.of(array)))
        self._outputs = [self._index(it, "output", name) for name in outputs]
        for index in self._outputs:
            info = ValueInfo(ctypes.sizeof(ValueInfo))
            self._call("model_output", it, index, byref(info))
            if (array := info.array()) is not None:
                self._results.append(array)
                self._call("session_set_output", self._session, index, byref(Tensor.of(array)))
        self._call("session_prepare", self._session)

    def _call(self, function: str, *arguments) -> None:
        if getattr(self._library, f"inlay_{function}")(*arguments):
            raise RuntimeError(self._library.inlay_error().decode())

    def _index(self, model: c_void_p, kind: str, name: str) -> c_size_t:
        index = c_size_t()
        self._call(f"model_find_{kind}", model, name.encode(), byref(index))
        return index

    def run(self) -> None:
        if self._library.inlay_session_run(self._session, None):
            raise RuntimeError(self._library.inlay_error().decode())

    def outputs(self) -> list[np.ndarray]:
        arrays = []
        for index in self._outputs:
            tensor = Tensor()
            self._call("session_output", self._session, index, byref(tensor))
            shape, dtype = tensor.shape[:tensor.rank], OF_NUMBER[tensor.dtype]
            count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            arrays.append(np.frombuffer(ctypes.string_at(tensor.data, count), dtype).reshape(shape))
        return arrays
