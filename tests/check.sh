#!/bin/sh
# check.sh: everything about the source that a machine can say without running it.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }
# A checker that the machine lacks is left out, but not where nobody would read of it.
have() {
    command -v "$1" >/dev/null && return
    echo "check: SKIPPED, there is no $1: apt-get install $1" >&2
    [ "${CI:-}" != true ] || exit 1
    return 1
}

say cargo fmt
cargo fmt --all --check

say cargo clippy
cargo clippy --quiet --workspace --all-targets -- -D warnings

say cargo deny
if ! command -v cargo-deny >/dev/null; then
    echo "check: installing cargo-deny into .tools (once, two minutes)" >&2
    root=$PWD/.tools
    (cd / && CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root "$root" cargo-deny@0.20.2)
    PATH="$root/bin:$PATH"
fi
# The advisory database lives outside the registries and is not fetched here.
cargo deny --log-level error check bans licenses sources

say shellcheck
if have shellcheck; then
    git ls-files -- just '*.sh' examples/sillycon tests/vm/run tests/vm/suite tests/fuzz/run .ci/run | xargs shellcheck
fi

say mandoc
if have mandoc; then
    for page in man/*; do
        mandoc -T lint -W warning "$page"
    done
fi

say forbidden words
# The words are split so that this file does not find itself; libcap prints "CapXX" and one more X.
words='db''g!|to''do!|unimplement''ed!|FIX''ME|(^|[^p])XX''X[^X]'
if git grep -nE "$words" -- '*.rs' '*.sh' '*.md' 'man/*'; then
    exit 1
fi
# Raw system calls have two homes.
if git grep -nE 'unsafe (\{|fn|impl|extern)' -- '*.rs' ':!common/src/sys.rs' ':!common/src/entry.rs'; then
    exit 1
fi
echo ok
