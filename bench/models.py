#!/usr/bin/env python3
"""Writes networks of full size, with random weights, as ONNX files: convolutional ones, transformers, recurrent ones.

    models.py OUT_DIR [NAME...]     writes OUT_DIR/NAME.onnx of these, or of all
    models.py --check [NAME...]     builds them, and writes nothing
    models.py --list                what there is

Graphs are those that PyTorch exports in eval mode at opset 13: a batch normalisation behind a convolution is folded into
its weights and bias, SiLU is Sigmoid and Mul. Weights are the same in every run, and scaled so that values keep their
size from layer to layer. Each architecture states the parameters of its reference (those of folded normalisations
counted) and its multiply-adds; a model with others, or one that onnx.checker refuses, is an error.
"""
import argparse
import math
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper


# What an activation leaves of the variance of its input; 1 where it is not listed. He's 1/2 for rectifiers.
KEPT_VARIANCE = {"relu": 1 / 2, "relu6": 1 / 2, "silu": 0.4, "hardswish": 0.42}


class Value(NamedTuple):
    name: str
    shape: tuple[int, ...]


class Builder:
    """A graph under construction. `parameters` and `macs` count as the reference implementations do."""

    def __init__(self, name: str):
        self.name = name
        self.parameters = 0
        self.macs = 0
        self._rng = np.random.default_rng(zlib.crc32(name.encode()))
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []

    # Graph

    def input(self, name: str, *shape: int) -> Value:
        self._inputs.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
        return Value(name, shape)

    def op(self, kind: str, inputs: Sequence[Value | str], *shapes: Sequence[int], **attributes) -> Value | list[Value]:
        """A node with an output of each shape: a Value, or a list where there is more than one."""
        name = f"{kind}_{len(self._nodes)}"
        outputs = [Value(f"{name}_out{k}" if k else f"{name}_out", tuple(shape)) for k, shape in enumerate(shapes)]
        names = [x.name if isinstance(x, Value) else x for x in inputs]
        self._nodes.append(helper.make_node(kind, names, [y.name for y in outputs], name=name, **attributes))
        return outputs[0] if len(outputs) == 1 else outputs

    def constant(self, array: np.ndarray) -> str:
        name = f"const_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def normal(self, shape: Sequence[int], deviation: float) -> str:
        return self.constant(self._rng.standard_normal(shape, dtype=np.float32) * np.float32(deviation))

    def finish(self, *outputs: Value) -> onnx.ModelProto:
        infos = [helper.make_tensor_value_info(y.name, onnx.TensorProto.FLOAT, y.shape) for y in outputs]
        graph = helper.make_graph(self._nodes, self.name, self._inputs, infos, self._weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

    # Layers with weights

    def _weight(self, shape: Sequence[int], fan: int, act: str | None = None, gain: float = 1) -> str:
        return self.normal(shape, gain / math.sqrt(fan * KEPT_VARIANCE.get(act, 1)))

    def conv(self, x: Value, channels: int, kernel: int = 1, stride: int = 1, pad: int | None = None, groups: int = 1,
             act: str | None = None, bias: str | None = "batchnorm", gain: float = 1) -> Value:
        """`bias` is what a folded batch normalisation left, or "plain" where the reference has a bias, or None. `gain`
        multiplies the deviation that would keep the size of values."""
        n, c, h, w = x.shape
        pad = kernel // 2 if pad is None else pad
        fan = c // groups * kernel * kernel
        extents = [(extent + 2 * pad - kernel) // stride + 1 for extent in (h, w)]
        weights = [self._weight((channels, c // groups, kernel, kernel), fan, act, gain)]
        if bias:
            weights.append(self.normal((channels,), 0.05))
        self.parameters += channels * (fan + {"batchnorm": 2, "plain": 1, None: 0}[bias])
        self.macs += n * channels * math.prod(extents) * fan
        y = self.op("Conv", [x, *weights], (n, channels, *extents), kernel_shape=[kernel] * 2, strides=[stride] * 2,
                    pads=[pad] * 4, group=groups, dilations=[1, 1])
        return self.act(y, act)

    def up_conv(self, x: Value, channels: int) -> Value:
        """Twice the size, by a transposed convolution of 2x2 with stride 2."""
        n, c, h, w = x.shape
        self.parameters += c * channels * 4 + channels
        self.macs += n * c * channels * 4 * h * w
        weights = [self._weight((c, channels, 2, 2), c), self.normal((channels,), 0.05)]
        return self.op("ConvTranspose", [x, *weights], (n, channels, 2 * h, 2 * w), kernel_shape=[2, 2], strides=[2, 2])

    def batchnorm(self, x: Value) -> Value:
        """One that no convolution precedes, so that it stays a node."""
        c = x.shape[1]
        self.parameters += 2 * c
        ones = np.ones(c, np.float32)
        parts = [self.constant(ones), self.normal((c,), 0.05), self.normal((c,), 0.05), self.constant(ones)]
        return self.op("BatchNormalization", [x, *parts], x.shape)

    def linear(self, x: Value, features: int, act: str | None = None) -> Value:
        n, c = x.shape
        self.parameters += (c + 1) * features
        self.macs += n * c * features
        weights = [self._weight((features, c), c, act), self.normal((features,), 0.05)]
        return self.act(self.op("Gemm", [x, *weights], (n, features), transB=1), act)

    def project(self, x: Value, features: int, act: str | None = None) -> Value:
        """A linear layer on the last dim of [batch, length, channels], as a product and a sum."""
        *rows, c = x.shape
        shape = (*rows, features)
        self.parameters += (c + 1) * features
        self.macs += math.prod(rows) * c * features
        y = self.op("MatMul", [x, self._weight((c, features), c)], shape)
        return self.act(self.op("Add", [self.normal((features,), 0.05), y], shape), act)

    def layer_norm(self, x: Value, epsilon: float = 1e-5) -> Value:
        c = x.shape[-1]
        self.parameters += 2 * c
        moment = (*x.shape[:-1], 1)
        d = self.op("Sub", [x, self.op("ReduceMean", [x], moment, axes=[-1])], x.shape)
        variance = self.op("ReduceMean", [self.op("Pow", [d, self.scalar(2)], x.shape)], moment, axes=[-1])
        root = self.op("Sqrt", [self.op("Add", [variance, self.scalar(epsilon)], moment)], moment)
        scale = self.constant(1 + 0.02 * self._rng.standard_normal(c, dtype=np.float32))
        y = self.op("Mul", [self.op("Div", [d, root], x.shape), scale], x.shape)
        return self.op("Add", [y, self.normal((c,), 0.02)], x.shape)

    def recurrent(self, kind: str, x: Value, hidden: int) -> Value:
        """LSTM or GRU over [length, batch, inputs]."""
        length, n, c = x.shape
        gates = {"LSTM": 4, "GRU": 3}[kind]
        self.parameters += gates * hidden * (c + hidden + 2)
        self.macs += length * n * gates * hidden * (c + hidden)
        parts = [self.normal((1, gates * hidden, k), 1 / math.sqrt(hidden)) for k in (c, hidden, 2)]
        bias = self.normal((1, 2 * gates * hidden), 0.05)
        extra = {"linear_before_reset": 1} if kind == "GRU" else {}
        y = self.op(kind, [x, *parts[:2], bias], (length, 1, n, hidden), hidden_size=hidden, **extra)
        return self.op("Squeeze", [y, self.constant(np.array([1]))], (length, n, hidden))

    # Layers without

    def scalar(self, value: float) -> str:
        return self.constant(np.float32(value))

    def heads(self, x: Value, heads: int, *perm: int) -> Value:
        n, length, c = x.shape
        return self.transpose(self.reshape(x, n, length, heads, c // heads), *perm)

    def attention(self, q: Value, k: Value, v: Value, mask: Value | None = None, causal: bool = False) -> Value:
        """Of q [n, heads, length, size], k [n, heads, size, keys] and v [n, heads, keys, size]; [n, length, channels]."""
        n, heads, length, size = q.shape
        keys = k.shape[3]
        self.macs += 2 * n * heads * length * keys * size
        scores = self.op("MatMul", [q, k], (n, heads, length, keys))
        scores = self.op("Div", [scores, self.scalar(math.sqrt(size))], scores.shape)
        if causal:
            seen = self.constant(np.tri(length, keys, keys - length, dtype=bool)[None, None])
            scores = self.op("Where", [seen, scores, self.scalar(-1e4)], scores.shape)
        if mask:
            scores = self.add(scores, mask)
        y = self.op("MatMul", [self.op("Softmax", [scores], scores.shape, axis=-1), v], q.shape)
        return self.reshape(self.transpose(y, 0, 2, 1, 3), n, length, heads * size)

    def act(self, x: Value, kind: str | None) -> Value:
        def unary(op: str, **attributes) -> Value:
            return self.op(op, [x], x.shape, **attributes)

        match kind:
            case None:
                return x
            case "relu":
                return unary("Relu")
            case "relu6":
                return self.op("Clip", [x, self.constant(np.float32(0)), self.constant(np.float32(6))], x.shape)
            case "sigmoid":
                return unary("Sigmoid")
            case "tanh":
                return unary("Tanh")
            case "gelu":  # with the error function
                e = self.op("Erf", [self.op("Div", [x, self.scalar(math.sqrt(2))], x.shape)], x.shape)
                y = self.mul(x, self.op("Add", [e, self.scalar(1)], x.shape))
                return self.op("Mul", [y, self.scalar(0.5)], x.shape)
            case "gelu_tanh":
                y = self.op("Mul", [self.op("Pow", [x, self.scalar(3)], x.shape), self.scalar(0.044715)], x.shape)
                y = self.op("Mul", [self.add(x, y), self.scalar(math.sqrt(2 / math.pi))], x.shape)
                y = self.op("Add", [self.op("Tanh", [y], x.shape), self.scalar(1)], x.shape)
                return self.mul(self.op("Mul", [x, self.scalar(0.5)], x.shape), y)
            case "silu":
                return self.mul(x, unary("Sigmoid"))
            case "hardsigmoid":
                return unary("HardSigmoid", alpha=1 / 6, beta=0.5)
            case "hardswish":
                return self.mul(x, unary("HardSigmoid", alpha=1 / 6, beta=0.5))
        raise ValueError(kind)

    def add(self, a: Value, b: Value) -> Value:
        return self.op("Add", [a, b], a.shape)

    def mul(self, a: Value, b: Value) -> Value:
        return self.op("Mul", [a, b], a.shape)

    def concat(self, parts: Sequence[Value], axis: int = 1) -> Value:
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self.op("Concat", parts, shape, axis=axis)

    def split(self, x: Value) -> list[Value]:
        """Two halves of the channels."""
        n, c, h, w = x.shape
        half = (n, c // 2, h, w)
        return self.op("Split", [x, self.constant(np.array([c // 2] * 2))], half, half, axis=1)

    def reshape(self, x: Value, *shape: int) -> Value:
        return self.op("Reshape", [x, self.constant(np.array(shape))], shape)

    def transpose(self, x: Value, *perm: int) -> Value:
        return self.op("Transpose", [x], [x.shape[k] for k in perm], perm=perm)

    def flatten(self, x: Value) -> Value:
        return self.op("Flatten", [x], (x.shape[0], math.prod(x.shape[1:])), axis=1)

    def max_pool(self, x: Value, kernel: int, stride: int, pad: int = 0, ceil: bool = False) -> Value:
        n, c, *extents = x.shape
        steps = [extent + 2 * pad - kernel + (stride - 1 if ceil else 0) for extent in extents]
        return self.op("MaxPool", [x], (n, c, *(step // stride + 1 for step in steps)), kernel_shape=[kernel] * 2,
                       strides=[stride] * 2, pads=[pad] * 4, ceil_mode=int(ceil))

    def average_pool(self, x: Value, kernel: int) -> Value:
        n, c, h, w = x.shape
        return self.op("AveragePool", [x], (n, c, h // kernel, w // kernel), kernel_shape=[kernel] * 2,
                       strides=[kernel] * 2)

    def global_pool(self, x: Value) -> Value:
        return self.op("GlobalAveragePool", [x], (*x.shape[:2], 1, 1))

    def upsample(self, x: Value) -> Value:
        n, c, h, w = x.shape
        return self.op("Resize", [x, "", self.constant(np.array([1, 1, 2, 2], np.float32))], (n, c, 2 * h, 2 * w),
                       mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")

    # Several layers that architectures share

    def classifier(self, x: Value) -> Value:
        return self.linear(self.flatten(self.global_pool(x)), 1000)

    def squeeze_excite(self, x: Value, channels: int, act: str, gate: str) -> Value:
        s = self.conv(self.global_pool(x), channels, act=act, bias="plain")
        return self.mul(x, self.conv(s, x.shape[1], act=gate, bias="plain"))

    def inverted_residual(self, x: Value, expanded: int, channels: int, kernel: int, stride: int, act: str,
                          squeeze: int = 0, squeeze_acts: tuple[str, str] = ("", "")) -> Value:
        """MobileNetV2's block: expand, depthwise, (squeeze and excite), project."""
        y = x if expanded == x.shape[1] else self.conv(x, expanded, act=act)
        y = self.conv(y, expanded, kernel, stride, groups=expanded, act=act)
        if squeeze:
            y = self.squeeze_excite(y, squeeze, *squeeze_acts)
        residual = stride == 1 and channels == x.shape[1]
        y = self.conv(y, channels, gain=(2 if squeeze else 1) * (0.5 if residual else 1))  # gates are near 1/2
        return self.add(x, y) if residual else y


@dataclass(frozen=True)
class Architecture:
    build: Callable[[Builder], Value]
    parameters: int
    gmacs: float


ARCHITECTURES: dict[str, Architecture] = {}


def architecture(parameters: int, gmacs: float):
    """Registers a function that builds what its name says. `gmacs`: 1e9 multiply-adds of convolutions and linear layers."""
    def register(build: Callable[[Builder], Value]):
        ARCHITECTURES[build.__name__] = Architecture(build, parameters, gmacs)
        return build
    return register


# Parameters and multiply-adds are those that torchvision states for its models, where nothing else is said.

@architecture(1_235_496, 0.388)
def squeezenet1_1(b: Builder) -> Value:
    """Iandola et al. 2016, table 1, in its later version 1.1, at Caffe's 227x227 (0.349 GMACs at torchvision's 224x224)."""
    def conv(x: Value, channels: int, kernel: int, **more) -> Value:
        return b.conv(x, channels, kernel, act="relu", bias="plain", **more)

    def fire(x: Value, squeeze: int, expand: int) -> Value:
        s = conv(x, squeeze, 1)
        return b.concat([conv(s, expand, 1), conv(s, expand, 3)])

    x = conv(b.input("data", 1, 3, 227, 227), 64, 3, stride=2, pad=0)
    for fires in [[(16, 64)] * 2, [(32, 128)] * 2, [(48, 192)] * 2 + [(64, 256)] * 2]:
        x = b.max_pool(x, 3, 2, ceil=True)
        for squeeze, expand in fires:
            x = fire(x, squeeze, expand)
    x = b.flatten(b.global_pool(conv(x, 1000, 1)))
    return b.op("Softmax", [x], x.shape, axis=1)


@architecture(3_504_872, 0.301)
def mobilenet_v2(b: Builder) -> Value:
    """Sandler et al. 2018, table 2."""
    x = b.conv(b.input("data", 1, 3, 224, 224), 32, 3, 2, act="relu6")
    for expansion, channels, blocks, stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                                (6, 160, 3, 2), (6, 320, 1, 1)]:
        for k in range(blocks):
            x = b.inverted_residual(x, x.shape[1] * expansion, channels, 3, 1 if k else stride, "relu6")
    return b.classifier(b.conv(x, 1280, act="relu6"))


@architecture(5_483_032, 0.217)
def mobilenet_v3_large(b: Builder) -> Value:
    """Howard et al. 2019, table 1."""
    x = b.conv(b.input("data", 1, 3, 224, 224), 16, 3, 2, act="hardswish")
    for kernel, expanded, channels, squeeze, act, stride in [
            (3, 16, 16, 0, "relu", 1), (3, 64, 24, 0, "relu", 2), (3, 72, 24, 0, "relu", 1), (5, 72, 40, 24, "relu", 2),
            (5, 120, 40, 32, "relu", 1), (5, 120, 40, 32, "relu", 1), (3, 240, 80, 0, "hardswish", 2),
            (3, 200, 80, 0, "hardswish", 1), (3, 184, 80, 0, "hardswish", 1), (3, 184, 80, 0, "hardswish", 1),
            (3, 480, 112, 120, "hardswish", 1), (3, 672, 112, 168, "hardswish", 1), (5, 672, 160, 168, "hardswish", 2),
            (5, 960, 160, 240, "hardswish", 1), (5, 960, 160, 240, "hardswish", 1)]:
        x = b.inverted_residual(x, expanded, channels, kernel, stride, act, squeeze, ("relu", "hardsigmoid"))
    x = b.flatten(b.global_pool(b.conv(x, 960, act="hardswish")))
    return b.linear(b.linear(x, 1280, act="hardswish"), 1000)


@architecture(2_278_604, 0.145)
def shufflenet_v2_x1_0(b: Builder) -> Value:
    """Ma et al. 2018, table 5 and figure 3."""
    def shuffle(x: Value) -> Value:
        n, c, h, w = x.shape
        return b.reshape(b.transpose(b.reshape(x, n, 2, c // 2, h, w), 0, 2, 1, 3, 4), n, c, h, w)

    def branch(x: Value, channels: int, stride: int) -> Value:
        y = b.conv(x, channels, act="relu")
        return b.conv(b.conv(y, channels, 3, stride, groups=channels), channels, act="relu")

    x = b.max_pool(b.conv(b.input("data", 1, 3, 224, 224), 24, 3, 2, act="relu"), 3, 2, 1)
    for channels, blocks in [(116, 4), (232, 8), (464, 4)]:
        half = channels // 2
        left = b.conv(b.conv(x, x.shape[1], 3, 2, groups=x.shape[1]), half, act="relu")
        x = shuffle(b.concat([left, branch(x, half, 2)]))
        for _ in range(blocks - 1):
            left, right = b.split(x)
            x = shuffle(b.concat([left, branch(right, half, 1)]))
    x = b.conv(x, 1024, act="relu")
    return b.linear(b.op("ReduceMean", [x], x.shape[:2], axes=[2, 3], keepdims=0), 1000)


def resnet(b: Builder, blocks: Sequence[int], bottleneck: bool, groups: int = 1, group_width: int = 64) -> Value:
    """He et al. 2015, table 1; the stride of a bottleneck is in its 3x3 convolution (version 1.5), as in torchvision."""
    x = b.conv(b.input("data", 1, 3, 224, 224), 64, 7, 2, act="relu")
    x = b.max_pool(x, 3, 2, 1)
    for stage, count in enumerate(blocks):
        width = (groups * group_width) << stage
        channels = (256 if bottleneck else 64) << stage
        for k in range(count):
            stride = 2 if stage and not k else 1
            if bottleneck:
                y = b.conv(b.conv(x, width, act="relu"), width, 3, stride, groups=groups, act="relu")
                y = b.conv(y, channels, gain=0.7)
            else:
                y = b.conv(b.conv(x, width, 3, stride, act="relu"), channels, 3, gain=0.7)
            if k == 0 and (stride, channels) != (1, x.shape[1]):
                x = b.conv(x, channels, 1, stride)
            x = b.act(b.add(y, x), "relu")
    return b.classifier(x)


@architecture(11_689_512, 1.814)
def resnet18(b: Builder) -> Value:
    """See resnet."""
    return resnet(b, [2, 2, 2, 2], bottleneck=False)


@architecture(25_557_032, 4.089)
def resnet50(b: Builder) -> Value:
    """See resnet."""
    return resnet(b, [3, 4, 6, 3], bottleneck=True)


@architecture(25_028_904, 4.230)
def resnext50_32x4d(b: Builder) -> Value:
    """Xie et al. 2017, table 1."""
    return resnet(b, [3, 4, 6, 3], bottleneck=True, groups=32, group_width=4)


@architecture(138_357_544, 15.470)
def vgg16(b: Builder) -> Value:
    """Simonyan and Zisserman 2014, table 1, column D."""
    x = b.input("data", 1, 3, 224, 224)
    for channels, count in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        for _ in range(count):
            x = b.conv(x, channels, 3, act="relu", bias="plain")
        x = b.max_pool(x, 2, 2)
    return b.linear(b.linear(b.linear(b.flatten(x), 4096, "relu"), 4096, "relu"), 1000)


@architecture(5_288_548, 0.386)
def efficientnet_b0(b: Builder) -> Value:
    """Tan and Le 2019, table 1."""
    x = b.conv(b.input("data", 1, 3, 224, 224), 32, 3, 2, act="silu")
    for expansion, channels, blocks, stride, kernel in [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5),
                                                        (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5),
                                                        (6, 320, 1, 1, 3)]:
        for k in range(blocks):
            c = x.shape[1]
            x = b.inverted_residual(x, c * expansion, channels, kernel, 1 if k else stride, "silu", c // 4,
                                    ("silu", "sigmoid"))
    return b.classifier(b.conv(x, 1280, act="silu"))


@architecture(6_624_904, 1.498)
def googlenet(b: Builder) -> Value:
    """Szegedy et al. 2014, table 1, as torchvision has it: normalised, 3x3 in place of 5x5, no auxiliary classifiers."""
    def conv(x: Value, channels: int, kernel: int = 1, stride: int = 1) -> Value:
        return b.conv(x, channels, kernel, stride, act="relu")

    def inception(x: Value, c1: int, c3_in: int, c3: int, c5_in: int, c5: int, pool: int) -> Value:
        return b.concat([conv(x, c1), conv(conv(x, c3_in), c3, 3), conv(conv(x, c5_in), c5, 3),
                         conv(b.max_pool(x, 3, 1, 1, ceil=True), pool)])

    x = b.max_pool(conv(b.input("data", 1, 3, 224, 224), 64, 7, 2), 3, 2, ceil=True)
    x = b.max_pool(conv(conv(x, 64), 192, 3), 3, 2, ceil=True)
    for widths in [(64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)]:
        x = inception(x, *widths)
    x = b.max_pool(x, 3, 2, ceil=True)
    for widths in [(192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
                   (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128)]:
        x = inception(x, *widths)
    x = b.max_pool(x, 2, 2, ceil=True)
    for widths in [(256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)]:
        x = inception(x, *widths)
    return b.classifier(x)


@architecture(7_978_856, 2.834)
def densenet121(b: Builder) -> Value:
    """Huang et al. 2017, table 1: growth 32, the normalisation of each layer's inputs cannot be folded."""
    def normalised(x: Value) -> Value:
        return b.act(b.batchnorm(x), "relu")

    x = b.max_pool(b.conv(b.input("data", 1, 3, 224, 224), 64, 7, 2, act="relu"), 3, 2, 1)
    for stage, layers in enumerate([6, 12, 24, 16]):
        if stage:
            x = b.average_pool(b.conv(normalised(x), x.shape[1] // 2, bias=None, gain=1.4), 2)
        parts = [x]
        for _ in range(layers):
            y = b.conv(normalised(b.concat(parts) if len(parts) > 1 else x), 128, act="relu")
            parts.append(b.conv(y, 32, 3, bias=None, gain=1.4))
        x = b.concat(parts)
    return b.classifier(normalised(x))


@architecture(1_872_157, 2.25)
def yolov5n(b: Builder) -> Value:
    """Ultralytics YOLOv5 6.0, models/yolov5n.yaml (1 872 157 parameters, 4.5 GFLOP), without the decoding of boxes."""
    def conv(x: Value, channels: int, kernel: int = 1, stride: int = 1, pad: int | None = None) -> Value:
        return b.conv(x, channels, kernel, stride, pad, act="silu")

    def c3(x: Value, channels: int, blocks: int, shortcut: bool = True) -> Value:
        y = conv(x, channels // 2)
        for _ in range(blocks):
            z = conv(conv(y, channels // 2), channels // 2, 3)
            y = b.add(y, z) if shortcut else z
        return conv(b.concat([y, conv(x, channels // 2)]), channels)

    def sppf(x: Value) -> Value:
        parts = [conv(x, x.shape[1] // 2)]
        for _ in range(3):
            parts.append(b.max_pool(parts[-1], 5, 1, 2))
        return conv(b.concat(parts), x.shape[1])

    def head(x: Value) -> Value:
        n, _, h, w = x.shape
        x = b.reshape(b.conv(x, 3 * 85, bias="plain"), n, 3, 85, h * w)
        return b.act(b.reshape(b.transpose(x, 0, 1, 3, 2), n, 3 * h * w, 85), "sigmoid")

    x = c3(conv(conv(b.input("images", 1, 3, 640, 640), 16, 6, 2, 2), 32, 3, 2), 32, 1)
    p3 = c3(conv(x, 64, 3, 2), 64, 2)
    p4 = c3(conv(p3, 128, 3, 2), 128, 3)
    p5 = sppf(c3(conv(p4, 256, 3, 2), 256, 1))
    top5 = conv(p5, 128)
    top4 = conv(c3(b.concat([b.upsample(top5), p4]), 128, 1, False), 64)
    out3 = c3(b.concat([b.upsample(top4), p3]), 64, 1, False)
    out4 = c3(b.concat([conv(out3, 64, 3, 2), top4]), 128, 1, False)
    out5 = c3(b.concat([conv(out4, 128, 3, 2), top5]), 256, 1, False)
    return b.concat([head(out3), head(out4), head(out5)])


@architecture(7_763_041, 12.071)
def unet(b: Builder) -> Value:
    """Ronneberger et al. 2015, figure 1, padded, with 32 channels at first, as in mateuszbuda/brain-segmentation-pytorch
    (which states its parameters; multiply-adds by our own count)."""
    def double(x: Value, channels: int) -> Value:
        return b.conv(b.conv(x, channels, 3, act="relu"), channels, 3, act="relu")

    x, skips = b.input("data", 1, 3, 256, 256), []
    for channels in (32, 64, 128, 256):
        skips.append(double(x, channels))
        x = b.max_pool(skips[-1], 2, 2)
    x = double(x, 512)
    for channels in (256, 128, 64, 32):
        x = double(b.concat([skips.pop(), b.up_conv(x, channels)]), channels)
    return b.conv(x, 1, act="sigmoid", bias="plain")


# Transformers and recurrent networks. Their multiply-adds are those of products, by our own count.

def encoder(b: Builder, layers: int, width: int, heads: int, length: int, first_norm: bool = False, x: Value | None = None,
            mask: Value | None = None) -> Value:
    """Layers of Vaswani et al. 2017, with GELU: normalised behind each part, as in BERT, or before it, as in ViT."""
    x = x or b.input("data", 1, length, width)
    for _ in range(layers):
        y = b.layer_norm(x) if first_norm else x
        q, k, v = (b.project(y, width) for _ in range(3))
        y = b.attention(b.heads(q, heads, 0, 2, 1, 3), b.heads(k, heads, 0, 2, 3, 1), b.heads(v, heads, 0, 2, 1, 3), mask)
        x = b.add(b.project(y, width), x)
        if not first_norm:
            x = b.layer_norm(x)
        y = b.project(b.project(b.layer_norm(x) if first_norm else x, 4 * width, "gelu"), width)
        x = b.add(y, x)
        if not first_norm:
            x = b.layer_norm(x)
    return x


def bert(length: int):
    """Four of the twelve layers of BERT-base (Devlin et al. 2018), behind the embeddings, with a mask of keys."""
    def build(b: Builder) -> Value:
        return encoder(b, 4, 768, 12, length, mask=b.input("mask", 1, 1, 1, length))
    build.__name__ = f"bert_{length}"
    return build


architecture(28_351_488, 0.455)(bert(16))
architecture(28_351_488, 3.724)(bert(128))
architecture(28_351_488, 16.106)(bert(512))


@architecture(10_646_784, 1.434)
def minilm_l6(b: Builder) -> Value:
    """Wang et al. 2020: six layers of 384, as in all-MiniLM-L6-v2, 128 tokens behind the embeddings."""
    return encoder(b, 6, 384, 12, 128, mask=b.input("mask", 1, 1, 1, 128))


@architecture(22_050_664, 4.598)
def vit_s16(b: Builder) -> Value:
    """Dosovitskiy et al. 2020, at the width of Touvron et al. 2020 (which states its parameters), 224x224."""
    x = b.conv(b.input("data", 1, 3, 224, 224), 384, 16, 16, pad=0, bias="plain")
    x = b.transpose(b.reshape(x, 1, 384, 196), 0, 2, 1)
    x = b.op("Concat", [b.normal((1, 1, 384), 0.02), x], (1, 197, 384), axis=1)
    x = b.op("Add", [x, b.normal((1, 197, 384), 0.02)], x.shape)
    b.parameters += 198 * 384
    x = b.layer_norm(encoder(b, 12, 384, 6, 197, first_norm=True, x=x))
    first = b.op("Gather", [x, b.constant(np.array(0))], (1, 384), axis=1)
    return b.linear(first, 1000)


def gpt2(length: int, past: int):
    """Two of the twelve layers of GPT-2 (Radford et al. 2019): a prompt, or a token behind `past` others."""
    def build(b: Builder) -> Value:
        x = b.input("data", 1, length, 768)
        for layer in range(2):
            y = b.layer_norm(x)
            q, k, v = (b.heads(b.project(y, 768), 12, 0, 2, 1, 3) for _ in range(3))
            if past:
                k, v = (b.concat([b.input(f"past_{name}{layer}", 1, 12, past, 64), new], 2) for name, new in (("k", k), ("v", v)))
            y = b.attention(q, b.transpose(k, 0, 1, 3, 2), v, causal=length > 1)
            x = b.add(b.project(y, 768), x)
            x = b.add(b.project(b.project(b.layer_norm(x), 3072, "gelu_tanh"), 768), x)
        return b.layer_norm(x)
    build.__name__ = f"gpt2_past_{past}" if past else f"gpt2_{length}"
    return build


architecture(14_177_280, 1.862)(gpt2(128, 0))
architecture(14_177_280, 0.0146)(gpt2(1, 128))


@architecture(921_600, 0.0918)
def lstm(b: Builder) -> Value:
    """Two layers of 256 units (Hochreiter and Schmidhuber 1997; Gers et al. 1999), 100 steps of 128 inputs."""
    return b.recurrent("LSTM", b.recurrent("LSTM", b.input("data", 100, 1, 128), 256), 256)


@architecture(691_200, 0.0688)
def gru(b: Builder) -> Value:
    """Two layers of 256 units (Cho et al. 2014), 100 steps of 128 inputs."""
    return b.recurrent("GRU", b.recurrent("GRU", b.input("data", 100, 1, 128), 256), 256)


@architecture(98_816, 0.0393)
def tcn(b: Builder) -> Value:
    """Bai et al. 2018, figure 1: causal convolutions of 3, dilated by 1 to 8, of 64 channels, two per residual block."""
    x = b.input("data", 1, 64, 400)
    for level in range(4):
        y, d = x, 2 ** level
        for _ in range(2):
            y = b.op("Pad", [y, b.constant(np.array([0, 0, 2 * d, 0, 0, 0]))], (1, 64, 400 + 2 * d))
            b.parameters += 64 * 64 * 3 + 64
            b.macs += 64 * 64 * 3 * 400
            weights = [b.normal((64, 64, 3), 1 / math.sqrt(96)), b.normal((64,), 0.05)]
            y = b.act(b.op("Conv", [y, *weights], (1, 64, 400), kernel_shape=[3], dilations=[d]), "relu")
        x = b.act(b.add(x, y), "relu")
    return x


def make(name: str) -> onnx.ModelProto:
    expected = ARCHITECTURES[name]
    b = Builder(name)
    output = expected.build(b)
    assert b.parameters == expected.parameters, f"{name}: {b.parameters} parameters instead of {expected.parameters}"
    assert abs(b.macs / 1e9 / expected.gmacs - 1) < 0.01, f"{name}: {b.macs / 1e9:.4f} GMACs instead of {expected.gmacs}"
    model = b.finish(output)
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="OUT_DIR NAME")
    parser.add_argument("--check", action="store_true", help="build the models, and write nothing")
    parser.add_argument("--list", action="store_true", help="list the architectures")
    arguments = parser.parse_args()
    if arguments.list:
        for name, it in ARCHITECTURES.items():
            print(f"{name:20} {it.parameters / 1e6:7.2f} M parameters {it.gmacs:6.2f} GMACs")
        return 0
    if not arguments.check and not arguments.words:
        parser.error("give a folder to write to, --check or --list")
    folder = None if arguments.check else Path(arguments.words.pop(0))
    if unknown := set(arguments.words) - set(ARCHITECTURES):
        parser.error(f"no architecture of this name: {', '.join(sorted(unknown))}")
    for name in arguments.words or ARCHITECTURES:
        model = make(name)
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            onnx.save(model, folder / f"{name}.onnx")
        print(name, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
