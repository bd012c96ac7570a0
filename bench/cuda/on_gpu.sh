#!/usr/bin/env bash
# on_gpu.sh [-b BUILD] [-m MODELS] [-o FOLDER] [STEP…]: on a machine with an NVIDIA GPU, all that shows whether the CUDA backend is right
# and how fast it is, in some 12 minutes. Each step has a time limit and a log in FOLDER (default: BUILD/on_gpu); the table at
# the end says how each went. Exit status 0: none failed.
#
#   device       what the GPU is
#   cases        every kernel against the CPU's (tests_cuda_device)
#   plans        placement, copies, replayed graphs, streams (tests_device)
#   conformance  ONNX's node cases, each op on the device where it has a kernel
#   models       the models of MODELS against their stored results (default: ../shared/models)
#   sanitizer    compute-sanitizer: memory, races and barriers of every kernel on small cases
#   kernels      bench_cuda, beside peaks, cuBLAS and cuDNN
#   pytorch      ResNet-50, MobileNetV2 and BERT-base at batch 1 beside PyTorch (pytorch.py), where it is installed
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$root/build/release models='' out=''
while getopts b:m:o:h option; do
  case $option in
    b) build=$(cd "$OPTARG" && pwd) || exit 2 ;;
    m) models=$OPTARG ;;
    o) out=$OPTARG ;;
    h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
out=${out:-$build/on_gpu}
mkdir -p "$out"
library=$build/libinlay_cuda.so
[ -e "$library" ] || { echo "there is no $library: build it first, with nvcc on PATH" >&2; exit 1; }
export INLAY_CUDA_LIBRARY=$library INLAY_TEST_CUDA=$library
[ -z "$models" ] || export INLAY_SHARED=$models/..

device() { nvidia-smi; }
cases() { "$build/tests/tests_cuda_device" --gtest_brief=1; }
plans() { "$build/tests/tests_device" --gtest_brief=1; }
conformance() {
  local data=$build/conformance/data/node
  [ -d "$data" ] || "$root/tests/models/conformance_data.sh" "$root" "$build/conformance" || return
  "$build/tests/onnx_conformance" --on-device --seconds 20 --expect "$root/tests/models/conformance_failures.tsv" "$data"
}
models() { "$build/tests/tests_models" --gtest_brief=1 '--gtest_filter=*OnTheEmulatedDevice*'; }
sanitizer() {
  command -v compute-sanitizer >/dev/null || { echo 'skipped: no compute-sanitizer'; return 77; }
  local small='-*RandomGeometry*:*AgainstSorting*:*EveryKind*:CudaGeneratedSource*' tool
  for tool in memcheck racecheck synccheck; do
    echo "== $tool"
    compute-sanitizer --tool "$tool" --error-exitcode 9 "$build/tests/tests_cuda_device" --gtest_brief=1 "--gtest_filter=$small" || return
  done
}
kernels() { "$build/bench_cuda"; }
pytorch() { python3 "$here/pytorch.py" --inlay "$build/inlay" --folder "$out"; }

declare -A limit=([device]=20 [cases]=120 [plans]=60 [conformance]=150 [models]=150 [sanitizer]=240 [kernels]=90 [pytorch]=180)
steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(device cases plans conformance models kernels pytorch sanitizer)
failed=0 table=''
for step in "${steps[@]}"; do
  [ -n "${limit[$step]:-}" ] || { echo "there is no step '$step'" >&2; exit 2; }
  echo "== $step"
  begin=$SECONDS
  export -f "$step"
  export build root here out
  timeout "${limit[$step]}" bash -c "$step" >"$out/$step.log" 2>&1
  status=$?
  tail -n 40 "$out/$step.log"
  case $status in
    0) word=passed ;;
    77) word=skipped ;;
    124) word="out of time" failed=1 ;;
    *) word="failed ($status)" failed=1 ;;
  esac
  table+=$(printf '%-12s %-12s %4d s' "$step" "$word" $((SECONDS - begin)))$'\n'
done
printf '%s' "$table" | tee "$out/summary.txt"
exit $failed
