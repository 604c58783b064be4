#!/bin/bash
# Builds the binary and the source RPM into a folder. Needs rpmbuild; on Debian also python3-pip, -setuptools and
# -wheel, and our own dependencies (man pages and completion are written by the program).
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
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$work/vllama/__init__.py")
grep -q "^Version: *$version\$" "$spec" || { echo "Error: the spec's Version is not vllama's $version" >&2; exit 1; }

options=(--define "_topdir $work/rpm")
if [ "$(rpm --eval '%{?pyproject_wheel:1}')" != 1 ]; then
  export HOME=$work  # rpmbuild reads macros anew for a noarch package, but always those of ~/.rpmmacros
  cp "$work/packaging/rpm/macros.fallback" "$HOME/.rpmmacros"
  options+=(--nodeps)
fi
rpmbuild -ba --quiet "${options[@]}" "$@" "$spec"
find "$work/rpm/RPMS" "$work/rpm/SRPMS" -name '*.rpm' -exec cp -t "$out" {} +
