#!/usr/bin/env bash
# conformance.sh ONNX_CONFORMANCE LIST SOURCE_DIR BUILD_DIR: the listed cases of ONNX's backend tests pass. The archive
# of cases is unpacked into the build folder once. Exit status 77 (skipped) where there is none.
set -euo pipefail
program=$1 list=$2 shared=${INLAY_SHARED:-$3/../shared} folder=$4/conformance
archive=$shared/conformance/cases.tar.xz
[ -f "$archive" ] || { echo "skipped: no conformance cases at $archive"; exit 77; }
if [ ! -e "$folder/done" ] || [ "$archive" -nt "$folder/done" ]; then
  rm -rf "$folder"
  mkdir -p "$folder"
  tar -xJf "$archive" -C "$folder"
  touch "$folder/done"
fi
exec "$program" --list "$list" "$folder/data"
