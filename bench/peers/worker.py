"""A process that runs one engine on one model, so that threads, memory and crashes of engines stay apart.

`Worker` is what the parent holds; `python -m peers.worker ENGINE FD` is the process. It is stopped unless it is called:
threads that spin for work, as those of most engines do for a while, would take cores from the engine being timed.
"""
import ctypes
import gc
import importlib
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

import numpy as np

from peers.backend import Arrays, Backend


class WorkerError(Exception):
    """Why an engine gave no result."""


class Worker:
    def __init__(self, engine: str, log: Path):
        self._log = log
        self._connection, theirs = Pipe()
        with log.open("w") as file:
            self._process = subprocess.Popen([sys.executable, "-m", __name__, engine, str(theirs.fileno())],
                                             cwd=Path(__file__).parent.parent, pass_fds=[theirs.fileno()],
                                             stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        theirs.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def call(self, method: str, *arguments, timeout: float):
        """What that method of Job returns, or a WorkerError."""
        self._process.send_signal(signal.SIGCONT)
        try:
            self._connection.send((method, arguments))
            if not self._connection.poll(timeout):
                self._process.kill()
                raise WorkerError(f"no answer within {timeout:.0f} s")
            error, result = self._connection.recv()
        except (EOFError, ConnectionError):
            raise WorkerError(self._death()) from None
        self._process.send_signal(signal.SIGSTOP)
        if error:
            raise WorkerError(error)
        return result

    def _death(self) -> str:
        status = self._process.wait()
        cause = f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
        lines = self._log.read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"{cause}: {last}" if last else cause


def memory_mib(field: str) -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{field}:")) / 1024


def aligned(array: np.ndarray) -> np.ndarray:
    """A copy at an address that is a multiple of 64, as engines ask of what they are to read in place."""
    buffer = np.empty(array.nbytes + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    copy = buffer[start:start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class Job:
    """The other side of Worker.call. Times are of a monotonic clock, in milliseconds."""

    def __init__(self, engine: str):
        self._name = engine
        self._backend: Backend | None = None
        self._inputs: Arrays = {}
        self._before_mib = 0.0

    def _class(self) -> type[Backend]:
        return importlib.import_module(f"peers.{self._name}").Engine

    def convert(self, model: Path, folder: Path, inputs: Arrays) -> tuple[Path, float]:
        converter = self._class()
        start = time.perf_counter()
        return converter.convert(model, folder, inputs), 1e3 * (time.perf_counter() - start)

    def load(self, model: Path, inputs: Arrays, outputs: list[str], threads: int) -> tuple[float, float]:
        """How long loading and the first inference took."""
        self._inputs = {name: aligned(array) for name, array in inputs.items()}
        self._before_mib = memory_mib("VmRSS")
        engine = self._class()
        start = time.perf_counter()
        self._backend = engine(model, self._inputs, outputs, threads)
        ready = time.perf_counter()
        self._backend.run()
        return 1e3 * (ready - start), 1e3 * (time.perf_counter() - ready)

    def outputs(self) -> list[np.ndarray]:
        return [np.asarray(array) for array in self._backend.outputs()]

    def run(self, warm_ups: int, count: int) -> list[float]:
        run, clock = self._backend.run, time.perf_counter_ns
        for _ in range(warm_ups):
            run()
        times = [0] * count
        for k in range(count):
            start = clock()
            run()
            times[k] = clock() - start
        return [ns / 1e6 for ns in times]

    def peak_mib(self) -> float:
        """What the engine added to the interpreter, NumPy and the inputs."""
        return memory_mib("VmHWM") - self._before_mib


def main() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a stopped process does not notice a closed pipe
    job, connection = Job(sys.argv[1]), Connection(int(sys.argv[2]))
    gc.disable()
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send((None, getattr(job, method)(*arguments)))
        except Exception as error:
            text = " ".join(str(error).split())[:300]
            named = text and isinstance(error, RuntimeError)
            connection.send((text if named else f"{type(error).__name__}: {text}", None))


if __name__ == "__main__":
    main()
