#!/bin/sh
# Every header of ours compiles alone, under the warnings of cmake/compiler.cmake.
cd "$(dirname "$0")/../.." || exit 1
warnings=$(grep -oE -- '-W[a-z][a-z0-9=+-]*' cmake/compiler.cmake | grep -v -e '^-Wl' -e '^-Wno' | sort -u | tr '\n' ' ')
said=$(mktemp) || exit 1
trap 'rm -f "$said"' EXIT
headers=$(find src auth management-tools -name '*.h' ! -path src/base/banned.h | sort)
echo "$headers" | xargs -P 2 -n 1 "${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -DTULLE_VERSION='"0"' -Isrc -I. $warnings \
    -include src/base/banned.h -x c -fsyntax-only /dev/null -include >"$said" 2>&1
status=$?
cat "$said"
if [ "$status" -ne 0 ] || [ -z "$headers" ]; then
    echo "not ok headers_alone"
    exit 1
fi
echo "ok headers_alone: $(echo "$headers" | wc -l) checked"
