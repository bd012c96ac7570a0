#!/usr/bin/env bash
# The ABI may grow and never change: every stored symbol is still exported, every stored enumerator keeps its number,
# every stored field its place and size, and a struct without struct_size keeps its size. What is new must be stored too.
#   check.sh HEADER LIBRARY CXX STORED_DIR        compares
#   check.sh --update HEADER LIBRARY CXX STORED_DIR    stores what is new, after the same comparison
set -euo pipefail
update=; [ "$1" != --update ] || { update=1; shift; }
header=$1 library=$2 cxx=$3 stored=$4
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

nm -D --defined-only "$library" | awk '{ print $3 }' | sort > "$work/symbols.txt"
if grep -v '^inlay_' "$work/symbols.txt"; then echo "these symbols are exported and are not inlay_*"; exit 1; fi

# Every enumerator, and every field of every struct that the header defines.
awk '/^enum \{/ { on = 1 } on { print } /\};/ { on = 0 }' "$header" | grep -oE 'INLAY_[A-Z0-9_]+ = -?[0-9]+' | sort > "$work/enums.txt" || true
include=$(dirname "$(dirname "$header")")
{
  cat <<END
#include <inlay/$(basename "$header")>
#include <cstdio>
#define SIZE(S) std::printf("%s %zu\\n", #S, sizeof(S));
#define FIELD(S, F) std::printf("%s.%s %zu %zu\\n", #S, #F, offsetof(S, F), sizeof(S::F));
int main() {
END
  awk '
    { gsub(/\/\*[^*]*\*\//, "") }
    /^(typedef )?struct inlay_[a-z_]+ \{/ { match($0, /inlay_[a-z_]+/); name = substr($0, RSTART, RLENGTH); print "SIZE(" name ")"; next }
    /^\}/ { name = "" }
    name && match($0, /\(\*[a-z_]+\)\(/) { print "FIELD(" name ", " substr($0, RSTART + 2, RLENGTH - 4) ")"; next }
    name && /;/ { gsub(/;.*/, ""); n = split($0, part, ","); for (i = 1; i <= n; ++i) { k = split(part[i], word, /[ *]+/); print "FIELD(" name ", " word[k] ")" } }
  ' "$header"
  echo '}'
} > "$work/structs.cpp"
"$cxx" -std=c++17 -I "$include" -I "$(dirname "${BASH_SOURCE[0]}")/../../engine/include" "$work/structs.cpp" -o "$work/structs"
"$work/structs" > "$work/structs.txt"

status=0
for list in symbols enums structs; do
  old=$stored/$list.txt now=$work/$list.txt
  touch_old=$old; [ -e "$old" ] || touch_old=/dev/null
  while read -r line; do
    grep -qxF "$line" "$now" && continue
    # A struct that says its size may have grown.
    if [ $list = structs ] && [[ $line != *.* ]] && grep -q "^${line%% *}.struct_size 0 " "$now"; then
      before=${line##* } after=$(grep "^${line%% *} " "$now" | awk '{ print $2 }')
      [ -n "$after" ] && [ "$after" -gt "$before" ] && { [ -n "$update" ] || { echo "not stored yet: ${line%% *} $after"; status=1; }; continue; }
    fi
    echo "gone or changed: $line"; status=1
  done < "$touch_old"
  if [ -z "$update" ]; then
    while read -r line; do
      grep -qxF "$line" "$touch_old" && continue
      echo "not stored yet: $line (check.sh --update)"; status=1
    done < "$now"
  fi
done
[ -z "$update" ] || [ $status -ne 0 ] || for list in symbols enums structs; do cp "$work/$list.txt" "$stored/$list.txt"; done
exit $status
