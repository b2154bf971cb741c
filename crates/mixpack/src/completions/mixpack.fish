# Completion of mixpack for fish: mixpack completions fish > ~/.config/fish/completions/mixpack.fish

function __mixpack_types
    set -l words (commandline -opc)
    echo web
    test (count $words) -eq 3; and test -r $words[3]/Procfile
    and string replace -rf '^([A-Za-z0-9_-]+):.*' '$1' <$words[3]/Procfile
end

complete -c mixpack -f
complete -c mixpack -n __fish_use_subcommand -a plan -d 'Show what would be built, and why'
complete -c mixpack -n __fish_use_subcommand -a doctor -d 'Predict problems of an app where it is deployed'
complete -c mixpack -n __fish_use_subcommand -a explain -d 'Explain the code of an error'
complete -c mixpack -n __fish_use_subcommand -a migrate -d 'Move an app off the old buildpacks'
complete -c mixpack -n __fish_use_subcommand -a build -d 'Build an app like Heroku does'
complete -c mixpack -n __fish_use_subcommand -a run -d 'Start a process of what was built'
complete -c mixpack -n __fish_use_subcommand -a store-keys -d 'Generate keys for a shared store'
complete -c mixpack -n __fish_use_subcommand -a completions -d 'Print what makes a shell complete these'
complete -c mixpack -n __fish_use_subcommand -l version -d 'Its version'
complete -c mixpack -l help -d 'What a command does'
complete -c mixpack -n '__fish_seen_subcommand_from plan doctor' -l json -d 'One JSON document'
complete -c mixpack -n '__fish_seen_subcommand_from doctor' -l sarif -d 'One SARIF document'
complete -c mixpack -n '__fish_seen_subcommand_from doctor' -l github -d 'For GitHub Actions'
complete -c mixpack -n '__fish_seen_subcommand_from doctor' -l base -x -a '(__fish_complete_directories)' -d 'The app to compare with'
complete -c mixpack -n '__fish_seen_subcommand_from doctor' -l env -r -F -d 'The config vars'
complete -c mixpack -n '__fish_seen_subcommand_from explain' -a "(mixpack explain 2>/dev/null | string replace -rf '^  ([a-z][a-z0-9-]*) .*' '\$1')"
complete -c mixpack -n '__fish_seen_subcommand_from migrate' -l write -d 'Change the files'
complete -c mixpack -n '__fish_seen_subcommand_from migrate' -l url -x -d 'The URL of Mixpack'
complete -c mixpack -n '__fish_seen_subcommand_from build' -l timeline -r -F -d 'Write a picture of the build'
complete -c mixpack -n '__fish_seen_subcommand_from plan doctor migrate build' -a '(__fish_complete_directories)'
complete -c mixpack -n '__fish_seen_subcommand_from run; and test (count (commandline -opc)) -eq 2' -a '(__fish_complete_directories)'
complete -c mixpack -n '__fish_seen_subcommand_from run; and test (count (commandline -opc)) -eq 3' -a '(__mixpack_types)'
complete -c mixpack -n '__fish_seen_subcommand_from completions' -a 'bash zsh fish'
