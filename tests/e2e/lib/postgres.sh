#!/usr/bin/env bash
# A PostgreSQL of its own for tests, on a free port of 127.0.0.1, gone with its folder.
#   postgres.sh start        prints FOLDER and URL, one a line
#   postgres.sh stop FOLDER
#   postgres.sh run COMMAND...   runs it with TULLE_TEST_POSTGRES set, then stops; its exit code
set -euo pipefail

# initdb refuses root: then user postgres, whom Debian's package makes, runs it.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

programs() {
    local newest
    newest=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -type d 2>/dev/null | sort -V | tail -n 1)
    if [ ! -x "$newest/bin/initdb" ]; then
        echo "postgres.sh: install the package postgresql" >&2
        return 1
    fi
    echo "$newest/bin"
}

free_port() {
    local port
    for _ in $(seq 50); do
        port=$((20000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    return 1
}

start() {
    local bin dir port
    bin=$(programs)
    dir=$(as_postgres mktemp -d /tmp/tulle-pg-XXXXXX)
    printf 'test-%s' "$RANDOM$RANDOM$RANDOM" | as_postgres tee "$dir/password" >/dev/null
    as_postgres "$bin/initdb" -D "$dir/data" -U tulle --pwfile="$dir/password" -A scram-sha-256 -E UTF8 --locale=C.UTF-8 \
        --no-sync >"/tmp/$(basename "$dir").log" 2>&1 || { cat "/tmp/$(basename "$dir").log" >&2; return 1; }
    for _ in 1 2 3; do # the port may be taken between the look and the bind
        port=$(free_port)
        if as_postgres "$bin/pg_ctl" -D "$dir/data" -w -t 30 -l "$dir/log" -o "-h 127.0.0.1 -p $port -k $dir \
            -c max_connections=200 -c shared_buffers=64MB" start >/dev/null 2>&1; then
            rm -f "/tmp/$(basename "$dir").log"
            echo "$dir"
            echo "postgresql://tulle:$(cat "$dir/password")@127.0.0.1:$port/postgres"
            return
        fi
    done
    as_postgres cat "$dir/log" >&2
    return 1
}

stop() {
    case $1 in /tmp/tulle-pg-*) ;; *) echo "postgres.sh: not a folder of mine: $1" >&2; return 2 ;; esac
    # One that a test has killed cannot be stopped: that is said, and decides nothing, for `run` ends with its command's exit code.
    as_postgres "$(programs)/pg_ctl" -D "$1/data" -w -m immediate stop >/dev/null || echo "postgres.sh: $1 did not stop, or was killed" >&2
    rm -rf "$1"
}

case ${1:-} in
start) start ;;
stop) stop "$2" ;;
run)
    shift
    { read -r dir && read -r url; } < <(start) || exit 1
    trap 'stop "$dir"' EXIT
    status=0
    TULLE_TEST_POSTGRES=$url "$@" || status=$?
    exit "$status"
    ;;
*) echo "usage: postgres.sh start | stop FOLDER | run COMMAND..." >&2; exit 2 ;;
esac
