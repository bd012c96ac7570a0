"""OpenVINO, on its IR."""
from pathlib import Path

import numpy as np
import openvino as ov

from peers.backend import Arrays, Backend


class Engine(Backend):
    @staticmethod
    def convert(model: Path, folder: Path, inputs: Arrays) -> Path:
        path = folder / "model.xml"
        # Not ov.convert_model, which reports its use to the vendor.
        ov.save_model(ov.Core().read_model(model), path, compress_to_fp16=False)
        return path

    def __init__(self, model: Path, inputs: Arrays, outputs: list[str], threads: int):
        compiled = ov.Core().compile_model(model, "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"})
        self._request = compiled.create_infer_request()
        for name, array in inputs.items():
            self._request.set_tensor(name, ov.Tensor(array, shared_memory=True))
        self._outputs = outputs

    def run(self) -> None:
        self._request.infer(share_outputs=True)

    def outputs(self) -> list[np.ndarray]:
        return [np.array(self._request.get_tensor(name).data) for name in self._outputs]
