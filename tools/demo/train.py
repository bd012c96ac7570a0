"""Trains the demo network on pictures from render.py, measures it on held-back ones, and writes what the demo ships.

    pip install -r requirements.txt
    python train.py                 about a quarter of an hour on one core; writes into this folder
"""
import argparse
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from PIL import Image
from torch import nn

import render

TRAIN_SEED, HELD_BACK_SEED = 1, 1001  # a picture depends on (seed, index), so the two sets share none
DEMO_PICTURE = 52  # of the held-back ones: an umbrella, chosen by eye before training


class ConvNorm(nn.Sequential):
    def __init__(self, inputs, outputs, kernel, stride=1, groups=1):
        super().__init__(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(outputs), nn.ReLU())


class Separable(nn.Module):
    """A depthwise 3x3 and a pointwise 1x1 convolution, with a shortcut around them where the shapes agree."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.depthwise = ConvNorm(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = ConvNorm(inputs, outputs, 1)
        self.shortcut = inputs == outputs and stride == 1

    def forward(self, x):
        y = self.pointwise(self.depthwise(x))
        return x + y if self.shortcut else y


class Network(nn.Module):
    """uint8 pictures [N, 64, 64, 3] -> logits [N, 10]."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([120.0, 120.0, 120.0]).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([64.0, 64.0, 64.0]).reshape(1, 3, 1, 1))
        self.stem = ConvNorm(3, 16, 3, 2)
        self.body = nn.Sequential(
            Separable(16, 32), Separable(32, 64, 2), Separable(64, 64), Separable(64, 96, 2), Separable(96, 96),
            Separable(96, 96), Separable(96, 160, 2))
        self.head = nn.Linear(160, len(render.KINDS))

    def forward(self, pictures):
        x = (pictures.to(torch.float32).permute(0, 3, 1, 2) - self.mean) / self.scale
        x = nn.functional.adaptive_avg_pool2d(self.body(self.stem(x)), 1)
        return self.head(torch.flatten(x, 1))


class Classifier(nn.Module):
    """What is exported: the network, then softmax."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pictures):
        return torch.softmax(self.network(pictures), 1)


def progress(text):
    print(text, end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


def pictures(seed, count, name):
    return render.dataset(seed, count, lambda done, of: progress(f"rendering {name} pictures {done}/{of}"))


def train(network, x, y, epochs, batch=128):
    optimiser = torch.optim.AdamW(network.parameters(), 4e-3, weight_decay=0.02)
    steps = len(x) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, epochs * steps, pct_start=0.2)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    network.train()
    for epoch in range(epochs):
        order, total, start = torch.randperm(len(x)), 0.0, time.monotonic()
        for step in range(steps):
            chosen = order[step * batch:(step + 1) * batch]
            picture = x[chosen]
            if step % 2:
                picture = picture.flip(2)
            loss = loss_of(network(picture), y[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        progress(f"epoch {epoch + 1}/{epochs}: loss {total / steps:.4f}, {time.monotonic() - start:.0f} s")
    network.eval()


def export(network, path):
    """Batch normalisation stays as nodes of its own: folding it is the converter's work."""
    example = torch.zeros((2, render.SIZE, render.SIZE, 3), dtype=torch.uint8)
    torch.onnx.export(Classifier(network).eval(), (example,), str(path), dynamo=False, opset_version=17,
                      input_names=["picture"], output_names=["probabilities"], do_constant_folding=False,
                      training=torch.onnx.TrainingMode.PRESERVE,
                      dynamic_axes={"picture": {0: "N"}, "probabilities": {0: "N"}})
    onnx.checker.check_model(onnx.load(path), full_check=True)


def report(probabilities, kinds):
    found = probabilities.argmax(1)
    lines = [f"{(found == kinds).mean():.2%} of {len(kinds)} held-back pictures; by kind, with the commonest mistakes:"]
    for kind, name in enumerate(render.KINDS):
        row = np.bincount(found[kinds == kind], minlength=len(render.KINDS))
        right, total = row[kind], row.sum()
        row[kind] = 0
        wrong = ", ".join(f"{render.KINDS[i]} {row[i]}" for i in np.argsort(-row, kind="stable")[:3] if row[i])
        lines.append(f"  {name:9} {right:4} of {total:4}   {wrong}")
    sure = probabilities.max(1) > 0.9
    lines.append(f"{sure.mean():.1%} of them get more than 0.9, and {(found == kinds)[sure].mean():.2%} of those are right")
    return "\n".join(lines)


def main():
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=here, help="the folder to write into")
    parser.add_argument("--pictures", type=int, default=20000)
    parser.add_argument("--held-back", type=int, default=5000, help="at least enough to hold the demo picture")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--evaluate", action="store_true", help="measure the demo.onnx that is there; train nothing")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    path = args.out / "demo.onnx"

    if not args.evaluate:
        x, y = pictures(TRAIN_SEED, args.pictures, "training")
        network = Network()
        train(network, torch.from_numpy(x), torch.from_numpy(y), args.epochs)
        export(network, path)
        print(f"{sum(p.numel() for p in network.parameters())} parameters, {path.stat().st_size} bytes")

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    run = lambda batch: session.run(None, {"picture": batch})[0]
    x, y = pictures(HELD_BACK_SEED, args.held_back, "held-back")
    print(report(np.concatenate([run(part) for part in np.array_split(x, max(1, len(x) // 100))]), y))

    if not args.evaluate:
        picture = x[DEMO_PICTURE:DEMO_PICTURE + 1]
        Image.fromarray(picture[0]).save(args.out / "picture.png")
        np.save(args.out / "expected.npy", run(picture))
        (args.out / "labels.txt").write_text("".join(kind + "\n" for kind in render.KINDS))
        print(f"picture {DEMO_PICTURE}: {render.KINDS[y[DEMO_PICTURE]]}, probabilities {np.round(run(picture)[0], 4)}")


if __name__ == "__main__":
    main()
