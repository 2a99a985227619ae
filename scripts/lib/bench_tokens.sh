# shellcheck shell=bash
# The token endpoint beside npm oidc-provider (one process, its in-memory adapter): redeeming codes, refreshing, client credentials,
# introspection, through the same load generator in one run. Tulle's rows are durable, its one worker on one core.

# tokens_measure LABEL URL GRANT FORM CONNECTIONS [RATE]: sets rate, prints a row; RATE is the provider's.
tokens_measure() {
  local path=$TOKEN_PATH ratio=-
  if [ "$3" = introspect ]; then path=$INTROSPECT_PATH; fi
  read -r _ rate p50 p99 bad < <(GRANT=$3 FORM=$4 TOKENS=$TOKENS AUTHORIZE=$AUTHORIZE COOKIE=$COOKIE \
    wrk -t1 -c"$5" -d"${each}s" --latency -s tests/bench/tokens.lua "$2$path" | grep RESULT)
  if [ -n "${6:-}" ]; then ratio=$(awk -v a="$rate" -v b="$6" 'BEGIN {printf "%.1f", a / b}'); fi
  printf '%-26s %10s %5s %10s %9s %9s %9s %6s\n' "$1" "$3" "$5" "$rate" "$p50" "$p99" "$ratio" "$bad"
}

bench_tokens() {
  local provider=http://127.0.0.1:18091 tulle=http://localhost:18092 connections grant
  NODE_ENV=production PORT=18091 "$node" tests/e2e/servers/bench_provider.mjs >"$work/provider.out" 2>"$work/provider.err" & pids+=($!)
  for _ in $(seq 100); do grep -q listening "$work/provider.out" && break; sleep 0.1; done
  start_tulle tokens 18092 BASE_URL="$tulle"
  printf '%-26s %10s %5s %10s %9s %9s %9s %6s\n' server grant conn requests/s p50-ms p99-ms /provider errors
  for connections in 1 16; do
    for grant in code refresh machine introspect; do
      tokens_of "$grant" "$connections" "" provider "$provider"
      tokens_of "$grant" "$connections" "$rate" tulle "$tulle" "$key" bench@example.com bench-password
    done
  done
}

# tokens_of GRANT CONNECTIONS RATE NAME URL...: one row, prepared afresh: the provider's adapter forgets what is old.
tokens_of() {
  local TOKEN_PATH INTROSPECT_PATH AUTHORIZE COOKIE FORM_CODE FORM_REFRESH FORM_MACHINE FORM_INTROSPECT form=FORM_${1^^} TOKENS="$work/refresh-tokens"
  "$node" tests/bench/tokens.mjs "${@:4}" "$TOKENS" >"$work/prepared.sh"
  # shellcheck disable=SC1091
  . "$work/prepared.sh"
  tokens_measure "$4" "$5" "$1" "${!form}" "$2" "$3"
}
