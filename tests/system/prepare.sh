#!/bin/sh
# Installs what tests/system needs of this machine, where that can be done without asking: as root, with apt.
# Elsewhere it changes nothing; the tests then say what is missing.
set -eu
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
lacking=
lack() { command -v "$1" >/dev/null || lacking="$lacking $2"; }
lack systemd-nspawn systemd-container
lack mmdebstrap mmdebstrap
lack ip iproute2
lack nsenter util-linux
lack rpmlint rpmlint
[ -n "$lacking" ] || exit 0
echo "==> Installing for tests/system:$lacking"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || :
# shellcheck disable=SC2086 # a list of names
apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends $lacking >/dev/null ||
  echo "Note: that failed; tests/system will say what is missing." >&2
