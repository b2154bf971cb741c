//! Shell completions for the commands for users.

/// Returns the script for a shell.
pub(crate) fn of(shell: &str) -> Option<&'static str> {
    match shell {
        "bash" => Some(include_str!("completions/mixpack.bash")),
        "zsh" => Some(include_str!("completions/mixpack.zsh")),
        "fish" => Some(include_str!("completions/mixpack.fish")),
        _ => None,
    }
}
