#!/usr/bin/env bash
# The packages, unpacked into a clean folder: what they hold and depend on, and the examples built and run against them.
#   package.sh SOURCE_DIR BUILD_DIR MODEL
set -euo pipefail
source=$1 build=$2 model=$3
command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null || { echo "skipped: dpkg-deb and dpkg-shlibdeps are not here"; exit 77; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

(cd "$work" && cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/debs") > "$work/cpack.log" 2>&1 || { cat "$work/cpack.log"; fail "cpack"; }
root=$work/root
for deb in "$work"/debs/*.deb; do
  echo "$(basename "$deb"): $(dpkg-deb -f "$deb" Installed-Size) kB, needs $(dpkg-deb -f "$deb" Depends)"
  dpkg-deb -x "$deb" "$root"
done
optional=none  # their packages' names differ from one Debian to another
! grep -q '^INLAY_IMAGE_DECODER:BOOL=ON$' "$build/CMakeCache.txt" || optional="$optional|lib(jpeg|png16|webp|tiff|openjp2)"
! grep -q '^INLAY_REGEX:BOOL=ON$' "$build/CMakeCache.txt" || optional="$optional|libre2"
needs=$(dpkg-deb -f "$work"/debs/libinlay0_*.deb Depends | tr ',' '\n' | awk '{ print $1 }' | grep -vE "^($optional)" | sort | tr '\n' ' ')
[ "$needs" = "libc6 libgcc-s1 libstdc++6 " ] || fail "the runtime needs $needs"

lib=$root/usr/lib
readelf -d "$lib/libinlay.so.0" | grep 'SONAME.*libinlay\.so\.0' > /dev/null || fail "the soname"
libraries=$(readelf -d "$lib/libinlay.so.0" | awk '/NEEDED/ { gsub(/[][]/, "", $5); print $5 }' | grep -vxE "lib(c|m|stdc\+\+|gcc_s)\.so\.[0-9]+|ld-linux.*|($optional)\.so\.[0-9]+" || true)
[ -z "$libraries" ] || fail "the runtime is linked to $libraries"
others=$(nm -D --defined-only "$lib/libinlay.so.0" | awk '{ print $3 }' | grep -v '^inlay_' || true)
[ -z "$others" ] || fail "symbols that are not inlay_*: $others"
strip -g -o "$work/libinlay.a" "$lib/libinlay.a"
echo "libinlay.so $(stat -Lc %s "$lib/libinlay.so.0") bytes, libinlay.a $(stat -c %s "$work/libinlay.a") bytes, stripped"

# CMake, in a folder that sees the packages alone.
cp -r "$source/tools/examples" "$work/examples"
cmake -S "$work/examples" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$root/usr" > "$work/log" 2>&1 &&
  cmake --build "$work/build" --parallel 2 >> "$work/log" 2>&1 || { cat "$work/log"; fail "building the examples"; }
for file in "$work"/examples/*.c*; do
  case $file in *CMakeLists*) continue; esac
  [ "$(wc -l < "$file")" -le 60 ] || fail "$(basename "$file") has more than 60 lines"
done
run() {
  echo "$ $*"
  "$work/build/$@" || fail "$1"
}
. "$source/tests/run_examples.sh"

# pkg-config, for the shared and for the static library.
if command -v pkg-config >/dev/null; then
  export PKG_CONFIG_PATH=$lib/pkgconfig
  ${CC:-cc} -std=c99 "$source/tests/api/c_test.c" $(pkg-config --cflags --libs inlay) -Wl,-rpath,"$lib" -o "$work/c_shared"
  "$work/c_shared" "$model"
  ${CC:-cc} -std=c99 "$source/tests/api/c_test.c" $(pkg-config --cflags inlay) "$lib/libinlay.a" $(pkg-config --static --libs inlay | sed 's/ *-linlay//') -o "$work/c_static"
  "$work/c_static" "$model"
fi
"$root/usr/bin/inlay" --help > /dev/null
