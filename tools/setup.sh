#!/usr/bin/env bash
# Installs what the build needs and this machine lacks, on Debian or Ubuntu. Does nothing where all of it is there.
#   setup.sh            a build for this machine
#   setup.sh aarch64    and one for 64-bit ARM, with what runs its tests here
# INLAY_SKIP_SETUP=1 skips it, for a machine that has the libraries from somewhere else.
set -euo pipefail

packages=(
  cmake ninja-build pkg-config g++ ccache  # the build
  protobuf-compiler libprotobuf-dev      # the converter reads ONNX
  libprotozero-dev libxxhash-dev         # the runtime reads .inlay, and checks it
  libhwy-dev libxbyak-dev                # the kernels
  libcli11-dev nlohmann-json3-dev libstb-dev  # the command: its arguments, --json, pictures
  libjpeg-dev libpng-dev libwebp-dev libtiff-dev libopenjp2-7-dev  # pictures that a model decodes
  libre2-dev                             # regular expressions that a model matches
  libgtest-dev libgmock-dev libbenchmark-dev  # tests and benches
  dpkg-dev binutils                      # packages, and the test of them
)

foreign=
if [ "${1:-}" = aarch64 ]; then
  foreign=arm64
  packages+=(
    g++-aarch64-linux-gnu qemu-user  # the compiler, and what runs its programs
    libprotobuf-dev:arm64 libgtest-dev:arm64 libgmock-dev:arm64  # for the target; other libraries are headers only
  )
fi

[ -z "${INLAY_SKIP_SETUP:-}" ] || exit 0
fail() { printf '\nsetup: %s\n' "$@" >&2; exit 1; }

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  fail "this is not Debian or Ubuntu, so nothing can be installed here. These packages, by their Debian names, are needed:
  ${packages[*]}
Install them your system's way, then run this again with INLAY_SKIP_SETUP=1."
fi

native=$(dpkg --print-architecture) missing=()
for package in "${packages[@]}"; do
  name=${package%:*} architecture=$native
  [ "$name" = "$package" ] || architecture=${package#*:}
  dpkg-query -W -f '${Architecture} ${db:Status-Status}\n' "$name" 2>/dev/null | grep -qxE "($architecture|all) installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

by_hand="${foreign:+dpkg --add-architecture $foreign && }apt-get update && apt-get install --no-install-recommends ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail "packages are missing, and installing them needs root. As root, run:
  $by_hand"
  as_root=(sudo)
  [ -t 0 ] || as_root+=(-n)  # nobody is there to type a password
  "${as_root[@]}" true || fail "packages are missing, and sudo was refused. As root, run:
  $by_hand"
fi

echo "setup: installing ${missing[*]}" >&2
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >&2; }
[ -z "$foreign" ] || "${as_root[@]}" dpkg --add-architecture "$foreign" >&2
apt update || echo "setup: some package lists could not be fetched; trying with what is there" >&2
apt install -y --no-install-recommends "${missing[@]}" || fail "the packages could not be installed; apt-get says why above.
Without a network: connect this machine once, or install them from a mirror or a medium that it reaches:
  $by_hand
A package that is not found: on Ubuntu, enable 'universe' (add-apt-repository universe)."
