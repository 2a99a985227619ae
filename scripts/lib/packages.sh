# shellcheck shell=bash
# Installs Debian packages that are not there yet: install_packages NAME... Quiet when there is nothing to do; one line when it fails.
install_packages() {
    local missing=() name sudo="" log
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "$0: this system has no apt-get; install by hand: ${missing[*]}" >&2
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        sudo=$(command -v sudo) || { echo "$0: run as root, or install: ${missing[*]}" >&2; return 1; }
    fi
    echo "installing ${missing[*]}" >&2
    log=$(mktemp)
    # The lists may be old or absent: only then are they fetched.
    if $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null ||
        { $sudo apt-get update -q >>"$log" 2>&1 </dev/null &&
            $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >>"$log" 2>&1 </dev/null; }; then
        rm -f "$log"
        return 0
    fi
    echo "$0: apt-get could not install ${missing[*]}: $(grep -m1 '^E:' "$log" || tail -n1 "$log") (all of it: $log)" >&2
    return 1
}
