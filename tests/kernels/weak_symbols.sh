#!/bin/sh
# A function that the linker may share between files must not hold instructions that only some machines run: it could
# replace the baseline's copy. Usage: weak_symbols.sh ARCHIVE ARCHITECTURE NM OBJDUMP; fails for each weak symbol outside N_AVX2,
# N_AVX3 and N_NEON whose code uses a vector register of AVX or a VEX or EVEX instruction, or on ARM an instruction past ARMv8.0.
set -eu
archive=$1 architecture=$2 nm=$3 objdump=$4
case $architecture in
  x86_64 | AMD64) instructions='^v[a-z]' except='^verr|^verw' registers='%[yz]mm' ;;
  aarch64) instructions='^(s|u|us|su)(dot|mmla)$|^bf(dot|mmla|mlal)|^(aes|sha|pmull|fmlal)|^(ld(add|clr|eor|set)|swp|cas)[abhlp]*$' except='^$' registers='f[a-z0-9]+\tv[0-9]+[.][48]h, v[0-9]+[.][48]h' ;;
  *) echo "skipped: no list of the instructions of $architecture"; exit 0 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$nm" -A "$archive" 2>/dev/null | awk '$2 ~ /^[WVu]$/ { print $3 } $3 ~ /^[WVu]$/ { print $4 }' |
  grep -v -e N_AVX2 -e N_AVX3 -e N_NEON | sort -u >"$work/weak"
[ -s "$work/weak" ] || { echo "$archive: no weak symbols are seen" >&2; exit 1; }
"$objdump" -d --no-show-raw-insn "$archive" | awk -v list="$work/weak" -v instructions="$instructions" -v except="$except" -v registers="$registers" '
  BEGIN { while ((getline name < list) > 0) weak[name] = 1 }
  /^[0-9a-f]+ <.*>:$/ { name = $2; gsub(/[<>:]/, "", name); watched = name in weak; next }
  watched && ($2 ~ instructions && $2 !~ except || $0 ~ registers) && !reported[name]++ { print name ": " $0; bad = 1 }
  END { exit bad }' || { echo "$archive: weak symbols with instructions of one target only" >&2; exit 1; }
