#!/usr/bin/env python3
"""Compares Inlay's CUDA backend with PyTorch on the same networks, at batch 1, in fp32 and fp16.

ResNet-50 and MobileNetV2 are torchvision's, BERT-base is transformers' (128 tokens), with random weights. Each is exported to ONNX,
which Inlay runs (`inlay bench`), and recorded as a CUDA graph in PyTorch, channels last, with cuDNN's search for the fastest
algorithm; fp32 means no TF32 in both. What both give is compared first. Packages that are not installed are named, and their
networks left out. Exit status: 0, or 1 if a result differs, 77 if there is no PyTorch or no GPU.
"""
import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

TOLERANCE = {"fp32": 2e-3, "fp16": 3e-2}  # of the largest number of an output


def networks(torch):
    """Name, module, input, name of the input; of what is installed."""
    torch.manual_seed(0)
    try:
        from torchvision.models import mobilenet_v2, resnet50
        for name, make in (("resnet50", resnet50), ("mobilenet_v2", mobilenet_v2)):
            yield name, make(weights=None).eval(), torch.rand(1, 3, 224, 224)
    except ImportError as e:
        print(f"left out: {e}")
    try:
        from transformers import BertConfig, BertModel

        class Bert(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = BertModel(BertConfig(attn_implementation="eager"))

            def forward(self, tokens):
                return self.model(tokens).last_hidden_state

        yield "bert_base", Bert().eval(), torch.randint(0, 30000, (1, 128))
    except ImportError as e:
        print(f"left out: {e}")


def milliseconds_of_pytorch(torch, module, given, half):
    """The median of replays of a CUDA graph, and the result."""
    module, given = module.cuda(), given.cuda()
    if half:
        module = module.half()
        given = given.half() if given.is_floating_point() else given
    if given.dim() == 4:
        module, given = module.to(memory_format=torch.channels_last), given.to(memory_format=torch.channels_last)
    stream = torch.cuda.Stream()
    with torch.inference_mode(), torch.cuda.stream(stream):
        for _ in range(5):
            module(given)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            result = module(given)
        times = []
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        for _ in range(300):
            begin.record(stream)
            graph.replay()
            end.record(stream)
            end.synchronize()
            times.append(begin.elapsed_time(end))
    return statistics.median(times[50:]), result.float().cpu().numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inlay", type=Path, required=True, help="the inlay command")
    parser.add_argument("--folder", type=Path, default=Path("."), help="where models and results go")
    arguments = parser.parse_args()
    try:
        import numpy
        import torch
    except ImportError as e:
        print(f"skipped: {e}")
        return 77
    if not torch.cuda.is_available():
        print("skipped: PyTorch sees no GPU")
        return 77
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False

    def inlay(*words):
        return subprocess.run([arguments.inlay, *map(str, words)], check=True, capture_output=True, text=True).stdout

    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    print(f"{'network':14} {'':5} {'PyTorch ms':>11} {'Inlay ms':>9} {'ratio':>6} {'difference':>11}")
    wrong = False
    for name, module, given in networks(torch):
        folder = arguments.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        model, source = folder / "model.onnx", folder / "input.npy"
        with torch.inference_mode():
            torch.onnx.export(module, (given,), str(model), input_names=["x"], output_names=["y"], opset_version=17, dynamo=False)
        numpy.save(source, given.numpy())
        for precision in ("fp32", "fp16"):
            theirs, want = milliseconds_of_pytorch(torch, module, given, precision == "fp16")
            inlay("run", model, "-i", f"x={source}", "-o", folder, "--device", "cuda", "--precision", precision)
            got = numpy.load(folder / "y.npy")
            difference = float(abs(got - want).max() / abs(want).max())
            wrong |= not difference < TOLERANCE[precision]
            ours = json.loads(inlay("bench", model, "--device", "cuda", "--precision", precision, "-t", 1, "--json"))[0]["p50_ms"]
            print(f"{name:14} {precision:5} {theirs:11.3f} {ours:9.3f} {theirs / ours:6.2f} {difference:11.2g}"
                  f"{'' if difference < TOLERANCE[precision] else '  wrong'}", flush=True)
        profile = folder / "profile.json"
        profile.write_text(inlay("profile", model, "--device", "cuda", "--precision", "fp16", "--json"))
        for step in sorted(json.loads(profile.read_text())["steps"], key=lambda s: -s["ms"])[:3]:
            print(f"  {step['ms']:.4f} ms in fp16: {step['kernel']}, {step['gflops_per_s'] / 1e3:.2f} TFLOP/s, "
                  f"{step['gb_per_s'] / 1e3:.3f} TB/s: {'; '.join(step['origins'])[:80]}")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
