//! `hex_metadata.config`, which Hex writes to each package in `deps`.
//!
//! The file contains the metadata of the package's archive, one Erlang term per line: `{<<"elixir">>,<<"~>
//! 1.14">>}.`. Source: `src/hex_tarball.erl` of <https://github.com/hexpm/hex_core>.

/// Returns the package's name and version (`phoenix 1.7.10`), and its Elixir requirement. `None` for a package
/// without a requirement.
#[must_use]
pub fn elixir_requirement(text: &str) -> Option<(String, String)> {
    let value = |key: &str| {
        let start = format!("{{<<\"{key}\">>,<<\"");
        let value = text.lines().find_map(|line| line.strip_prefix(&start))?;
        value.strip_suffix("\">>}.")
    };
    let package = format!("{} {}", value("name")?, value("version")?);
    Some((package, value("elixir")?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_elixir_requirement_of_package() {
        let metadata = |elixir: &str| {
            format!(
                "{{<<\"requirements\">>,[[{{<<\"name\">>,<<\"plug\">>}},\n  {{<<\"elixir\">>,<<\"~> 9.9\">>}}]]}}.\n\
                 {{<<\"name\">>,<<\"phoenix\">>}}.\n{elixir}{{<<\"version\">>,<<\"1.7.10\">>}}.\n"
            )
        };
        let required = metadata("{<<\"elixir\">>,<<\"~> 1.11 and != 1.12.0\">>}.\n");
        assert_eq!(
            elixir_requirement(&required),
            Some((
                "phoenix 1.7.10".to_owned(),
                "~> 1.11 and != 1.12.0".to_owned()
            ))
        );
        assert_eq!(elixir_requirement(&metadata("")), None);
    }
}
