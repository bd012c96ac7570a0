"""OpenVINO, on its IR where that can hold the model."""
from pathlib import Path

import numpy as np
import openvino as ov

from peers.backend import Arrays, Backend


class Engine(Backend):
    @staticmethod
    def convert(model: Path, folder: Path, inputs: Arrays) -> Path:
        path, core = folder / "model.xml", ov.Core()
        # Not ov.convert_model, which reports its use to the vendor.
        ov.save_model(core.read_model(model), path, compress_to_fp16=False)
        try:
            core.read_model(path)
        except RuntimeError:  # operators that the ONNX reader knows, and the IR does not
            return model
        return path

    def __init__(self, model: Path, inputs: Arrays, outputs: list[str], threads: int):
        core = ov.Core()
        graph = core.read_model(model)
        if graph.is_dynamic():
            graph.reshape({name: list(array.shape) for name, array in inputs.items()})
        compiled = core.compile_model(graph, "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"})
        self._request = compiled.create_infer_request()
        for name, array in inputs.items():
            self._request.set_tensor(name, ov.Tensor(array, shared_memory=True))
        self._outputs = outputs

    def run(self) -> None:
        self._request.infer(share_outputs=True)

    def outputs(self) -> list[np.ndarray]:
        return [np.array(self._request.get_tensor(name).data) for name in self._outputs]
