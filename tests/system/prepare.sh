#!/bin/sh
# Makes this machine ready for tests/system and tests/hostile, where that can be done without asking: as root, with apt.
# "prepare.sh programs" only installs programs; the root that is booted is left to the tests of the system.
# Elsewhere it changes nothing; the tests then say what is missing.
set -eu
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
cd "$(dirname "$0")/../.."
lacking=
lack() { command -v "$1" >/dev/null || lacking="$lacking $2"; }
lack systemd-nspawn systemd-container
lack mmdebstrap mmdebstrap
lack ip iproute2
lack nsenter util-linux
lack rpmlint rpmlint
lack rpm rpm
lack nginx nginx-light
lack caddy caddy
lack openssl openssl
lack curl curl
lack chromium chromium
lack prometheus prometheus
lack promtool prometheus
if [ -n "$lacking" ]; then
  echo "==> Installing for the tests:$lacking"
  export DEBIAN_FRONTEND=noninteractive
  if [ ! -e /usr/sbin/policy-rc.d ]; then # the tests start what they need themselves
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
  fi
  apt-get update -qq || :
  # shellcheck disable=SC2086 # a list of names
  if ! apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends $lacking >/dev/null; then
    echo "Note: that failed; tests/system will say what is missing." >&2
    exit 0
  fi
fi
[ "${1:-}" = programs ] && exit 0
# The root that is booted takes minutes where it is not there yet: it is made while other tests run, and who needs it
# waits for it (and makes it where this has failed).
setsid nice -n 19 .venv/bin/python -m tests.system.roots </dev/null >/dev/null 2>&1 &
