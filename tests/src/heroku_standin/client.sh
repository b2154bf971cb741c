#!/usr/bin/env bash
# Stand-in for the command `heroku`, and for what a push starts at Heroku: hands its words to the
# test that has set PLATFORM_PORT, prints what that answers, and ends as it says.
exec 3<>"/dev/tcp/127.0.0.1/$PLATFORM_PORT" || exit 1
printf '%s\0' $# "$PWD" "$@" >&3
status=1
while IFS= read -r line <&3; do
  case $line in
    $'\x04'*) status=${line#?} ;;
    *) printf '%s\n' "$line" ;;
  esac
done
exit "$status"
