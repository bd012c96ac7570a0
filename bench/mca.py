#!/usr/bin/env python3
"""Predicts the inner loops of the NEON kernels with llvm-mca, where there is no ARM core to measure.

    mca.py [--clang]      a table: for each loop and core, cycles of a turn beside those that its multiply-adds alone take

Needs aarch64-linux-gnu-g++ (or clang++) and llvm-mca of LLVM 17 or later, the first whose models know the cores. How many multiply-adds
a core starts in a cycle is asked of the same model, with independent ones alone. LLVM's Cortex-A76 is its model of the Cortex-A57,
where a multiply-add of four floats takes both pipes, and one of eight halves waits five cycles for another: 8 and 14 sums are too few for
it then, and rows without it. The Neoverse N1 is the A76's sibling. The exit status is 1 where a loop takes
more than 1.1 times what its multiply-adds do, or reads or writes the stack, as that of two rows of halves does for the bias.
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORES = ["cortex-a76", "neoverse-n1", "neoverse-n2"]
FEATURES = "-mattr=+dotprod,+i8mm,+fullfp16"
# What, file, flags, function as mangled, its multiply-add, an independent one, cores without it; how many multiply-adds a turn has,
# where it is no loop without labels: from its first load to the last of them.
LOOPS = [
    ("gemm f32, conv: 8x8", "tile/neon", [], "10run_packedILi8ELi2E", "fmla", "fmla v{}.4s, v30.4s, v31.s[0]", []),
    ("gemm f32, conv: 4x8", "tile/neon", [], "10run_packedILi4ELi2E", "fmla", "fmla v{}.4s, v30.4s, v31.s[0]", []),
    ("gemm f16, conv: 8x16", "tile/neon_fp16", ["-march=armv8.2-a+fp16"], "3runILi8ELi4E", "fmla", "fmla v{}.8h, v30.8h, v15.h[0]", []),
    ("gemm f16, conv: 4x16", "tile/neon_fp16", ["-march=armv8.2-a+fp16"], "7sums_ofILi4ELi2E", "fmla", "fmla v{}.8h, v30.8h, v15.h[0]", ["cortex-a76"]),
    ("unpacked A: 8x8", "tile/neon", [], "3runILi8ELi2E", "fmla", "fmla v{}.4s, v30.4s, v31.s[0]", []),
    ("unpacked A: 7x8", "tile/neon", [], "3runILi7ELi2E", "fmla", "fmla v{}.4s, v30.4s, v31.s[0]", []),
    ("depthwise 3x3, two rows", "conv/depthwise_neon", [], "10pair_blockILi7ELb0ELb1E", "fmla", "fmla v{}.4s, v30.4s, v31.4s", [], 2 * 7 * 9),
    ("depthwise 3x3, one row", "conv/depthwise_neon", [], "5blockILi3ELi1ELi8ELb0E", "fmla", "fmla v{}.4s, v30.4s, v31.4s", []),
    ("depthwise 3x3, stride 2", "conv/depthwise_neon", [], "5blockILi3ELi2ELi8ELb0E", "fmla", "fmla v{}.4s, v30.4s, v31.4s", []),
    ("depthwise 5x5", "conv/depthwise_neon", [], "5blockILi5ELi1ELi8ELb0E", "fmla", "fmla v{}.4s, v30.4s, v31.4s", []),
    ("depthwise f16 3x3, two rows", "conv/depthwise_neon_fp16", ["-march=armv8.2-a+fp16"], "10pair_blockILi7ELb0ELb1E", "fmla", "fmla v{}.8h, v30.8h, v31.8h", ["cortex-a76"], 2 * 7 * 9),
    ("depthwise f16 3x3, one row", "conv/depthwise_neon_fp16", ["-march=armv8.2-a+fp16"], "5blockILi3ELi1ELi8ELb0E", "fmla", "fmla v{}.8h, v30.8h, v31.8h", ["cortex-a76"]),
    ("depthwise f16 3x3, stride 2", "conv/depthwise_neon_fp16", ["-march=armv8.2-a+fp16"], "5blockILi3ELi2ELi8ELb0E", "fmla", "fmla v{}.8h, v30.8h, v31.8h", ["cortex-a76"]),
    ("depthwise f16 5x5", "conv/depthwise_neon_fp16", ["-march=armv8.2-a+fp16"], "5blockILi5ELi1ELi8ELb0E", "fmla", "fmla v{}.8h, v30.8h, v31.8h", ["cortex-a76"]),
    ("gemm s8: 8x8", "gemm_s8/neon", [], "3runILi8E", "smlal", "smlal v{}.4s, v30.4h, v15.h[0]", []),
    ("gemm s8, sdot: 8x8", "gemm_s8/neon_dot", ["-march=armv8.2-a+dotprod"], "3runILi8E", "sdot", "sdot v{}.4s, v30.16b, v31.4b[0]", []),
    ("gemm s8, smmla: 8x8", "gemm_s8/neon_i8mm", ["-march=armv8.2-a+dotprod+i8mm"], "3runILi8E", "smmla",
     "smmla v{}.4s, v30.16b, v31.16b", ["cortex-a76", "neoverse-n1"]),
]


def assembly(compiler, file, flags):
    command = [*compiler, "-std=c++20", f"-I{ROOT}", "-O3", "-DNDEBUG", "-fPIC", "-S", "-o", "-", *flags, f"{ROOT}/kernels/{file}.cpp"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"\.(isra|constprop|part)\.\d+", "", re.sub(r"\s*//.*", "", text))


def inner_loop(text, function, instruction):
    """Of the function's loops without a label inside, the one with most of the instruction."""
    body = re.search(rf"^(\w*{function}\w*):\n(.*?)^\t\.size\t\1", text, re.M | re.S).group(2).split("\n")
    labels = {line[:-1]: i for i, line in enumerate(body) if re.match(r"\.\w+:$", line)}
    best, most = [], 0
    for i, line in enumerate(body):
        branch = re.match(r"\tc?b\.?\w*\t(?:.*, *)?(\.L\w+)$", line)
        if not branch or labels.get(branch.group(1), i) >= i:
            continue
        loop = body[labels[branch.group(1)] : i + 1]
        count = sum(bool(re.match(rf"\t{instruction}2?\t", x)) for x in loop)
        if count > most and not any(re.match(r"\.L\w+:$", x) for x in loop[1:]):
            best, most = loop, count
    return [line for line in best if re.match(r"\t[a-z]", line)], most


def turn(text, function, instruction, count):
    body = re.search(rf"^(\w*{function}\w*):\n(.*?)^\t\.size\t\1", text, re.M | re.S).group(2).split("\n")
    last = [i for i, line in enumerate(body) if re.match(rf"\t{instruction}\t", line)][count - 1]
    first = next(i for i, line in enumerate(body) if line.startswith("\tld1"))
    return [line for line in body[first : last + 1] if re.match(r"\t[a-z]", line)], count


def cycles(mca, core, lines):
    turns = 500
    command = [mca, "-mtriple=aarch64", f"-mcpu={core}", FEATURES, f"-iterations={turns}"]
    out = subprocess.run(command, input="\n".join(lines), check=True, capture_output=True, text=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", out).group(1)) / turns


def main():
    clang = "--clang" in sys.argv[1:]
    mca = next((path for name in ("llvm-mca", *(f"llvm-mca-{v}" for v in range(30, 16, -1))) if (path := shutil.which(name))
                and " 14." not in subprocess.run([path, "--version"], capture_output=True, text=True).stdout), None)
    if not mca:
        sys.exit("mca.py: no llvm-mca of LLVM 17 or later is installed (Debian: llvm-19)")
    compiler = ["clang++", "--target=aarch64-linux-gnu"] if clang else ["aarch64-linux-gnu-g++", "-fno-schedule-insns"]
    bad = False
    print(f"{'loop':28}{'core':13}{'insns':>6}{'of them':>14}{'a cycle':>9}{'ideal':>8}{'cycles':>8}{'ratio':>7}  stack  loads of several")
    for what, file, flags, function, instruction, alone, without, *of_turn in LOOPS:
        text = assembly(compiler, file, flags)
        loop, count = turn(text, function, instruction, *of_turn) if of_turn else inner_loop(text, function, instruction)
        stack = sum("[sp" in line for line in loop)
        pairs = sum(line.startswith(("\tldp", "\tld1")) for line in loop)
        for core in CORES:
            if core in without:
                continue
            rate = 24 / cycles(mca, core, ["\t" + alone.format(i) for i in range(12)] * 2)
            rate = round(rate * 2) / 2  # the start of the pipeline is in the count
            ideal, took = count / rate, cycles(mca, core, loop)
            bad |= took > 1.1 * ideal or stack > 0
            print(f"{what:28}{core:13}{len(loop):6}{count:8} {instruction:5}{rate:9.1f}{ideal:8.1f}{took:8.1f}{took / ideal:7.3f}{stack:7}{pairs:12}")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
