#!/usr/bin/env bash
# Checks who may include whom:  schema <- kernels <- engine <- converter <- tools;  tests and bench may include all.
#   include_rule.sh TREE          lists what breaks the rule; fails if anything does, or if there is nothing to check
#   include_rule.sh --self-test   shows that each kind of breach is found
set -euo pipefail

check() {
  cd "$1"
  local rooms=(schema kernels engine converter tools tests bench) present=() room
  for room in "${rooms[@]}"; do [ ! -d "$room" ] || present+=("$room"); done
  [ ${#present[@]} -gt 0 ] || { echo "no room found in $1"; return 1; }
  { grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' "${present[@]}" \
      --include='*.'{h,hpp,inc,def,c,cc,cpp,cu,cuh} || true; } | awk '
    BEGIN {
      split("schema kernels engine converter tools tests bench", names)
      for (i in names) level[names[i]] = i + 0
    }
    function breach(why) { print file ":" line ": \"" path "\": " why; breaches++ }
    {
      seen++
      split($0, part, ":"); file = part[1]; line = part[2]
      room = substr(file, 1, index(file, "/") - 1)
      quoted = match($0, /include[[:space:]]*"/)
      match($0, /["<][^">]+/); path = substr($0, RSTART + 1, RLENGTH - 1)
      from = substr(path, 1, index(path, "/") - 1)
      free = level[room] >= level["tests"]  # tests and bench
      public = from == "inlay"              # engine/include/inlay, the interface of the runtime

      if (path ~ /\.pb\.h$/ || path ~ /^google\/protobuf\//) {
        if (!free && room != "converter") breach("only converter/ and the tests know protobuf and ONNX")
      } else if (public) {
        if (level[room] < level["engine"]) breach(room "/ may not include engine/")
      } else if (!(from in level)) {
        if (quoted) breach("a path starts at the root, with the name of a room; others go in <>")
      } else if (path ~ /(^|\/)\.\.?\//) {
        breach("a path starts at the root")
      } else if (free || room == from) {
      } else if (level[from] > level[room]) {
        breach(room "/ may not include " from "/")
      } else if (room == "kernels" && path != "schema/dtypes.h" && path !~ /^schema\/[a-z_]+\.def$/) {
        breach("kernels/ may include of schema/ only dtypes.h and the .def tables")
      }
    }
    END {
      if (!seen) { print "no #include found: nothing was checked"; exit 1 }
      printf "%d includes, %d against the rule\n", seen, breaches
      exit breaches > 0
    }'
}

self_test() {
  tree=$(mktemp -d)
  trap 'rm -rf "$tree"' EXIT
  local failures=0 count=0
  try() {  # try STATUS FILE INCLUDE: a tree with this one line passes (0) or fails (1)
    rm -rf "${tree:?}"/*
    mkdir -p "$tree/$(dirname "$2")"
    printf '#pragma once\n%s\n' "$3" > "$tree/$2"
    local status=0
    (check "$tree") >/dev/null 2>&1 || status=$?
    count=$((count + 1))
    [ "$status" -eq "$1" ] || { echo "$2 with '$3': expected $1, got $status"; failures=$((failures + 1)); }
  }
  try 0 schema/ops.h '#include "schema/dtypes.h"'
  try 0 kernels/gemm/gemm.h '#include "schema/dtypes.h"'
  try 0 kernels/pointwise/x86.cpp '#include "schema/unary.def"'
  try 0 kernels/jit.h '#include <xbyak/xbyak.h>'
  try 0 engine/op.h '#include "kernels/isa.h"'
  try 0 engine/session.cpp '#include <inlay/inlay.h>'
  try 0 engine/model_file.cpp '#include <protozero/pbf_reader.hpp>'
  try 0 converter/onnx.cpp '#include "onnx.pb.h"'
  try 0 tools/run.cpp '#include "converter/onnx.h"'
  try 0 tests/models/a.cpp '#include "onnx.pb.h"'
  try 0 bench/kernels/a.cpp '#include "tests/engine/cases.h"'

  try 1 schema/op.cpp '#include "kernels/isa.h"'
  try 1 schema/op.cpp '#include "engine/graph.h"'
  try 1 kernels/conv/conv.h '#include "schema/ops.h"'
  try 1 kernels/conv/conv.cu '  #  include "engine/tensor.h"'
  try 1 kernels/isa.cpp '#include <inlay/inlay.h>'
  try 1 kernels/isa.cpp '#include <engine/op.h>'
  try 1 engine/op.cpp '#include "converter/onnx.h"'
  try 1 engine/model_file.cpp '#include "onnx.pb.h"'
  try 1 engine/model_file.cpp '#include <google/protobuf/message.h>'
  try 1 converter/onnx.h '#include "tools/cli.h"'
  try 1 tools/info.cpp '#include <onnx.pb.h>'
  try 1 tools/info.cpp '#include "tests/engine/cases.h"'
  try 1 engine/op.h '#include "bench/a.h"'
  try 1 engine/ops/conv.cpp '#include "../op.h"'
  try 1 engine/ops/conv.cpp '#include "op.h"'
  try 1 schema/op.cpp '#include "schema/../engine/op.h"'
  try 1 schema/op.cpp 'int x;'  # nothing to check is no pass
  echo "$count trees tried, $failures judged wrongly"
  [ "$failures" -eq 0 ]
}

case "${1:-}" in
  --self-test) self_test ;;
  "" | -*) echo "usage: $0 TREE | --self-test" >&2; exit 2 ;;
  *) check "$1" ;;
esac
