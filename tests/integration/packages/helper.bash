# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC1091,SC2016,SC2034,SC2154
# A fresh Debian in a directory, with Slurm, in which the blocks of install.md are run as they stand.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
page=$root/spank-plugin/docs/install.md
base_packages=slurmctld,slurmd,slurm-client,munge,iproute2,procps,man-db,bash-completion,ca-certificates

# The Debian archive's entries of this machine's own apt configuration, and how it reaches them.
debian_sources() {
  apt-get indextargets --format '$(ORIGIN)|$(ARCHITECTURE)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
    awk -F'|' -v arch="$(dpkg --print-architecture)" '$1 == "Debian" && $2 == arch { print "deb " $3 " " $4 " " $5 }' | sort -u
}
apt_settings() {
  apt-config dump | grep -E '^Acquire::(http|https|Retries|Check-Date|Check-Valid-Until)\b.*"[^"]+";$' || true
}
suite() {
  apt-get indextargets --format '$(ORIGIN)|$(CODENAME)' 'Created-By: Packages' |
    awk -F'|' '$1 == "Debian" && $2 !~ /-/ { print $2; exit }'
}

# The fresh system as an archive, made once.
base_archive() {
  local archive work
  archive=$TLC_CACHE/packages-test-$({ suite; debian_sources; echo $base_packages; } | sha256sum | cut -c1-12).tar
  if [ ! -e "$archive" ]; then
    work=$(mktemp -d "$TLC_CACHE/packages-test-XXXXXX")
    debian_sources >"$work/sources"
    apt_settings >"$work/apt.conf"
    mmdebstrap --quiet --mode=root --format=tar --variant=minbase --include=$base_packages --aptopt="$work/apt.conf" \
      "$(suite)" "$work/tar" "$work/sources" >&2 && mv "$work/tar" "$archive"
    rm -rf "$work"
  fi
  [ -e "$archive" ] && echo "$archive"
}

# Its mounts are in a namespace that a waiting process holds: with it they are gone, whatever happens.
system_up() {
  local directory archive
  [ "$(id -u)" = 0 ] || skip "needs root, for a chroot"
  : "${TLC_CACHE:=/var/cache/tlc}"
  archive=$(base_archive) || return 1
  TEST_DIR=$(mktemp -d /var/tmp/tlc-packages-XXXXXX)
  export TEST_DIR TLC_CACHE system=$TEST_DIR/system
  chmod 755 "$TEST_DIR"
  mkdir "$system"
  tar -C "$system" --numeric-owner --xattrs --xattrs-include='*' -xf "$archive"
  cp -L /etc/resolv.conf /etc/hosts "$system/etc/"
  # A fresh system would start its daemons; there is no init here.
  printf '#!/bin/sh\nexit 101\n' >"$system/usr/sbin/policy-rc.d"
  chmod 755 "$system/usr/sbin/policy-rc.d"
  unshare --mount --propagation private sleep infinity 3>&- &
  export holder=$!
  until [ "$(cat "/proc/$holder/comm")" = sleep ]; do sleep 0.1; done
  # "ip netns" wants a root directory that is a mount.
  in_namespace mount --bind "$system" "$system"
  for directory in dev proc sys; do in_namespace mount --rbind "/$directory" "$system/$directory"; done
  in_namespace mount -t tmpfs tmpfs "$system/run"
  in_namespace mkdir -p "$system/run/lock"
  mkdir -p "$system/srv/tlc/packages"
}

system_down() {
  [ -n "${TEST_DIR:-}" ] || return 0
  [ ! -e "$TEST_DIR/cluster" ] || . "$TEST_DIR/cluster"
  [ -z "${cluster_dir:-}" ] || in_system "/root/cluster stop --dir $cluster_dir"
  if [ -n "${holder:-}" ] && kill "$holder" 2>/dev/null; then
    until [ ! -e "/proc/$holder" ]; do sleep 0.1; done
  fi
  rm -rf --one-file-system "$TEST_DIR" ${cluster_dir:+"$cluster_dir"}
}

in_namespace() { nsenter --mount="/proc/$holder/ns/mnt" "$@"; }

# in_system COMMANDS [USER]: in the fresh system, with bash -e and no environment of ours.
in_system() {
  local as=()
  [ -z "${2:-}" ] || as=(runuser -u "$2" --)
  in_namespace chroot "$system" env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive ${cluster_dir:+SLURM_CONF=$cluster_dir/slurm.conf} \
    "${as[@]}" bash -euc "$1" 3>&-
}

# block HEADING N: the N-th block of commands below the heading of install.md that starts so.
block() {
  awk -v heading="## $1" -v wanted="$2" '
    /^## / { here = index($0, heading) == 1 }
    here && /^```sh/ { inside = ++n == wanted; next }
    /^```/ { inside = 0 }
    inside { print; found = 1 }
    END { exit !found }' "$page"
}

# run_block HEADING N [USER DIRECTORY]
run_block() {
  local commands
  commands=$(block "$1" "$2") || { echo "install.md has no block $2 below \"$1\""; return 1; }
  run in_system "${4:+cd $4
}$commands" "${3:-}"
  echo "$commands"
  echo "--- ended with $status: $output"
}

# Every file of the system that is not the package manager's own bookkeeping, a log or a cache.
file_list() {
  (cd "$system" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp -o -path ./var/log \
    -o -path ./var/cache -o -path ./var/lib/apt -o -path ./var/lib/dpkg \) -prune -o -print | LC_ALL=C sort)
}

until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || { echo "not within the time: $*"; return 1; }
    sleep 0.3
  done
}
