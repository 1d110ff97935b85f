# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the scripts beside it; sourced, not run.
# shellcheck shell=bash
# shellcheck disable=SC2034  # used by the scripts that source this file

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ -z "${TLC_CACHE:-}" ]; then
    if [ "$(id -u)" = 0 ]; then
        TLC_CACHE=/var/cache/tlc
    else
        TLC_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/tlc
    fi
fi
SOURCES=$TLC_CACHE/qemu-source

# The prefix only names where configuration would be; the binary can be anywhere. One that stays
# the same lets ccache find what it compiled for another state of the series.
OPTIONS=(
    --prefix=/usr/local
    --target-list=x86_64-softmmu
    --without-default-features
    --enable-system
    --enable-kvm
    --enable-tcg
    --enable-slirp
    --enable-linux-aio
    --enable-linux-io-uring
    --enable-zstd
    --enable-attr
    --enable-cap-ng
    --enable-seccomp
    --enable-pixman
    --enable-fdt=system
    --enable-trace-backends=log
    --disable-debug-info
    --disable-docs
    --disable-install-blobs
    --disable-download
    --firmwarepath=/usr/share/seabios:/usr/share/qemu:/usr/lib/ipxe/qemu
)

say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
    say "error: $*"
    exit 1
}

upstream() {
    sed -n "s/^$1: *//p" "$HERE/UPSTREAM"
}

need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null ||
            die "'$tool' is missing. Install the packages listed in $HERE/build-depends, as root: xargs apt-get install -y < $HERE/build-depends"
    done
}

# Archives in the machine's own apt sources, whatever format those have, that may be Debian's.
find_mirrors() {
    local own
    own=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-stable}")
    {
        # Sure ones, if their lists are there; then all that have a suite of that name.
        # shellcheck disable=SC2016  # apt expands these
        apt-get indextargets --format '$(COMPONENT) $(RELEASE) $(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
            awk '$1 == "main" && $3 == "Debian" { print $2, $4 }'
        apt-get --print-uris update |
            sed -nE "s|^'(.*/)dists/([^/]+)/InRelease'.*|\\2 \\1|p"
    } 2>/dev/null | awk -v own="$own" '
        ($1 == own || $1 ~ /^((old)*stable|testing|sid|unstable)$/) && !seen[$2]++ { print $2 }'
}

# The keys that sign the archive.
find_keyring() {
    local file
    for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
        if [ -r "$file" ]; then
            printf '%s\n' "$file"
            return
        fi
    done
    die "the keys of the Debian archive are missing: install debian-archive-keyring, or use --keyring FILE"
}

# apt with its sources, lists and cache in $APT, which the caller sets.
private_apt() {
    local tool=$1
    shift
    "$tool" -q -o Dir::Etc::sourcelist="$APT/debian.sources" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o Dir::State="$APT/state" -o Dir::State::lists="$APT/lists" \
        -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$APT/cache" \
        -o APT::Sandbox::User="$(id -un)" -o APT::Default-Release= "$@"
}

# The patches of the series, in order.
series() {
    sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$HERE/series"
}

# quilt as this series wants it: no file of the user, no fuzz, and a directory
# of its own, since Debian's source keeps the state of its patches in .pc.
patch_quilt() {
    QUILT_PC=.tlc-pc QUILT_PATCHES=$HERE/patches QUILT_SERIES=$HERE/series \
        QUILT_REFRESH_ARGS='-p ab --no-timestamps --no-index --diffstat' \
        QUILT_PUSH_ARGS='' QUILT_DIFF_OPTS='-p' \
        quilt --quiltrc - "$@"
}

# The version in a source tree, checked to be one the series is for.
source_version() {
    local branch version
    branch=$(upstream branch)
    [ -r "$1/VERSION" ] || die "$1 is not a QEMU source tree: it has no VERSION file"
    version=$(cat "$1/VERSION")
    case $version in
    "$branch" | "$branch".*) printf '%s\n' "$version" ;;
    *) die "$1 is QEMU $version; the patches are for $branch.x only. Name a $branch.x source." ;;
    esac
}

# Configure the source tree $1 for a build in $1/build.
configure_qemu() {
    local tree=$1
    shift
    if [ -d "$SOURCES/meson" ]; then
        export PYTHONPATH=$SOURCES/meson/usr/lib/python3/dist-packages
    fi
    # What was compiled in another directory is as good.
    export CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=$tree
    mkdir "$tree/build"
    # The python of a version manager would not see what Debian's packages provide.
    (cd "$tree/build" && ../configure --python=/usr/bin/python3 "${OPTIONS[@]}" "$@")
}
