# Completion of mixpack for bash: source <(mixpack completions bash)

_mixpack() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
  local words='' file
  # Where there are no words, `complete -o dirnames` completes folders.
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='plan doctor explain migrate build run store-keys completions --help --version'
  elif [ "$prev" = --timeline ] || [ "$prev" = --env ]; then
    while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$cur")
    return
  else
    case ${COMP_WORDS[1]} in
      plan) case $cur in -*) words='--json --help' ;; esac ;;
      doctor) case $cur in -*) words='--json --sarif --github --base --env --help' ;; esac ;;
      explain) words="$("${COMP_WORDS[0]}" explain 2>/dev/null | sed -n 's/^  \([a-z][a-z0-9-]*\) .*/\1/p') --help" ;;
      migrate) case $cur in -*) words='--write --url --help' ;; esac ;;
      build) case $cur in -*) words='--timeline --help' ;; esac ;;
      run)
        case $cur in -*) words='--help' ;; esac
        if [ "$COMP_CWORD" -eq 3 ]; then
          words=$(
            { echo web; sed -n 's/^\([A-Za-z0-9_-]*\):.*/\1/p' "${COMP_WORDS[2]}/Procfile"; } 2>/dev/null | sort -u
          )
        fi ;;
      completions) words='bash zsh fish --help' ;;
    esac
  fi
  [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$cur"))
}

complete -o dirnames -F _mixpack mixpack
