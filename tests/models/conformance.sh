#!/usr/bin/env bash
# conformance.sh ONNX_CONFORMANCE TABLE FOLDER [OPTION…]: of a folder of ONNX's backend test cases, exactly those fail that the
# table lists. Exit status 77 (skipped) where there is no such folder.
set -euo pipefail
[ -d "$3" ] || { echo "skipped: no conformance cases at $3"; exit 77; }
exec "$1" --expect "$2" "${@:4}" "$3"
