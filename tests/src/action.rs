//! `action.yml`, and the part of GitHub Actions that runs it.

use crate::repository;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// The format is that of GitHub's page "Metadata syntax", as far as this action uses it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    pub name: String,
    pub description: String,
    pub inputs: BTreeMap<String, Input>,
    pub outputs: BTreeMap<String, Output>,
    pub runs: Runs,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub description: String,
    pub default: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub description: String,
    pub value: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    pub using: String,
    pub steps: Vec<Step>,
}

/// A step without `uses`: nothing of another repository runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub id: String,
    pub shell: String,
    pub run: String,
    pub env: BTreeMap<String, String>,
}

impl Action {
    pub fn read() -> Self {
        let text = fs::read_to_string(repository().join("action.yml")).expect("action.yml");
        serde_norway::from_str(&text).unwrap_or_else(|error| panic!("action.yml: {error}"))
    }

    /// The value of an input: that of the workflow, or else the default.
    pub fn input(&self, name: &str, with: &[(&str, &str)]) -> String {
        let default = &self
            .inputs
            .get(name)
            .unwrap_or_else(|| panic!("no input {name}"))
            .default;
        let given = with.iter().find(|(input, _)| *input == name);
        given.map_or_else(|| default.clone(), |(_, value)| (*value).to_owned())
    }

    /// A text with the values of its expressions: `inputs.NAME` or `github.event.NAME…`, joined by `||`.
    pub fn evaluated(&self, text: &str, with: &[(&str, &str)], event: &Value) -> String {
        let mut parts = text.split("${{");
        let mut evaluated = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (expression, rest) = part.split_once("}}").expect("the end of an expression");
            let values = expression.split("||").map(|term| match term.trim() {
                term if term.starts_with("inputs.") => self.input(&term["inputs.".len()..], with),
                term => {
                    let path = term
                        .strip_prefix("github.event.")
                        .unwrap_or_else(|| panic!("{term}"));
                    let value = event.pointer(&format!("/{}", path.replace('.', "/")));
                    value.and_then(Value::as_str).unwrap_or_default().to_owned()
                }
            });
            let values: Vec<String> = values.collect();
            evaluated += values
                .iter()
                .find(|value| !value.is_empty())
                .map_or("", String::as_str);
            evaluated += rest;
        }
        evaluated
    }
}
