#!/bin/sh
# A function that the linker may share between files must not hold instructions that only some machines run: it could
# replace the baseline's copy. Usage: weak_symbols.sh ARCHIVE; fails for each weak symbol outside N_AVX2, N_AVX3 and N_NEON
# whose code uses a vector register of AVX or a VEX or EVEX instruction.
set -eu
archive=$1
case $(uname -m) in x86_64) ;; *) exit 0 ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nm -A "$archive" 2>/dev/null | awk '$2 ~ /^[WVu]$/ { print $3 } $3 ~ /^[WVu]$/ { print $4 }' |
  grep -v -e N_AVX2 -e N_AVX3 -e N_NEON | sort -u >"$work/weak"
objdump -d --no-show-raw-insn "$archive" | awk -v list="$work/weak" '
  BEGIN { while ((getline name < list) > 0) weak[name] = 1 }
  /^[0-9a-f]+ <.*>:$/ { name = $2; gsub(/[<>:]/, "", name); watched = name in weak; next }
  watched && ($2 ~ /^v[a-z]/ && $2 !~ /^verr|^verw/ || /%[yz]mm/) && !reported[name]++ { print name ": " $0; bad = 1 }
  END { exit bad }' || { echo "$archive: weak symbols with instructions of one target only" >&2; exit 1; }
