"""What compare.py needs of an engine."""
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]


class Backend(ABC):
    """A model, loaded and ready to run. All methods raise an exception where the engine cannot."""

    @staticmethod
    def convert(model: Path, folder: Path, inputs: Arrays) -> Path:
        """Makes the engine's own file from an ONNX file; `inputs` tell the shapes. Nothing where the engine loads ONNX."""
        return model

    @abstractmethod
    def __init__(self, model: Path, inputs: Arrays, outputs: list[str], threads: int):
        """Does all that can be done before the first inference. `inputs` outlive it, and may be read in place."""

    @abstractmethod
    def run(self) -> None:
        """One inference; what is timed. Outputs are not copied."""

    @abstractmethod
    def outputs(self) -> list[np.ndarray]:
        """Those of the last run, in the order of `outputs`."""


def command(*words: str | Path, **more) -> None:
    """Runs a converter; what it prints goes to the worker's log."""
    done = subprocess.run([str(word) for word in words], stderr=subprocess.PIPE, text=True, errors="replace", **more)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
