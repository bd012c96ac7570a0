"""MNN, on its own format."""
from pathlib import Path

import _tools  # of the MNN package; its MNN.tools.mnnconvert installs a package, and reports its use to the vendor
import MNN
import numpy as np

from peers.backend import Arrays, Backend

DTYPES = {MNN.Halide_Type_Float: np.float32, MNN.Halide_Type_Int: np.int32, MNN.Halide_Type_Int64: np.int64,
          MNN.Halide_Type_Uint8: np.uint8}


def host_tensor(tensor: MNN.Tensor, array: np.ndarray | None = None) -> MNN.Tensor:
    """In host memory and in the model's layout: a place for the contents of `tensor`, or a copy of the array."""
    kind, shape = tensor.getDataType(), tuple(tensor.getShape())
    data = np.zeros(shape, DTYPES[kind]) if array is None else array.astype(DTYPES[kind])
    if data.shape != shape:
        raise RuntimeError(f"an input has shape {shape} instead of {data.shape}")
    return MNN.Tensor(shape, kind, data, MNN.Tensor_DimensionType_Caffe)


class Engine(Backend):
    @staticmethod
    def convert(model: Path, folder: Path, inputs: Arrays) -> Path:
        path = folder / "model.mnn"
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", str(model), "--MNNModel", str(path), "--bizCode", "bench"])
        if not path.exists():
            raise RuntimeError("MNNConvert wrote no model")
        return path

    def __init__(self, model: Path, inputs: Arrays, outputs: list[str], threads: int):
        self._net = MNN.Interpreter(str(model))
        self._session = self._net.createSession({"backend": "CPU", "numThread": threads, "precision": "high"})
        known = self._net.getSessionInputAll(self._session)
        for name, array in inputs.items():
            known[name].copyFrom(host_tensor(known[name], array))
        known = self._net.getSessionOutputAll(self._session)
        self._outputs = [known[name] for name in outputs]

    def run(self) -> None:
        if failed := self._net.runSession(self._session):
            raise RuntimeError(f"runSession fails with {failed}")

    def outputs(self) -> list[np.ndarray]:
        arrays = []
        for tensor in self._outputs:
            host = host_tensor(tensor)
            tensor.copyToHostTensor(host)
            arrays.append(np.array(host.getNumpyData()))
        return arrays
