#!/bin/sh
# Written by Mixpack. Runs the image's git if it can answer. Otherwise, repeats git's output from the build. For
# dependencies from git, prints the commit and origin that mix compares with mix.lock, from the dependency's `.git`.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
top=${here%/.mixpack/bin}
at=$(pwd -P)
case "$at" in
  "$top") at=. ;;
  "$top"/*) at=${at#"$top"/} ;;
esac
real=
IFS=:
for dir in $PATH; do
  if [ -x "$dir/git" ] && ! [ "$dir/git" -ef "$0" ]; then
    real=$dir/git
    break
  fi
done
unset IFS

answer() {
  if [ -n "$real" ] && "$real" "$@" >/dev/null 2>&1; then
    exec "$real" "$@"
  fi
}

case "$at $*" in
@ANSWERS@esac
if [ -n "$real" ]; then
  exec "$real" "$@"
fi
case "$*" in
  '--git-dir=.git config remote.origin.url')
    exec sed -n '/^\[remote "origin"\]/,/^\[/s/^[[:space:]]*url = //p' .git/config ;;
  '--git-dir=.git rev-parse --verify --quiet HEAD')
    exec cat .git/HEAD ;;
esac
echo 'git is not installed here' >&2
exit 127
