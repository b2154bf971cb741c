#!/bin/sh
# Opens a remote shell on the app's node in this container: a separate IEx that connects to the node. Uses the
# variables of the node's process, since `heroku ps:exec` doesn't set those of .profile.d.
set -u

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1

# Prints the value after a flag on a process's command line.
argument() {
  tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null | sed -n "/^$2\$/{n;p;q;}"
}

has_argument() {
  tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null | grep -qx -e "$2"
}

# Prints the variables of a process as sh commands.
variables() {
  sed -nz "s/'/'\\\\''/g; s/^\([A-Za-z_][A-Za-z0-9_]*\)=\(.*\)\$/export \1='\2'/p" "/proc/$1/environ" |
    tr '\0' '\n'
}

variable() {
  sed -nz "s/^$2=//p" "/proc/$1/environ" 2>/dev/null | tr -d '\0'
}

# The first Erlang VM with a name, or else the first one. Other consoles don't count.
vm='' named=''
for process in /proc/[0-9]*; do
  pid=${process#/proc/}
  program=$(tr '\0' '\n' 2>/dev/null <"$process/cmdline" | head -n 1)
  case $program in
  */beam.smp | beam.smp | */beam | beam) ;;
  *) continue ;;
  esac
  has_argument "$pid" -remsh && continue
  vm=${vm:-$pid}
  if [ -n "$(argument "$pid" -sname)$(argument "$pid" -name)" ]; then
    named=$pid
    break
  fi
done

[ -n "$vm" ] || fail \
  'No Erlang VM runs here.' \
  'Run this in a container where the app runs: in `heroku ps:exec --dyno=web.1`, not in `heroku run`.'
vm=${named:-$vm}
[ -r "/proc/$vm/environ" ] || fail \
  "The Erlang VM (process $vm) belongs to another user." \
  'Run this as the user that runs the app.'

release=$(variable "$vm" RELEASE_ROOT)
name=$(variable "$vm" RELEASE_NAME)
if [ -z "$named" ]; then
  if [ -n "$release" ]; then
    fail \
      "The release $name (process $vm) runs without a node name, so no shell can connect to it." \
      'RELEASE_DISTRIBUTION is none. To name the node, set the config var RELEASE_DISTRIBUTION=sname,' \
      'and RELEASE_NODE for another name than that of the release. Then restart the app.'
  fi
  fail \
    "The Erlang VM (process $vm) runs without a node name, so no shell can connect to it." \
    'To name the node, start it with --sname in the Procfile, and deploy again:' \
    '  web: elixir --sname web -S mix phx.server'
fi

# Keep this shell's terminal type.
term=${TERM:-}
eval "$(variables "$vm")"
export TERM="$term"
cd "$root" || exit 1

if [ -n "$release" ] && [ -x "$release/bin/$name" ]; then
  exec "$release/bin/$name" remote
fi

# These may contain the name of the running node.
unset ERL_AFLAGS ERL_FLAGS ERL_ZFLAGS ELIXIR_ERL_OPTIONS
node=$(argument "$vm" -sname)
if [ -n "$node" ]; then
  kind=--sname
  read -r host </proc/sys/kernel/hostname
  host=${host%%.*}
else
  kind=--name
  node=$(argument "$vm" -name)
  host=$(hostname -f)
fi
case $node in
*@*) host=${node#*@} ;;
*) node=$node@$host ;;
esac
set -- "$kind" "console-$$@$host" --hidden --remsh "$node"
cookie=$(argument "$vm" -setcookie)
[ -z "$cookie" ] || set -- "$@" --cookie "$cookie"
protocol=$(argument "$vm" -proto_dist)
[ -z "$protocol" ] || set -- "$@" --erl "-proto_dist $protocol"
exec iex "$@"
