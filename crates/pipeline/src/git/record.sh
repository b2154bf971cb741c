#!/bin/sh
# Written by Mixpack for this build. Records git's output, so that the dyno, which has no repository and perhaps no
# git, can repeat it. Other commands are passed to git itself.
real=@REAL@
answers=${MIXPACK_GIT_ANSWERS:-@ANSWERS@}

command=
skip=
for word in "$@"; do
  if [ -n "$skip" ]; then
    skip=
    continue
  fi
  case "$word" in
    -C | -c) skip=1 ;;
    -*) ;;
    *)
      command=$word
      break
      ;;
  esac
done
case "${1-}" in
  # mix runs this in the directories of dependencies.
  --git-dir=.git) exec "$real" "$@" ;;
esac
case "$command" in
  branch | describe | diff | diff-index | log | name-rev | rev-list | rev-parse | shortlog | show | status | symbolic-ref | tag) ;;
  *) exec "$real" "$@" ;;
esac

# Prints what git would print about the commit of this build, if the platform names the commit but sends no
# repository. Fails for any other command.
of_commit() {
  short= full= new_line=1 head= one= always=
  while [ "$1" != "$command" ]; do shift; done
  shift
  for word in "$@"; do
    case "$command $word" in
      *' HEAD') head=1 ;;
      'rev-parse --short') short=7 ;;
      'rev-parse --short='* | *' --abbrev='[1-9]*) short=${word#*=} ;;
      'rev-parse --verify' | 'rev-parse --quiet' | 'rev-parse -q') ;;
      'describe --always') always=1 ;;
      'describe --dirty'* | 'describe --tags' | 'describe --all' | 'describe --long') ;;
      'describe --match'* | 'describe --exclude'* | 'describe --first-parent' | 'describe --broken'*) ;;
      'rev-list -1' | 'log -1' | 'log -n1' | *' --max-count=1') one=1 ;;
      'rev-list -n' | 'log -n' | 'show -n') ;;
      'rev-list 1' | 'log 1' | 'show 1') one=1 ;;
      'rev-list --abbrev-commit') short=${short:-7} ;;
      'show -1' | 'show -s' | 'show --no-patch' | 'show --quiet' | 'log --no-patch' | 'log -s') ;;
      *' --format=%h' | *' --pretty=%h' | *' --pretty=tformat:%h' | *' --format=tformat:%h') short=${short:-7} full=1 ;;
      *' --format=%H' | *' --pretty=%H' | *' --pretty=tformat:%H' | *' --format=tformat:%H') full=1 ;;
      *' --pretty=format:%h' | *' --format=format:%h') short=${short:-7} full=1 new_line= ;;
      *' --pretty=format:%H' | *' --format=format:%H') full=1 new_line= ;;
      *) return 1 ;;
    esac
  done
  case "$command$head$one$always$full" in
    rev-parse1 | rev-list11 | log*11 | show*1) ;;
    describe*1) short=${short:-7} ;;
    *) return 1 ;;
  esac
  case "$command" in
    log | show) [ -n "$full" ] || return 1 ;;
    describe) [ -n "$always" ] || return 1 ;;
  esac
  output=$commit
  [ -z "$short" ] || output=$(printf '%s' "$commit" | cut "-c1-$short") || return 1
  printf '%s' "$output"
  [ -z "$new_line" ] || echo
}

answer=$(mktemp -d "$answers/XXXXXXXX") || exec "$real" "$@"
"$real" "$@" >"$answer/stdout" 2>"$answer/stderr"
status=$?
if [ "$status" = 128 ] && ! "$real" rev-parse --git-dir >/dev/null 2>&1; then
  : >"$answer/no-repository"
  for variable in SOURCE_VERSION GIT_REV HEROKU_TEST_RUN_COMMIT_VERSION; do
    eval "commit=\${$variable-}"
    case "$commit" in
      '' | *[!0-9a-f]*) continue ;;
    esac
    if of_commit "$@" >"$answer/replacement"; then
      mv "$answer/replacement" "$answer/stdout"
      : >"$answer/stderr"
      printf '%s' "$variable" >"$answer/variable"
      status=0
    fi
    break
  done
fi
printf '%s\n' "$@" >"$answer/question"
pwd -P >"$answer/folder"
printf '%s' "$status" >"$answer/status"
cat "$answer/stderr" >&2
cat "$answer/stdout"
exit "$status"
