#!/usr/bin/env bash
# conformance_data.sh SOURCE_DIR FOLDER: unpacks ONNX's backend test cases into the folder, once. Exit status 77 (skipped)
# where there are none.
set -euo pipefail
shared=${INLAY_SHARED:-$1/../shared} folder=$2
archive=$shared/conformance/cases.tar.xz
[ -f "$archive" ] || { echo "skipped: no conformance cases at $archive"; exit 77; }
[ ! -e "$folder/done" ] || [ "$archive" -nt "$folder/done" ] || exit 0
rm -rf "$folder"
mkdir -p "$folder"
tar -xJf "$archive" -C "$folder"
touch "$folder/done"
