#!/usr/bin/env bash
# ops_table.sh INLAY TABLE: the stored table of ops is what the command prints.
set -euo pipefail
"$1" ops --markdown | diff "$2" - || { echo "$2 is not up to date: $1 ops --markdown > $2"; exit 1; }
