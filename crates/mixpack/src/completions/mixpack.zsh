#compdef mixpack
# Completion of mixpack for zsh: mixpack completions zsh > _mixpack, in a folder of fpath

_mixpack() {
  local -a commands
  local -aU types
  commands=(
    'plan:show what would be built, and why'
    'doctor:predict problems of an app where it is deployed'
    'explain:explain the code of an error'
    'migrate:move an app off the old buildpacks'
    'build:build an app like Heroku does'
    'run:start a process of what was built'
    'store-keys:generate keys for a shared store'
    'completions:print what makes a shell complete these'
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    _arguments '--help[what mixpack does]' '--version[its version]'
    return
  fi
  local command=$words[2] dir=$words[3]
  shift words
  (( CURRENT-- ))
  case $command in
    plan) _arguments '--json[one JSON document]' '--help[what plan does]' '1:the app:_directories' ;;
    doctor) _arguments '(--sarif --github)--json[one JSON document]' '(--json --github)--sarif[one SARIF document]' '(--json --sarif)--github[for GitHub Actions]' '--base[the app to compare with]:folder:_directories' '--env[the config vars]:file:_files' '--help[what doctor does]' '1:the app:_directories' ;;
    explain)
      types=(${(f)"$(mixpack explain 2>/dev/null | sed -n 's/^  \([a-z][a-z0-9-]*\) .*/\1/p')"})
      _arguments '--help[what explain does]' "1:code:(${types})" ;;
    migrate) _arguments '--write[change the files]' '--url[the URL of Mixpack]:URL:' '--help[what migrate does]' '1:the app:_directories' ;;
    build) _arguments '--timeline[write a picture of the build]:file:_files' '--help[what build does]' '1:the app:_directories' ;;
    run)
      types=(web ${(f)"$(sed -n 's/^\([A-Za-z0-9_-]*\):.*/\1/p' $dir/Procfile 2>/dev/null)"})
      _arguments '--help[what run does]' '1:the app:_directories' "2:process type:(${types})" ;;
    completions) _arguments '--help[what completions does]' '1:shell:(bash zsh fish)' ;;
  esac
}

# From a folder of fpath it is the function itself, else it is told of.
if [ "$funcstack[1]" = _mixpack ]; then
  _mixpack "$@"
else
  compdef _mixpack mixpack
fi
