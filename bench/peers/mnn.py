"""MNN, on its own format, through its Module API: a Session reuses the memory of its inputs, which then have to be copied
for every run."""
from pathlib import Path

import MNN.expr
import MNN.nn
import numpy as np

from peers.backend import Arrays, Backend

# What MNN has for an input of each kind; its integers are of 32 bits.
KINDS = {"f": (np.float32, MNN.expr.float), "i": (np.int32, MNN.expr.int), "b": (np.int32, MNN.expr.int),
         "u": (np.uint8, MNN.expr.uint8)}


def variable(array: np.ndarray) -> MNN.expr.Var:
    dtype, kind = KINDS[array.dtype.kind]
    return MNN.expr.const(np.ascontiguousarray(array, dtype), list(array.shape), MNN.expr.NCHW, kind)


class Engine(Backend):
    @staticmethod
    def convert(model: Path, folder: Path, inputs: Arrays) -> Path:
        # The library under MNN.tools.mnnconvert, which installs a package when it is imported, and reports its use to the
        # vendor. Imported here, it takes no part in the memory of inference.
        import _tools

        path = folder / "model.mnn"
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", str(model), "--MNNModel", str(path), "--bizCode",
                           "bench"])
        if not path.exists():
            raise RuntimeError("MNNConvert wrote no model")
        return path

    def __init__(self, model: Path, inputs: Arrays, outputs: list[str], threads: int):
        self._runtime = MNN.nn.create_runtime_manager(({"backend": "CPU", "numThread": threads, "precision": "high"},))
        self._net = MNN.nn.load_module_from_file(str(model), list(inputs), outputs, runtime_manager=self._runtime,
                                                 shape_mutable=False)
        self._inputs = [variable(array) for array in inputs.values()]
        self._outputs: list[MNN.expr.Var] = []

    def run(self) -> None:
        self._outputs = self._net.forward(self._inputs)

    def outputs(self) -> list[np.ndarray]:
        return [np.array(MNN.expr.convert(it, MNN.expr.NCHW).read()) for it in self._outputs]
