#!/usr/bin/env python3
"""Compares Inlay with other engines: latency, load time, memory, and whether the outputs agree.

Models are .onnx files, folders with a model.onnx, or names that models.py --list has; all of these if none is given.
README.md says how it measures, and what the columns mean. The exit status is 1 if Inlay cannot run a model, or
if its outputs are wrong.
"""
import argparse
import os
import platform
import random
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import models
import peers
from case import Case, CaseError, difference, read_case
from peers.inlay import library
from peers.worker import Worker, WorkerError
from report import FORMATS, Measured, Report, Result

ROOT = Path(__file__).resolve().parent.parent
MAX_RUNS_OF_A_TURN = 10_000


@dataclass
class Settings:
    engines: list[str]
    threads: list[int]
    rounds: int
    seconds: float
    timeout: float


def progress(text: str, passing: bool = False) -> None:
    """A passing line is overwritten by the next one, and only seen on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="" if passing else "\n", file=sys.stderr, flush=True)
    elif not passing:
        print(text, file=sys.stderr, flush=True)


class Comparison:
    """Of all engines on one model."""

    def __init__(self, case: Case, settings: Settings, folder: Path, workers: ExitStack):
        self._case, self._settings, self._folder, self._exits = case, settings, folder, workers
        self._loaded: list[tuple[Worker, Result]] = []
        self.measured = Measured(case.name, [])

    def _say(self, result: Result) -> None:
        progress(f"{self._case.name}: {result.engine}, {result.threads} threads: {result.failure}")

    def load(self) -> None:
        """Starts a worker for each engine and number of threads, and drops those whose outputs are wrong."""
        outputs = {}
        for engine in self._settings.engines:
            results = [Result(engine, threads) for threads in self._settings.threads]
            self.measured.results += results
            for result in results:
                progress(f"{self._case.name}: loading {engine}, {result.threads} threads", passing=True)
                try:
                    if result is results[0]:
                        model, convert = self._convert(engine)
                    result.convert = convert
                    outputs[engine, result.threads] = self._load(result, model)
                except WorkerError as error:
                    result.error = str(error)
                    self._say(result)
                    if result.convert is None:
                        for other in results:
                            other.error = result.error
                        break
        self._check(outputs)

    def _convert(self, engine: str) -> tuple[Path, float]:
        folder = self._folder / engine
        folder.mkdir()
        with Worker(engine, folder / "log") as worker:
            try:
                return worker.call("convert", self._case.model, folder, self._case.inputs, timeout=self._settings.timeout)
            except WorkerError as error:
                raise WorkerError(f"cannot convert: {error}") from None

    def _load(self, result: Result, model: Path) -> list[np.ndarray]:
        case, limit = self._case, self._settings.timeout
        worker = self._exits.enter_context(Worker(result.engine, self._folder / f"{result.engine}_{result.threads}.log"))
        result.load, result.first = worker.call("load", model, case.inputs, case.outputs, result.threads, timeout=limit)
        result.estimate = min(worker.call("run", 1, 3, timeout=limit))
        self._loaded.append((worker, result))
        return worker.call("outputs", timeout=limit)  # of a later run than the first: memory has been used again

    def _check(self, outputs: dict[tuple[str, int], list[np.ndarray]]) -> None:
        reference = outputs.get(("onnxruntime", self._settings.threads[0]), self._case.golden)
        self.measured.checked = reference is not None
        for result in self.measured.results:
            if reference is not None and (arrays := outputs.get((result.engine, result.threads))) is not None:
                result.wrong = difference(arrays, reference)
                if result.wrong:
                    self._say(result)

    def measure(self, order: random.Random) -> None:
        """Every worker has a turn in every round, in another order each time."""
        turns = [(worker, result) for worker, result in self._loaded if not result.failure]
        turn_ms = 1e3 * self._settings.seconds / max(1, self._settings.rounds * len(turns))
        for k in range(self._settings.rounds):
            progress(f"{self._case.name}: round {k + 1} of {self._settings.rounds}", passing=True)
            order.shuffle(turns)
            for worker, result in turns:
                self._turn(worker, result, turn_ms)

    def _turn(self, worker: Worker, result: Result, turn_ms: float) -> None:
        if result.failure:
            return
        count = min(max(1, int(turn_ms / result.estimate)), MAX_RUNS_OF_A_TURN)
        try:
            result.runs += worker.call("run", 1 + count // 10, count, timeout=self._settings.timeout + turn_ms / 100)
            result.peak = worker.call("peak_mib", timeout=self._settings.timeout)
        except WorkerError as error:
            result.error = str(error)
            self._say(result)


def compare(word: str, settings: Settings, cache: Path, order: random.Random) -> Measured:
    with TemporaryDirectory(prefix="inlay-bench-") as folder, ExitStack() as workers:
        try:
            case = read_case(word, cache)
        except CaseError as error:
            progress(f"{word}: {error}")
            return Measured(word, [], error=str(error))
        comparison = Comparison(case, settings, Path(folder), workers)
        comparison.load()
        comparison.measure(order)
    progress(f"{case.name}: done")
    return comparison.measured


def header(settings: Settings, arguments: argparse.Namespace) -> dict[str, str]:
    with open("/proc/cpuinfo") as file:
        cpu = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.processor())
    versions = {"inlay": library().inlay_version_string().decode()}
    versions |= {peer: peers.version(peer) for peer in settings.engines[1:]}
    return {
        "machine": f"{cpu}, {len(os.sched_getaffinity(0))} CPUs, {platform.system()} {platform.release()}",
        "date": datetime.now(timezone.utc).isoformat(timespec="minutes"),
        "load average before": f"{os.getloadavg()[0]:.2f}",
        "engines": ", ".join(f"{engine} {version}" for engine, version in versions.items()),
        "left out": ", ".join(arguments.left_out) or "nothing",
        "plan": f"{settings.rounds} rounds, {settings.seconds:g} s per model, seed {arguments.seed}",
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(models.ARCHITECTURES), metavar="MODEL")
    parser.add_argument("-t", "--threads", default="1,2", help="numbers of threads (1,2)")
    parser.add_argument("--peers", default=",".join(peers.DISTRIBUTIONS), help="engines to compare with (%(default)s)")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each engine (%(default)s)")
    parser.add_argument("--seconds-per-model", type=float, default=60, help="timed runs of all engines (%(default)s)")
    parser.add_argument("--timeout", type=float, default=120,
                        help="seconds that an engine has for one answer (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the order within the rounds (%(default)s)")
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument("-o", "--output", type=Path, help="a file, instead of stdout")
    parser.add_argument("--library", default=os.environ.get("INLAY_LIBRARY"),
                        help="libinlay.so ($INLAY_LIBRARY, build/release)")
    parser.add_argument("--inlay", default=os.environ.get("INLAY"),
                        help="the inlay command ($INLAY, build/release, $PATH)")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "bench-models",
                        help="where models.py's models are kept")
    arguments = parser.parse_args()
    try:
        arguments.threads = [int(word) for word in arguments.threads.split(",")]
    except ValueError:
        parser.error("--threads takes numbers, as in 1,2")
    if min(arguments.threads) < 1 or arguments.rounds < 1:
        parser.error("threads and rounds are 1 or more")
    arguments.peers = [peer for peer in arguments.peers.split(",") if peer]
    if unknown := set(arguments.peers) - set(peers.DISTRIBUTIONS):
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}")
    arguments.left_out = [peer for peer in peers.DISTRIBUTIONS if peer not in arguments.peers or not peers.version(peer)]
    arguments.library = arguments.library or next(map(str, ROOT.glob("build/release/**/libinlay.so")), None)
    built = next((str(path) for path in ROOT.glob("build/release/**/inlay") if path.is_file()), None)
    arguments.inlay = arguments.inlay or built or shutil.which("inlay")
    for option in ("library", "inlay"):
        path = getattr(arguments, option)
        if not path or not Path(path).is_file():
            parser.error(f"no file for --{option}: {path or 'build the release preset, or give it'}")
        os.environ[{"library": "INLAY_LIBRARY", "inlay": "INLAY"}[option]] = str(Path(path).resolve())
    return arguments


def main() -> int:
    arguments = parse()
    engines = ["inlay", *(peer for peer in arguments.peers if peer not in arguments.left_out)]
    settings = Settings(engines, arguments.threads, arguments.rounds, arguments.seconds_per_model, arguments.timeout)
    report = Report(header(settings, arguments), engines, arguments.threads)
    order = random.Random(arguments.seed)
    for word in arguments.models:
        report.measured.append(compare(word, settings, arguments.cache, order))
        if arguments.output:  # after every model: a run that is cut off leaves what it has
            arguments.output.write_text(FORMATS[arguments.format](report))
    if not arguments.output:
        print(FORMATS[arguments.format](report), end="")
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main())
