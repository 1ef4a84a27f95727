#!/bin/sh
# install.sh BINARIES PREFIX [NAME]…: copies binaries, man pages and completions.
#
# NAME is one of the programs whose place is taken: unshare, nsenter, setpriv, getpcaps,
# capsh. It is installed where it is asked for only, since it comes before the system's own.
set -eu
bin=$1 prefix=$2
shift 2
cd "$(dirname "$0")/.."
install -d "$prefix/bin" "$prefix/share/man/man1" "$prefix/share/man/man7"
for tool in tools/*/; do
    tool=$(basename "$tool")
    install -m 755 "$bin/$tool" "$prefix/bin/"
    install -m 644 "man/$tool.1" "$prefix/share/man/man1/"
done
for name; do
    case $name in
    unshare) ln -sf ns-run "$prefix/bin/$name" ;;
    nsenter) ln -sf ns-enter "$prefix/bin/$name" ;;
    setpriv | getpcaps) ln -sf cap-drop "$prefix/bin/$name" ;;
    capsh) install -m 755 "$bin/$name" "$prefix/bin/" ;;
    *) echo "install.sh: cannot install '$name': not a name of ours" >&2 && exit 1 ;;
    esac
    if [ -e "man/$name.1" ]; then
        install -m 644 "man/$name.1" "$prefix/share/man/man1/"
    fi
done
install -m 644 man/*.7 "$prefix/share/man/man7/"
install -d "$prefix/share/bash-completion/completions" "$prefix/share/zsh/site-functions" \
    "$prefix/share/fish/vendor_completions.d"
install -m 644 completions/bash/* "$prefix/share/bash-completion/completions/"
install -m 644 completions/zsh/* "$prefix/share/zsh/site-functions/"
install -m 644 completions/fish/* "$prefix/share/fish/vendor_completions.d/"
