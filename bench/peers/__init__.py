"""Engines to compare, one module each. A module `peers.NAME` has a class `Engine`, a Backend."""
from importlib import metadata

# The Python distribution of each peer of Inlay.
DISTRIBUTIONS = {"onnxruntime": "onnxruntime", "openvino": "openvino", "ncnn": "ncnn", "mnn": "MNN"}


def version(peer: str) -> str | None:
    """None: not installed. The peer is not imported."""
    try:
        return metadata.version(DISTRIBUTIONS[peer])
    except metadata.PackageNotFoundError:
        return None
