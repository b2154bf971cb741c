//! What `elixir:` of a `mix.exs` does not allow.

use super::{Explanation, Wording};
use app::{Asked, Origin};

pub(super) fn refuses(elixir: &str, source: &str, requirement: &Asked) -> Explanation {
    let place = &requirement.origin;
    Explanation::user(
        "elixir-not-allowed-by-mix-exs",
        format!("Elixir {elixir} is not what {place} allows"),
    )
    .because(format!("{source} asks for Elixir {elixir}."))
    .because(says(requirement))
    .so(format!("Change {source} or {place}, so that they agree."))
}

pub(super) fn refuses_all(
    requirement: &Asked,
    otp: Option<&(String, Origin)>,
    newest: &str,
    words: &Wording,
) -> Explanation {
    const CODE: &str = "no-elixir-that-mix-exs-allows";
    let place = &requirement.origin;
    let title = format!("no Elixir that {place} allows can be had");
    match otp {
        Some((otp, source)) => {
            let source = words.origin(source);
            Explanation::user(CODE, format!("{title} on Erlang/OTP {otp}"))
                .because(says(requirement))
                .because(format!(
                    "{source} asks for Erlang/OTP {otp}, and the newest Elixir that runs on it is {newest}."
                ))
                .so(format!("Ask for another Erlang/OTP in {source}, or change {place}."))
        }
        None => Explanation::user(CODE, title)
            .because(says(requirement))
            .because(format!(
                "The newest Elixir that is built for this stack is {newest}."
            ))
            .so(format!(
                "Change {place}, so that it allows one that is there."
            )),
    }
}

fn says(requirement: &Asked) -> String {
    format!(
        "{} says elixir: {:?}, and mix refuses any other.",
        requirement.origin, requirement.value
    )
}
