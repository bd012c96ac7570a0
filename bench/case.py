"""What is run: a model, its inputs, and the outputs that it should give if they are known."""
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

import models
from peers.backend import Arrays

RTOL, ATOL, FLOOR = 1e-3, 1e-4, 1e-7


class CaseError(Exception):
    """Why a model cannot be tried at all."""


@dataclass
class Case:
    name: str
    model: Path
    inputs: Arrays
    outputs: list[str]
    golden: list[np.ndarray] | None


def difference(got: list[np.ndarray], want: list[np.ndarray]) -> str | None:
    """None if outputs agree: |got - want| <= RTOL*|want| + ATOL*max|want| + FLOOR, max over the output, since what is small
    beside the largest element carries the rounding of that one. NaN equals NaN; integers are exact. Extents of 1 are not
    compared, since some engines drop the batch; nor are dtypes, since some change them."""
    if len(got) != len(want):
        return f"{len(got)} outputs instead of {len(want)}"
    for k, (a, b) in enumerate(zip(got, want)):
        if [n for n in a.shape if n != 1] != [n for n in b.shape if n != 1]:
            return f"output {k} has shape {list(a.shape)} instead of {list(b.shape)}"
        exact = b.dtype.kind not in "fc"
        a, b = (x.reshape(b.shape).astype(np.float64) for x in (a, b))
        if exact:
            wrong = a != b
        else:
            largest = np.max(np.abs(b), initial=0, where=np.isfinite(b))
            near = np.abs(a - b) <= RTOL * np.abs(b) + ATOL * largest + FLOOR
            wrong = ~(near | (a == b) | (np.isnan(a) & np.isnan(b)))
        if wrong.any():
            first = np.unravel_index(np.argmax(wrong), wrong.shape)
            return (f"output {k}: {np.count_nonzero(wrong)} of {wrong.size} elements differ, the first at "
                    f"{[int(n) for n in first]}: {a[first]:.6g} instead of {b[first]:.6g}")
    return None


def read_case(word: str, cache: Path) -> Case:
    """`word` is an ONNX file, a folder with a model.onnx, or a name of models.py, which is made in the cache."""
    path = Path(word)
    if path.is_dir():
        path = path / "model.onnx"
    elif path.suffix != ".onnx":
        path = generated(word, cache)
    if not path.is_file():
        raise CaseError(f"no such file: {path}")
    name = path.parent.name if path.name == "model.onnx" else path.stem
    graph = onnx.load(path, load_external_data=False).graph
    weights = {it.name for it in graph.initializer}
    infos = [it for it in graph.input if it.name not in weights]
    inputs, golden = stored(path.parent, infos) if path.name == "model.onnx" else (None, None)
    return Case(name, path.resolve(), inputs or made_up(infos, name), [it.name for it in graph.output], golden)


def generated(name: str, cache: Path) -> Path:
    if name not in models.ARCHITECTURES:
        raise CaseError("neither a .onnx file, nor a folder, nor a name that models.py --list has")
    path = cache / f"{name}.onnx"
    if not path.exists() or path.stat().st_mtime < Path(models.__file__).stat().st_mtime:
        cache.mkdir(parents=True, exist_ok=True)
        onnx.save(models.make(name), path)
    return path


def stored(folder: Path, infos: list[onnx.ValueInfoProto]) -> tuple[Arrays | None, list[np.ndarray] | None]:
    """Inputs and outputs from golden/meta.json and its .npy files, or from ONNX's own test_data_set_0."""
    meta, tests = folder / "golden" / "meta.json", folder / "test_data_set_0"
    if meta.exists():
        lists = json.loads(meta.read_text())
        load = lambda rows: [np.load(meta.parent / row["file"]) for row in rows]
        return dict(zip((row["name"] for row in lists["inputs"]), load(lists["inputs"]))), load(lists["outputs"])
    if tests.exists():
        load = lambda kind: [numpy_helper.to_array(onnx.load_tensor(tests / f"{kind}_{k}.pb"))
                             for k in range(len(list(tests.glob(f"{kind}_*.pb"))))]
        return dict(zip((info.name for info in infos), load("input"))), load("output")
    return None, None


def made_up(infos: list[onnx.ValueInfoProto], name: str) -> Arrays:
    """Numbers of [-1, 1) that are the same in every run, ones for integers; an open extent is 1."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    inputs = {}
    for info in infos:
        kind = info.type.tensor_type
        if not info.type.HasField("tensor_type") or not kind.HasField("shape"):
            raise CaseError(f"input {info.name} is no tensor of known rank; give inputs in golden/")
        shape = [dim.dim_value or 1 for dim in kind.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if dtype.kind == "f":
            inputs[info.name] = rng.uniform(-1, 1, shape).astype(dtype)
        elif dtype.kind in "iub":
            inputs[info.name] = np.ones(shape, dtype)
        else:
            raise CaseError(f"input {info.name} has elements of {dtype}; give inputs in golden/")
    return inputs
