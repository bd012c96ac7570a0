#!/usr/bin/env bash
# An app compiled against this version's header runs with the next version's library: the same sources with an option
# field and a function added.
#   next.sh SOURCE_DIR BUILD_DIR CXX APP MODEL [LIBRARY FLAG…]
set -euo pipefail
source=$1 build=$2 cxx=$3 app=$4 model=$5
shift 5
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir -p "$work/engine/include/inlay"
cp -r "$source/engine/api" "$work/engine/"
header=$work/engine/include/inlay/inlay.h
sed -e 's|^} inlay_model_options;|  int64_t new_field; /* of the next version */\n&|' \
    -e 's|^INLAY_API void inlay_model_retain(.*|&\nINLAY_API int32_t inlay_new_function(const inlay_model_options* options);|' \
    "$source/engine/include/inlay/inlay.h" > "$header"
[ "$(diff "$source/engine/include/inlay/inlay.h" "$header" | grep -c '^>')" = 2 ]
cat > "$work/engine/api/next.cpp" <<'END'
#include "engine/api/api.h"
int32_t inlay_new_function(const inlay_model_options* options) {
  return int32_t(engine::api::read_options(options, INLAY_SIZE_UP_TO(inlay_model_options, strict), "inlay_model_options").new_field);
}
END
"$cxx" -std=c++20 -O1 -fPIC -shared -fvisibility=hidden -I "$work" -I "$source" "$work"/engine/api/*.cpp \
  -Wl,--version-script="$source/engine/api/exports.map" -Wl,-soname,libinlay.so.0 -Wl,--no-undefined \
  "$build/libinlay_engine.a" "$build/libinlay_kernels.a" "$build/libinlay_schema.a" "$@" -pthread -o "$work/libinlay.so.0"
nm -D --defined-only "$work/libinlay.so.0" | grep ' inlay_new_function$' > /dev/null
LD_LIBRARY_PATH=$work LD_TRACE_LOADED_OBJECTS=1 "$app" | grep "$work/libinlay.so.0" > /dev/null
LD_LIBRARY_PATH=$work "$app" "$model"
