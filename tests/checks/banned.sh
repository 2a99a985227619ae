#!/bin/sh
# Words that may not land, calls that the compiler cannot refuse, machine paths, files of more than 600 lines.
cd "$(dirname "$0")/../.." || exit 1
said=$(mktemp) || exit 1
trap 'rm -f "$said"' EXIT

# $@: names of files, as find takes them. This file and the list for the compiler name what they ban.
sources() {
    find . \( -name .git -o -name node_modules -o -name 'build*' -o -name dist -o -name corpus -o -name data \) -prune \
        -o -type f \( "$@" \) ! -path ./tests/checks/banned.sh ! -path ./src/base/banned.h -print
}
c_files=$(sources -name '*.[ch]')
scripts=$(sources -name '*.mjs' -o -name '*.js' -o -name '*.ts' -o -name '*.tsx' -o -name '*.sh' -o -path './scripts/*' -o -path './.ci/*')
others=$(sources -name '*.def' -o -name '*.sql' -o -name '*.cmake' -o -name 'CMakeLists.txt' -o -name '*.md' -o -name '*.yml' \
    -o -name '*.yaml' -o -name Dockerfile)

search() { # reason, pattern, files
    [ -n "$3" ] && echo "$3" | xargs grep -nHE -- "$2" | sed "s|^\./||; s|\$|   <- $1|" >>"$said"
}
search "unfinished: make it an issue" '\b(TODO|FIXME|XXX|HACK)\b' "$c_files
$scripts
$others"
search "banned function" \
    '\b(strcpy|strcat|strncpy|strncat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|atoll|gmtime|localtime|ctime|asctime|system|popen|rand|srand|random|alloca|tmpnam|mktemp|setjmp|longjmp) ?\(' \
    "$c_files"
search "a path of one machine" '(^|[^A-Za-z0-9_./$}-])/(work|root|home/[a-z]+)(/|\b)' "$c_files
$scripts
$others"
echo "$c_files
$scripts" | xargs wc -l | awk '$2 != "total" && $1 > 600 { sub(/^\.\//, "", $2); print $2 ":" $1 ": more than 600 lines" }' >>"$said"

cat "$said"
if [ -s "$said" ] || [ -z "$c_files" ]; then
    echo "not ok banned"
    exit 1
fi
echo "ok banned: $(echo "$c_files
$scripts
$others" | grep -c .) checked"
