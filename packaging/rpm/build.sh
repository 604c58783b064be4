#!/bin/bash
# Builds the binary and the source RPM into a folder. Needs rpmbuild; where that has no macros for Python (Debian), also
# an interpreter with vLLama's dependencies, the system's or that of `make setup`.
#
#   build.sh [-o DIR] [-s TARBALL] [RPMBUILD OPTIONS]
#
# DIR is dist/ by default. The source is HEAD, without what is not committed, or TARBALL (vllama-VERSION.tar.gz with a
# folder vllama-VERSION in it). Every word that follows goes to rpmbuild: `--without check` leaves the tests out.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
out=$top/dist tarball=
while [ $# -gt 0 ]; do
  case $1 in -o) out=$2 ;; -s) tarball=$2 ;; *) break ;; esac
  shift 2
done

builder() {  # an interpreter that has what pip builds with and what our program imports
  local python
  for python in /usr/bin/python3 "$top/.venv/bin/python"; do
    if "$python" -c 'import setuptools.command.bdist_wheel, pip, aiohttp, click, pydantic; pydantic.RootModel' 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  echo "Error: no Python here has pip, setuptools and vLLama's dependencies; run: make setup" >&2
  return 1
}

command -v rpmbuild >/dev/null || { echo "Error: rpmbuild is not installed (dnf install rpm-build, apt install rpm)" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/rpm/SOURCES" "$out"
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
rpmbuild -ba "${options[@]}" "$@" "$spec" >"$work/log" 2>&1 || { tail -n 80 "$work/log" >&2; exit 1; }
find "$work/rpm/RPMS" "$work/rpm/SRPMS" -name '*.rpm' -exec cp -t "$out" {} +
