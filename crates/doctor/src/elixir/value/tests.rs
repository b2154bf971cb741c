//! Values of expressions.

use super::*;
use crate::elixir::tree::parse;

fn value(code: &str) -> Value {
    let mut scope = Scope::of("prod");
    let url = Value::Env(EnvVar {
        name: "URL".into(),
        line: 1,
        default: None,
        required: true,
    });
    scope.set("url", url);
    evaluate(&parse(code).unwrap(), &scope)
}

fn env(name: &str, default: Option<Value>, required: bool) -> Value {
    Value::Env(EnvVar {
        name: name.into(),
        line: 1,
        default: default.map(Box::new),
        required,
    })
}

#[test]
fn environment_variables_keep_their_defaults_through_conversions() {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    for (code, expected) in [
        ("System.get_env(\"A\")", env("A", None, false)),
        ("System.get_env(\"A\", \"1\")", env("A", text("1"), false)),
        (
            "String.to_integer(System.get_env(\"A\") || \"10\")",
            env("A", text("10"), false),
        ),
        (
            "System.get_env(\"A\", \"10\") |> String.to_integer()",
            env("A", text("10"), false),
        ),
        (
            "System.get_env(\"A\") || raise \"\"\"\nx\n\"\"\"",
            env("A", None, true),
        ),
        ("System.fetch_env!(\"A\")", env("A", None, true)),
        ("Map.fetch!(System.get_env(), \"A\")", env("A", None, true)),
        ("{:system, \"A\"}", env("A", None, false)),
        ("\"${PORT}\"", env("PORT", None, false)),
        ("url", env("URL", None, true)),
    ] {
        assert_eq!(value(code), expected, "{code}");
    }
}

#[test]
fn computed_values_are_unknown_but_name_their_variables() {
    for (code, names) in [
        ("f(System.get_env(\"DB\"))", vec!["DB"]),
        ("System.get_env(\"DB\") == \"x\"", vec!["DB"]),
        ("\"//#{System.get_env(\"DB\")}\"", vec!["DB"]),
        ("\"#{url}?ssl=true\"", vec!["URL"]),
        ("URI.parse(url).host", vec!["URL"]),
        ("[a | b]", vec![]),
    ] {
        assert_eq!(
            value(code),
            Value::Unknown(names.into_iter().map(str::to_owned).collect()),
            "{code}"
        );
    }
}

#[test]
fn conditions_on_the_environment_of_the_build_are_certain() {
    for (code, expected) in [
        ("config_env() == :prod", "true"),
        ("config_env() != :prod", "false"),
        ("Mix.env() in [:prod, :staging]", "true"),
        ("Mix.env in ~w(dev test)a", "false"),
        ("not (config_env() == :test) and true", "true"),
        ("if config_env() == :prod, do: true, else: :b", "true"),
        ("if config_env() == :dev, do: :a", "nil"),
    ] {
        assert_eq!(value(code), Value::atom(expected), "{code}");
    }
    assert_eq!(
        value("config_env() == :prod && x"),
        Value::Unknown(Vec::new())
    );
}

#[test]
fn lists_of_pairs_are_keywords() {
    let list = value("[port: 1, ip: {0, 0}, x: [:a]]");
    assert_eq!(
        list.get("port").map(|pair| &pair.value),
        Some(&Value::Integer(1))
    );
    assert!(matches!(&list.get("ip").unwrap().value, Value::Items(items) if items.len() == 2));
    assert_eq!(
        value("[{:port, 55_000}]").get("port").unwrap().value,
        Value::Integer(55000)
    );
    assert_eq!(
        value("%{\"a\" => -1}").get("a").unwrap().value,
        Value::Integer(-1)
    );
}
