#!/bin/sh
# The generated pages of spec/ agree with the lists they are made from.
cd "$(dirname "$0")/../.." || exit 1
if scripts/docs --check; then
    echo "ok docs_fresh: 5 checked"
else
    echo "not ok docs_fresh"
    exit 1
fi
