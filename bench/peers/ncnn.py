"""ncnn, on what pnnx makes of the ONNX file."""
import importlib.util
from pathlib import Path

import ncnn
import numpy as np

from peers.backend import Arrays, Backend, command


def pnnx() -> Path:
    """The converter's executable. The package is not imported: that needs PyTorch, which this does not."""
    package = importlib.util.find_spec("pnnx")
    if not package:
        raise RuntimeError("no converter (pip install --no-deps pnnx)")
    return Path(package.submodule_search_locations[0]) / "pnnx"


def without_batch(array: np.ndarray) -> np.ndarray:
    """ncnn has no batch dimension."""
    return array[0] if array.ndim > 1 and array.shape[0] == 1 else array


class Engine(Backend):
    @staticmethod
    def convert(model: Path, folder: Path, inputs: Arrays) -> Path:
        shapes = []
        for array in inputs.values():
            dtype = "bool" if array.dtype.kind == "b" else f"{array.dtype.kind}{array.itemsize * 8}"
            shapes.append(f"[{','.join(map(str, array.shape))}]{dtype}")
        path = folder / "model.ncnn.param"
        unused = [f"{word}={folder / word}" for word in ("ncnnpy", "pnnxparam", "pnnxbin", "pnnxpy", "pnnxonnx")]
        command(pnnx(), model, f"inputshape={','.join(shapes)}", "fp16=0", f"ncnnparam={path}",
                f"ncnnbin={path.with_suffix('.bin')}", *unused)
        if not path.exists():
            raise RuntimeError("pnnx wrote no model")
        return path

    def __init__(self, model: Path, inputs: Arrays, outputs: list[str], threads: int):
        self._net = ncnn.Net()
        options = self._net.opt
        options.num_threads = threads
        options.use_vulkan_compute = False
        for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            setattr(options, f"use_{kind}", False)
        # As in benchncnn: without these, each run asks the system for memory.
        self._allocators = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()
        options.blob_allocator, options.workspace_allocator = self._allocators
        if self._net.load_param(str(model)) or self._net.load_model(str(model.with_suffix(".bin"))):
            raise RuntimeError("cannot load the converted model")
        self._inputs = [(f"in{k}", ncnn.Mat(without_batch(array)).clone()) for k, array in enumerate(inputs.values())]
        self._names = [f"out{k}" for k in range(len(outputs))]
        self._outputs: list[ncnn.Mat] = []

    def run(self) -> None:
        self._outputs.clear()
        extractor = self._net.create_extractor()
        for name, mat in self._inputs:
            extractor.input(name, mat)
        for name in self._names:
            failed, mat = extractor.extract(name)
            if failed:
                raise RuntimeError(f"extracting {name} fails with {failed}")
            self._outputs.append(mat)

    def outputs(self) -> list[np.ndarray]:
        return [np.array(mat) for mat in self._outputs]
