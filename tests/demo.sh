#!/usr/bin/env bash
# demo.sh INLAY DEMO_FOLDER: the demo model, converted and run by the command, gives the stored probabilities and label.
set -euo pipefail
export LC_ALL=C
inlay=$1 demo=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The float32 values of a .npy file of version 1, one per line.
values() {
  local header
  header=$(od -An -tu2 -j8 -N2 "$1")
  od -An -v -w4 -tf4 -j $((10 + header)) "$1"
}

"$inlay" convert "$demo/demo.onnx" -o "$out/demo.inlay" --image rgb,resize:64x64
"$inlay" run "$out/demo.inlay" -i "$demo/picture.png" -o "$out"
paste <(values "$demo/expected.npy") <(values "$out/probabilities.npy") | awk '
  { error = $1 - $2; if (error < 0) error = -error; if (error > worst) worst = error }
  NF != 2 || $2 !~ /^-?[0-9]/ { print "line " NR ": expected a pair of numbers, got: " $0; bad = 1 }
  !(error <= 1e-4) { print "class " NR - 1 ": expected " $1 ", got " $2; bad = 1 }
  END { print NR " probabilities, largest error " worst + 0; exit bad || NR != 10 }'

expected=$(paste -d' ' <(values "$demo/expected.npy") "$demo/labels.txt" | sort -rg | awk 'NR == 1 { print $2 }')
"$inlay" run "$out/demo.inlay" -i "$demo/picture.png" --labels "$demo/labels.txt" --top 1 | tee "$out/answer"
answer=$(awk '$1 == "1." { print $3 }' "$out/answer")
[ "$answer" = "$expected" ] || { echo "expected the label '$expected', got '$answer'"; exit 1; }
