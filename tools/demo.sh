#!/usr/bin/env bash
# From a fresh clone to a classified picture: installs what is missing, builds `inlay`, converts the demo model, runs it.
# BUILD_DIR chooses where the build lies.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(realpath -m "${BUILD_DIR:-$root/build/release}")
step() { printf '\n== %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }

step "What the build needs"
"$root/tools/setup.sh"
echo "all there"

step "Building inlay"
cd "$root"
cmake --preset release -B "$build" >/dev/null
cmake --build "$build" --target inlay --parallel "$(nproc)"

step "Converting the demo model, once: ONNX in, one .inlay file out"
PATH=$build:$PATH
model=$build/demo.inlay
show inlay convert tools/demo/demo.onnx -o "$model" --image rgb,resize:64x64
stat -c '%9s bytes  %n' tools/demo/demo.onnx "$model"

step "Classifying tools/demo/picture.png"
answer=$(show inlay run "$model" -i tools/demo/picture.png --labels tools/demo/labels.txt --top 3)
echo "$answer"

step "Done"
echo "$answer" | awk '$1 == "1." { printf "The picture shows: %s (probability %s)\n", $3, $2 }'
echo "More to try:
  $build/inlay run $model -i PHOTO --labels tools/demo/labels.txt    (any JPEG, PNG, BMP or GIF)
  $build/inlay info $model --layers
  $build/inlay bench $model"
