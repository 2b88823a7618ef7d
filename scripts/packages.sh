# Sourced by setup and build_horovod: what only the system's package manager can bring.

# install_packages NAME...: by apt, where there is one and root's rights; else says what is missing.
install_packages() {
    local as_root=()
    ((EUID == 0)) || as_root=(sudo -n)
    if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
        fail "please install $*, which this cannot do itself without apt and root's rights, and run it again"
    fi
    say "installing $*"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
