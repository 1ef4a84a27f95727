# `./just RECIPE` works on a fresh machine; `just RECIPE` where just is installed.

target := "target/x86_64-unknown-linux-musl"
release := "--release --config packaging/release.toml"

[private]
default:
    @just --list --unsorted

# Build the tools and run an image in a container, each stage explained
[group('use')]
[no-cd]
[positional-arguments]
demo *IMAGE_AND_COMMAND:
    cd "{{ justfile_directory() }}" && cargo build --quiet --workspace --bins
    @PATH="{{ justfile_directory() }}/{{ target }}/debug:$PATH" "{{ justfile_directory() }}/examples/demo.sh" "$@"

# Build the release binaries
[group('use')]
build:
    cargo build {{ release }} --workspace --exclude tests

# Install binaries, man pages and completions below PREFIX; and NAMES such as capsh
[group('use')]
install PREFIX="/usr/local" DESTDIR="" *NAMES: build
    packaging/install.sh "{{ target }}/release" "{{ DESTDIR }}{{ PREFIX }}" {{ NAMES }}

# All that CI runs: checks, tests as this user, as root also as an ordinary user
[group('test')]
test: check test-all

# Format, lints, licences, shell scripts, man pages, forbidden words
[group('test')]
check:
    tests/check.sh

# All tests that this user may run
[group('test')]
test-all:
    tests/test.sh

# One tool's tests
[group('test')]
test-tool TOOL:
    cargo build --quiet --workspace --bins
    cargo test -p {{ TOOL }}

# util-linux's own tests of unshare and nsenter, from its source tree, on ours
[group('test')]
util-linux TREE:
    cargo build --quiet -p ns-run -p ns-enter
    tests/util-linux.sh "{{ TREE }}" "{{ target }}/debug"

# Kill and stop ns-run at 10,000 random moments, run as many containers: nothing may stay behind
[group('test')]
soak RUNS="10000":
    cargo build --quiet --workspace --bins
    SOAK_RUNS={{ RUNS }} cargo test --quiet -p ns-run --test ns-run -- soak vfork
    SOAK_RUNS={{ RUNS }} cargo test --quiet -p tests --test pipe soak

# Runs of cg-limit that end in every way, also by kill -9: no group may stay behind
[group('test')]
soak-groups RUNS="5000":
    cargo build --quiet --workspace --bins
    SOAK_RUNS={{ RUNS }} cargo test --quiet -p cg-limit --test cg-limit soak

# Start-up, chains and images, each against its peers, paired in one run
[group('test')]
bench RUNS="200": (bench-images)
    {{ target }}/release/bench startup {{ RUNS }}
    {{ target }}/release/bench chain {{ RUNS }}
    {{ target }}/release/bench groups 20

# Unpacking images against tar, umoci, podman: an image of its own, or those in DIR
[group('test')]
bench-images *OPTIONS:
    cargo build --quiet {{ release }} --workspace --bins
    {{ target }}/release/bench images {{ OPTIONS }}

# What a file, a layer, a removal costs when there are more of them
[group('test')]
bench-scale *OPTIONS:
    cargo build --quiet {{ release }} --workspace --bins
    {{ target }}/release/bench scale {{ OPTIONS }}

# Ask docker and podman again what tests/peer/img-exec.jsonl compares img-exec with
[group('test')]
peer-docker:
    cargo build --quiet -p tests --bins
    tests/peer/record.sh tests/peer/img-exec.jsonl

# Ask docker and podman again what tests/peer/cap-drop.jsonl compares cap-drop with
[group('test')]
peer-caps:
    cargo build --quiet -p tests --bins
    tests/peer/record.sh tests/peer/cap-drop.jsonl

# Fuzz a target of tests/fuzz/fuzz_targets with the nightly toolchain
[group('test')]
fuzz TARGET SECONDS="60":
    tests/fuzz/run {{ TARGET }} {{ SECONDS }}

# All of cg-limit, and the chain, on a Debian kernel in QEMU: just vm trixie, just vm bookworm v1
[group('test')]
vm KERNEL="bookworm" LAYOUT="v2":
    cargo build --quiet --workspace --bins
    tests/vm/suite {{ target }}/debug {{ KERNEL }} {{ LAYOUT }}

# cap-drop's labels on a Debian kernel in QEMU, which has AppArmor
[group('test')]
vm-caps *OPTIONS:
    cargo build --quiet -p cap-drop
    tests/vm/run {{ OPTIONS }} -f {{ target }}/debug/cap-drop tests/vm/caps.sh

# Sizes of the release binaries against their budget
[group('test')]
size: build
    tests/size.sh "{{ target }}/release"

# Show a man page of the tree
[group('doc')]
man PAGE:
    man -l man/{{ PAGE }}.*

# Rewrite the generated completions
[group('doc')]
completions:
    cargo build --quiet --workspace --bins
    UPDATE=1 cargo test -q -p tests --test docs completions

# Rewrite the inline golden texts
[group('dev')]
bless:
    UPDATE_EXPECT=1 UPDATE=1 tests/test.sh

# The tools for 64-bit Arm must compile
[group('dev')]
aarch64:
    rustup target add aarch64-unknown-linux-musl
    cargo check --workspace --target aarch64-unknown-linux-musl
