#!/bin/bash
# Builds the binary and the source RPM into a folder. Needs rpmbuild; where that has no macros for Python (Debian), also
# an interpreter with vLLama's dependencies, the system's or that of .venv, which is completed if necessary.
#
#   build.sh [-o DIR] [-s TARBALL] [RPMBUILD OPTIONS]
#
# DIR is dist/ by default; the log is kept there, too. The source is HEAD, without what is not committed, or TARBALL
# (vllama-VERSION.tar.gz with a folder vllama-VERSION in it). Every word that follows goes to rpmbuild: `--without check`
# leaves the tests out.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
out=$top/dist tarball=
while [ $# -gt 0 ]; do
  case $1 in -o) out=$2 ;; -s) tarball=$2 ;; *) break ;; esac
  shift 2
done

needs='import setuptools.command.bdist_wheel, pip, aiohttp, click, markdown_it, pydantic, pygments; pydantic.RootModel'
case " $* " in *" --without check "*) ;; *) needs+='; import hypothesis, pytest, pytest_asyncio, pytest_timeout' ;; esac

builder() {  # an interpreter that has what pip builds with, what our program imports and what its tests need
  local python
  for python in /usr/bin/python3 "$top/.venv/bin/python"; do
    if "$python" -c "$needs" 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  [ -f "$top/Makefile" ] && make -s -C "$top" .venv/.ready-to-build >&2 && "$top/.venv/bin/python" -c "$needs" &&
    echo "$top/.venv/bin/python" && return
  echo "Error: no Python here has pip, setuptools, vLLama's dependencies and what its tests need" >&2
  return 1
}

command -v rpmbuild >/dev/null || { echo "Error: rpmbuild is not installed (dnf install rpm-build, apt install rpm)" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/rpm/{SOURCES,RPMS,SRPMS} "$out"
log=$(cd "$out" && pwd)/build.log
if [ -z "$tarball" ]; then
  version=$(git -C "$top" show HEAD:vllama/__init__.py | sed -n 's/^__version__ = "\(.*\)"/\1/p')
  [ -z "$(git -C "$top" status --porcelain --untracked-files=no)" ] ||
    echo "Note: what is not committed is not in the package." >&2
  tarball=$work/vllama-$version.tar.gz
  git -C "$top" archive --prefix="vllama-$version/" -o "$tarball" HEAD
fi
cp "$tarball" "$work/rpm/SOURCES/"
tar -xzf "$tarball" -C "$work" --strip-components=1 --wildcards '*/packaging/rpm' '*/vllama/__init__.py'
spec=$work/packaging/rpm/vllama.spec
chmod 0644 "$spec"
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$work/vllama/__init__.py")
grep -q "^Version: *$version\$" "$spec" || { echo "Error: the spec's Version is not vllama's $version" >&2; exit 1; }

options=(--define "_topdir $work/rpm")
if [ "$(rpm --eval '%{?pyproject_wheel:1}')" != 1 ]; then
  export HOME=$work  # rpmbuild reads macros anew for a noarch package, but always those of ~/.rpmmacros
  cp "$work/packaging/rpm/macros.fallback" "$HOME/.rpmmacros"
  python=$(builder)
  options+=(--nodeps --define "__python3 $python")
fi
echo "==> building vllama $version (log: $log)"
status=0
rpmbuild -ba "${options[@]}" "$@" "$spec" 2>&1 | tee "$log" | sed -un 's/^Executing(\(%[a-z_]*\)).*/    \1/p' || status=$?
if [ "$status" != 0 ]; then
  tail -n 40 "$log" >&2
  find "$work/rpm/SRPMS" -name '*.buildreqs.nosrc.rpm' -exec cp -t "$out" {} +
  if [ "$status" = 11 ]; then  # rpmbuild's own: packages are missing that only the source names
    echo "Install what is missing: sudo dnf builddep $out/*.buildreqs.nosrc.rpm" >&2
  elif grep -q '^error: Failed build dependencies' "$log"; then
    echo "Install what is missing: sudo dnf builddep packaging/rpm/vllama.spec" >&2
  fi
  echo "Error: rpmbuild failed; the whole log is $log" >&2
  exit 1
fi
find "$work/rpm/RPMS" "$work/rpm/SRPMS" -name '*.rpm' -exec cp -vt "$out" {} + | sed -n "s/.* -> '\(.*\)'/written: \1/p"
. /etc/os-release
if [ "${ID:-}" != fedora ]; then
  echo "This RPM is for this machine (${PRETTY_NAME:-not Fedora}) only. On Fedora: sudo dnf builddep packaging/rpm/vllama.spec; rpmbuild --rebuild dist/*.src.rpm"
else
  echo "Install it: sudo dnf install $out/vllama-$version-*.noarch.rpm"
fi
