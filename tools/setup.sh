#!/bin/sh
# Installs what building, testing (build) and linting (lint) need and is missing; silent when all is there.
# Debian and Ubuntu: apt-get, as root or through a sudo that asks nothing. Elsewhere it prints the line to run.
set -u

build_packages="gcc libc6-dev make cmake ninja-build pkg-config libjansson-dev libpcre2-dev libutf8proc-dev zlib1g-dev libedit-dev libcmocka-dev libcairo2-dev libpango1.0-dev libjpeg-dev libpng-dev"
lint_packages="clang clang-format clang-tidy python3 libsimde-dev"
brew_packages="cmake ninja pkg-config jansson pcre2 utf8proc cmocka cairo pango jpeg-turbo libpng"

have_all() {
    for tool in cmake ninja pkg-config; do
        command -v "$tool" >/dev/null 2>&1 || return 1
    done
    command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 || return 1
    pkg-config --exists jansson libpcre2-8 libutf8proc zlib cmocka || return 1
    [ "$1" = build ] && return 0
    for tool in clang clang-format clang-tidy python3; do
        command -v "$tool" >/dev/null 2>&1 || return 1
    done
    echo "#include <simde/simde-common.h>" | cc -fsyntax-only -x c - 2>/dev/null
}

wanted=${1:-build}
have_all "$wanted" && exit 0

packages=$build_packages
if [ "$wanted" = lint ]; then
    packages="$build_packages $lint_packages"
fi

if command -v apt-get >/dev/null 2>&1; then
    line="apt-get install -y --no-install-recommends $packages"
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        echo "Some packages are missing. Run this line, then try again:" >&2
        echo "    sudo $line" >&2
        exit 1
    fi
    echo "Installing what is missing: $packages" >&2
    log=$(mktemp) || exit 1
    export DEBIAN_FRONTEND=noninteractive
    if ! { $as_root apt-get update && $as_root $line; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        echo "apt-get failed. The line was: $line" >&2
        exit 1
    fi
    rm -f "$log"
elif [ "$(uname)" = Darwin ]; then
    [ "$wanted" = lint ] && brew_packages="$brew_packages llvm simde"
    echo "Some packages are missing. Run this line, then try again:" >&2
    echo "    brew install $brew_packages" >&2
    exit 1
else
    echo "Some packages are missing. Install with your package manager what Debian calls:" >&2
    echo "    $packages" >&2
    exit 1
fi

have_all "$wanted" && exit 0
echo "apt-get went well, but something is still missing; needed: $packages" >&2
exit 1
