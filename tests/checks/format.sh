#!/bin/sh
# Every C file is as clang-format would write it.
cd "$(dirname "$0")/../.." || exit 1
said=$(mktemp) || exit 1
trap 'rm -f "$said"' EXIT
files=$(find src auth management-tools tests -name node_modules -prune -o -name '*.[ch]' -print | sort)
echo "$files" | xargs -P 2 -n 16 clang-format --dry-run -Werror --ferror-limit=1 >"$said" 2>&1
status=$?
grep -E '(error|warning):' "$said"
if [ "$status" -ne 0 ] || [ -z "$files" ]; then
    echo "not ok format"
    exit 1
fi
echo "ok format: $(echo "$files" | wc -l) checked"
