# shellcheck shell=bash
# The stages of scripts/test, each run with `set -e` in a shell of its own. A stage reports with tally PASSED FAILED.

tally() {
    echo "$1 $2" >>"$TALLY"
    [ "$2" = 0 ] && echo "$1 passed" || echo "$1 passed, $2 FAILED"
}

# configure PRESET [TARGET...]: configures where needed and builds.
configure() {
    local preset=$1
    shift
    logged "configure-$preset" cmake --preset "$preset"
    logged "build-$preset" cmake --build --preset "$preset" -j "$(nproc)" ${1:+--target "$@"}
}

# agrees STATUS COUNT FAILED: a runner counted something, and its exit code says of failures what its count says.
agrees() {
    [ -n "$2" ] && [ -n "$3" ] && [ "$2" != 0 ] || return 1
    if [ "$3" = 0 ]; then [ "$1" = 0 ]; else [ "$1" != 0 ]; fi
}

# run_ctest FOLDER LOGNAME ARGUMENTS...: runs ctest, shows what failed, counts its tests.
run_ctest() {
    local folder=$1 log="$LOGS/$2.log" total="" failed="" status=0
    shift 2
    ctest --test-dir "$folder" -j "$(nproc)" --output-on-failure --no-tests=error "$@" >"$log" 2>&1 || status=$?
    read -r failed total <<<"$(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\1 \2/p' "$log")"
    if ! agrees "$status" "$total" "$failed"; then
        tail -n 60 "$log"
        tally 0 1
        return
    fi
    [ "$failed" = 0 ] || grep -vE '^ *(Start +[0-9]+:|[0-9]+/[0-9]+ Test +#[0-9]+:.* Passed )|^\[ +(RUN|OK) ' "$log" | tail -n 400
    tally $((total - failed)) "$failed"
}

stage_dependencies() {
    scripts/deps
    install_packages clang clang-tidy clang-format libclang-rt-14-dev libcmocka-dev curl ca-certificates postgresql chromium php-cli php-xml php-mbstring
    install_npm tests/e2e bridge tests/conformance
    unpack_simplesamlphp
}

# Debian's SimpleSAMLphp, unpacked only: as a package it wants a web server, and its own of everything below /etc.
unpack_simplesamlphp() {
    local to=tests/e2e/node_modules/.simplesamlphp dir
    [ ! -d "$to/usr" ] || return 0
    dir=$(mktemp -d)
    chmod 755 "$dir"
    (cd "$dir" && { apt-get download simplesamlphp || { apt-get update && apt-get download simplesamlphp; }; }) >"$LOGS/simplesamlphp.log" 2>&1 </dev/null ||
        { tail -n 5 "$LOGS/simplesamlphp.log"; return 1; }
    dpkg -x "$dir"/simplesamlphp_*.deb "$to"
    rm -rf "$dir"
}

stage_checks() {
    local check log
    for check in tests/checks/*.sh; do
        log="$LOGS/$(basename "$check").log"
        if timeout 300 sh "$check" >"$log" 2>&1; then
            tail -n 1 "$log"
            tally 1 0 >/dev/null
        else
            cat "$log"
            echo "FAILED: $check"
            tally 0 1 >/dev/null
        fi
    done
    # Which rows of the abuse matrix tests name, and which they leave, with the reason.
    if "$(pinned_node)" tests/checks/abuse_rows.mjs; then tally 1 0 >/dev/null; else tally 0 1 >/dev/null; fi
}

# A PostgreSQL of this stage's own: the store's tests run on it too, and it is gone when the stage ends.
with_postgres() {
    local started
    mapfile -t started < <(tests/e2e/lib/postgres.sh start)
    [ ${#started[@]} = 2 ]
    # shellcheck disable=SC2064
    trap "tests/e2e/lib/postgres.sh stop '${started[0]}'" EXIT
    export TULLE_TEST_POSTGRES=${started[1]}
}

stage_asan() {
    with_postgres
    configure asan
    run_ctest build-asan ctest-asan
    if "$(pinned_node)" tests/checks/statements.mjs; then tally 1 0; else tally 0 1; fi
}

stage_clang() {
    configure clang
    tally 1 0
}

stage_tsan() {
    local threaded='^test_(loop|fiber|offload|worker|http|http_server|http_server_stream|http_client|client_sessions|replay|rates|db_sqlite|audit|otlp|metrics)'
    logged configure-tsan cmake --preset tsan
    # Only the programs that run: the rest of the tree was built three times already.
    local targets
    # (NAME_curl is the program NAME once more.)
    mapfile -t targets < <(ctest --test-dir build-tsan -N -R "$threaded" | sed -n 's/^ *Test *#[0-9]*: //p' | sed 's/_curl$//' | sort -u)
    [ ${#targets[@]} -gt 0 ]
    configure tsan "${targets[@]}"
    run_ctest build-tsan ctest-tsan -R "$threaded"
}

# run_e2e LABEL FILE...: node's test runner over these files; shows what failed, counts.
run_e2e() {
    local tap="$LOGS/$1.tap" spec="$LOGS/$1.spec" passed="" failed="" status=0
    shift
    timeout 1500 "$(pinned_node)" --test --test-concurrency=2 --test-timeout=300000 --test-reporter=tap \
        --test-reporter-destination="$tap" --test-reporter=spec --test-reporter-destination="$spec" "$@" || status=$?
    passed=$(sed -n 's/^# pass //p' "$tap")
    failed=$(awk '/^# (fail|cancelled|skipped|todo) / { n += $3 } END { print n + 0 }' "$tap")
    if ! agrees "$status" "$passed" "$failed"; then
        echo "node ended with $status, its report says ${passed:-nothing} passed and $failed failed"
        tail -n 60 "$spec"
        tally 0 1
        return
    fi
    [ "$failed" = 0 ] || sed -n '/failing tests:/,$p' "$spec"
    tally "$passed" "$failed"
}

stage_e2e() {
    local files=() name
    configure asan tulle
    for name in ${FILES:-}; do files+=("tests/e2e/$name.test.mjs"); done
    [ ${#files[@]} -gt 0 ] || files=(tests/e2e/*.test.mjs)
    export TULLE_BIN="$PWD/build-asan/tulle" TULLE_CALLED_FILE="$LOGS/called"
    run_e2e e2e "${files[@]}"
    [ -n "${FILES:-}" ] && return
    if "$(pinned_node)" tests/e2e/check_called.mjs "$TULLE_CALLED_FILE"; then tally 1 0; else tally 0 1; fi
}

# The core journey once more, on PostgreSQL; what does not touch the store was run above.
stage_e2e_postgres() {
    local files=() name
    with_postgres
    configure asan tulle
    export TULLE_BIN="$PWD/build-asan/tulle"
    for name in abuse-oauth audit collections credentials domains downstream-oauth durability groups hub isolation keys-leaving limits magic-links mail management-connections management-organizations oauth oauth-assertions oauth-device oauth-documents oauth-expiry oauth-machines oauth-openid oauth-policy oauth-remote oauth-scopes oidc-signin pages passkeys policies policy proxy-sessions reverse-proxy second-factor sso-admin saml scim virtual-servers; do
        files+=("tests/e2e/$name.test.mjs")
    done
    run_e2e e2e-postgres "${files[@]}"
}

# The official suite: whatever fails must be in the baseline, whatever is in the baseline must fail.
stage_conformance() {
    local tap="$LOGS/conformance.tap" passed="" failed="" status=0
    configure asan tulle
    # shellcheck disable=SC2086
    TULLE_BIN="$PWD/build-asan/tulle" timeout 900 "$(pinned_node)" tests/conformance/run.mjs ${CELLS:-} >"$tap" 2>&1 || status=$?
    passed=$(sed -n 's/^# pass //p' "$tap")
    failed=$(sed -n 's/^# fail //p' "$tap")
    if ! agrees "$status" "$passed" "$failed"; then
        tail -n 60 "$tap"
        tally 0 1
        return
    fi
    awk '/^(not )?ok /{ shown = /^not/ } shown' "$tap"
    tally "$passed" "$failed"
}

stage_tidy() {
    local log="$LOGS/tidy.log" status=0 n
    [ -f build-clang/compile_commands.json ] || logged configure-clang cmake --preset clang
    logged generate cmake --build --preset clang --target tulle_generated
    n=$(find src auth management-tools -name '*.c' | wc -l)
    find src auth management-tools -name '*.c' -print0 | sort -z | xargs -0 -P "$(nproc)" -n 4 clang-tidy -p build-clang --quiet >"$log" 2>"$log.err" || status=$?
    if [ "$status" != 0 ]; then
        grep -E '(warning|error):' "$log" | sort -u
        tally 0 1
    else
        echo "$n files"
        tally 1 0
    fi
}

stage_deployment() {
    local node tap="$LOGS/deployment.tap"
    node=$(pinned_node)
    "$node" --test --test-reporter=tap tests/e2e/deployment.mjs >"$tap" 2>&1 || grep -A 20 '^ *not ok' "$tap"
    tally "$(sed -n 's/^# pass //p' "$tap")" "$(sed -n 's/^# fail //p' "$tap")"
}
