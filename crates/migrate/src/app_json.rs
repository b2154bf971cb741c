//! `app.json`: the key `buildpacks`, at the top level and in `environments`.

use crate::buildpacks::{Action, actions};
use crate::{Edit, Notes, line_of};
use serde_json::Value;
use std::ops::Range;

/// An element of a list of buildpacks.
struct Element<'a> {
    /// The whole element.
    range: Range<usize>,
    /// The URL, between its quotes.
    address: Range<usize>,
    text: &'a str,
}

pub(crate) fn edits(text: &str, url: &str, notes: &mut Notes<'_>) -> Vec<Edit> {
    if let Err(error) = serde_json::from_str::<Value>(text) {
        notes.add(
            error.line(),
            format!("app.json isn't JSON: {error}. It stays as it is. Correct the line, and run `mixpack migrate` again."),
        );
        return Vec::new();
    }
    let mut edits = Vec::new();
    for elements in lists(text) {
        let list: Vec<(usize, &str)> = elements
            .iter()
            .map(|element| (line_of(text, element.range.start), element.text))
            .collect();
        let actions = actions(&list, url, notes);
        // The end of the last element that stays.
        let mut kept_end = None;
        for (at, (element, action)) in elements.iter().zip(&actions).enumerate() {
            match (action, kept_end) {
                (Action::Replace, _) => edits.push(Edit {
                    range: element.address.clone(),
                    text: url.to_owned(),
                }),
                (Action::Keep, _) => {}
                // Remove the comma and the spaces before it too.
                (Action::Remove, Some(end)) => {
                    edits.push(Edit {
                        range: end..element.range.end,
                        text: String::new(),
                    });
                }
                // Remove the comma and the spaces after it too. The list isn't empty then, since Mixpack is in it.
                (Action::Remove, None) => {
                    let end = elements
                        .get(at + 1)
                        .map_or(element.range.end, |next| next.range.start);
                    edits.push(Edit {
                        range: element.range.start..end,
                        text: String::new(),
                    });
                }
            }
            if *action != Action::Remove || kept_end.is_some() {
                kept_end = Some(element.range.end);
            }
        }
    }
    edits
}

/// Returns the URLs of the top-level list, for the platform's commands.
pub(crate) fn addresses(text: &str) -> Option<Vec<String>> {
    let json: Value = serde_json::from_str(text).ok()?;
    let list = json.get("buildpacks")?.as_array()?;
    let address = |entry: &Value| {
        entry
            .get("url")
            .unwrap_or(entry)
            .as_str()
            .map(str::to_owned)
    };
    Some(list.iter().filter_map(address).collect())
}

/// Returns the lists of buildpacks in a valid JSON document.
fn lists(text: &str) -> Vec<Vec<Element<'_>>> {
    let mut scanner = Scanner {
        text,
        at: 0,
        path: Vec::new(),
        lists: Vec::new(),
    };
    scanner.value();
    scanner.lists
}

/// Scans a valid JSON document.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The keys of the enclosing objects.
    path: Vec<&'a str>,
    lists: Vec<Vec<Element<'a>>>,
}

impl Scanner<'_> {
    fn peek(&mut self) -> u8 {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        self.text
            .as_bytes()
            .get(self.at)
            .copied()
            .unwrap_or_default()
    }

    fn value(&mut self) {
        match self.peek() {
            b'{' => self.object(&mut None),
            b'[' => self.array(),
            b'"' => {
                self.string();
            }
            _ => {
                let rest = &self.text[self.at..];
                self.at += rest.find([',', ']', '}']).unwrap_or(rest.len());
            }
        }
    }

    /// Skips a string, and returns the range between its quotes.
    fn string(&mut self) -> Range<usize> {
        let start = self.at + 1;
        let mut is_escaped = false;
        let end = self.text[start..].bytes().position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        });
        let end = end.map_or(self.text.len(), |end| start + end);
        self.at = self.text.len().min(end + 1);
        start..end
    }

    /// Scans an object, and stores the string of its key `url`.
    fn object(&mut self, url: &mut Option<Range<usize>>) {
        self.at += 1;
        while self.peek() == b'"' {
            let key = self.string();
            let key = &self.text[key];
            self.peek();
            self.at += 1;
            if key == "url" && self.peek() == b'"' {
                *url = Some(self.string());
            } else {
                self.path.push(key);
                self.value();
                self.path.pop();
            }
            if self.peek() == b',' {
                self.at += 1;
                self.peek();
            }
        }
        self.at += 1;
    }

    fn array(&mut self) {
        let is_list = matches!(
            self.path[..],
            ["buildpacks"] | ["environments", _, "buildpacks"]
        );
        let mut elements = Vec::new();
        self.at += 1;
        while !matches!(self.peek(), b']' | 0) {
            let start = self.at;
            let mut address = None;
            match self.peek() {
                b'"' => address = Some(self.string()),
                b'{' => {
                    self.path.push("");
                    self.object(&mut address);
                    self.path.pop();
                }
                _ => {
                    self.path.push("");
                    self.value();
                    self.path.pop();
                }
            }
            let address = address.unwrap_or(start..start);
            let text = &self.text[address.clone()];
            elements.push(Element {
                range: start..self.at,
                address,
                text,
            });
            if self.peek() == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        if is_list {
            self.lists.push(elements);
        }
    }
}
