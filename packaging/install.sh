#!/bin/sh
# install.sh BINARIES PREFIX: copies binaries, man pages and completions.
set -eu
bin=$1 prefix=$2
cd "$(dirname "$0")/.."
install -d "$prefix/bin" "$prefix/share/man/man1" "$prefix/share/man/man7"
for tool in tools/*/; do
    install -m 755 "$bin/$(basename "$tool")" "$prefix/bin/"
done
install -m 644 man/*.1 "$prefix/share/man/man1/"
install -m 644 man/*.7 "$prefix/share/man/man7/"
install -d "$prefix/share/bash-completion/completions" "$prefix/share/zsh/site-functions" \
    "$prefix/share/fish/vendor_completions.d"
install -m 644 completions/bash/* "$prefix/share/bash-completion/completions/"
install -m 644 completions/zsh/* "$prefix/share/zsh/site-functions/"
install -m 644 completions/fish/* "$prefix/share/fish/vendor_completions.d/"
