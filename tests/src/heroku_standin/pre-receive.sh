#!/usr/bin/env bash
# Stand-in for the git server of Heroku: builds what is pushed to `main`, and refuses the push when
# that fails. What is pushed is not in the repository before this has ended, hence the archive.
set -euo pipefail
while read -r _ commit ref; do
  if [[ $ref != refs/heads/main ]]; then
    echo "Pushed to non-main branch, skipping build."
    continue
  fi
  checkout=$(mktemp -d)
  git archive "$commit" | tar -x -C "$checkout"
  heroku-receive "$checkout"
done
