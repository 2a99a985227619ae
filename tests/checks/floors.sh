#!/bin/sh
# Compares every #include of the program with the table of floors (spec/architecture.md): a file includes its own floor or
# a lower one, and a foreign library's header only where that library lives.
cd "$(dirname "$0")/../.." || exit 1
find src auth management-tools -name '*.[ch]' | sort | xargs grep -HnE '^[[:space:]]*#[[:space:]]*include' | awk '
function floor_of(path) {
    if (path ~ /^src\/(base|json|crypto|log)\// || path ~ /^src\/config\./) return 0
    if (path ~ /^src\/io\//) return 10
    if (path ~ /^src\/store\//) return 20
    if (path ~ /^src\/core\//) return 30
    if (path ~ /^auth\//) return 40
    if (path ~ /^src\/mcp\//) return 45        # may use auth, never the reverse
    if (path ~ /^(src\/routes|management-tools)\//) return 50
    if (path ~ /^src\/cli\// || path == "src/main.c") return 60
    return -1
}
function exists(path,   line, found) {
    if (!(path in known)) {
        known[path] = ((getline line < path) >= 0)
        close(path)
    }
    return known[path]
}
function offence(what) { print file ":" line ": " what; bad++ }
BEGIN {
    # header (regular expression) -> the files that may include it
    home["^microhttpd\\.h$"] = "^src/io/http_server[a-z_]*\\.c$"
    home["^curl/"]           = "^src/io/http_client[a-z_]*\\.[ch]$"
    home["^sqlite3\\.h$"]    = "^src/store/db_sqlite[a-z_]*\\.[ch]$"
    home["^libpq-fe\\.h$"]   = "^src/store/db_postgres[a-z_]*\\.[ch]$"
    home["^jansson\\.h$"]    = "^src/json/(jread|jschema)[a-z_]*\\.c$"
    home["^openssl/"]        = "^src/crypto/[a-z0-9_]+\\.c$"
    home["^argon2\\.h$"]     = "^src/crypto/password\\.c$"
    home["^ares\\.h$"]       = "^src/io/dns_txt\\.c$"
    home["^libpsl\\.h$"]     = "^src/core/domain_rules\\.c$"
    home["^qrencode\\.h$"]   = "^src/base/qr\\.c$"
    home["^zlib\\.h$"]        = "^src/base/deflate\\.c$"
    home["^libxml/"]         = "^auth/saml/xml[a-z_]*\\.c$"
    home["^xmlsec/"]         = "^auth/saml/xml[a-z_]*\\.c$"
    home["^uthash\\.h$"]     = "^src/base/map\\.c$"
    home["^valgrind/"]       = "^src/io/fiber[a-z_]*\\.[ch]$"
    home["^sanitizer/"]      = "^src/(base/arena|io/fiber[a-z_]*)\\.[ch]$"
    split("assert ctype dirent errno execinfo fcntl float grp ifaddrs inttypes limits locale malloc math netdb poll pthread pwd " \
          "resolv sched semaphore signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib string " \
          "strings syslog termios time ucontext unistd wchar", names, " ")
    for (i in names) libc[names[i] ".h"] = 1
}
{
    split($0, part, ":"); file = part[1]; line = part[2]; checked++
    own = floor_of(file)
    if (own < 0) { offence("lies on no floor"); next }
    if (match($0, /"[^"]+"/)) {
        name = substr($0, RSTART + 1, RLENGTH - 2)
        path = exists("src/" name) ? "src/" name : name
        if (!exists(path)) { offence("no such file: " name); next }
        floor = floor_of(path)
        if (floor < 0 || floor > own) offence("includes a higher floor: " name)
    } else if (match($0, /<[^>]+>/)) {
        name = substr($0, RSTART + 1, RLENGTH - 2)
        is_known = (name in libc) || name ~ /^(sys|net|netinet|arpa|linux)\//
        for (pattern in home)
            if (name ~ pattern) {
                is_known = 1
                if (file !~ home[pattern]) offence("<" name "> belongs to another file")
            }
        if (!is_known) offence("<" name "> is neither the C library nor in the table of this check")
    }
}
END {
    if (bad || !checked) { print "not ok floors"; exit 1 }
    print "ok floors: " checked " checked"
}'
