//! Masks secrets in output.

use std::ops::Range;

/// The minimum length of a secret. Masking shorter ones would hide much of any log.
const MIN_LENGTH: usize = 6;
const HIDDEN: &str = "[hidden]";

/// The secrets of a build.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    secrets: Vec<String>,
}

impl Mask {
    /// Adds a secret. Tools print texts line by line, so each line is a separate secret.
    pub(crate) fn add(&mut self, secret: &str) {
        let lines = secret.lines().map(str::trim);
        // Skip the first and the last line of PEM files.
        let lines = lines.filter(|line| !line.starts_with("-----"));
        for text in [secret.trim()].into_iter().chain(lines) {
            if text.len() >= MIN_LENGTH && !self.secrets.iter().any(|known| known == text) {
                self.secrets.push(text.to_owned());
            }
        }
    }

    /// Replaces every secret in a text by `[hidden]`. Overlapping and nested secrets are hidden completely.
    pub(crate) fn apply(&self, text: &str) -> String {
        let mut places: Vec<Range<usize>> = self
            .secrets
            .iter()
            .flat_map(|secret| places(text, secret))
            .collect();
        places.sort_unstable_by_key(|place| place.start);
        let mut masked = String::new();
        let mut copied = 0;
        for place in places {
            if place.start >= copied {
                masked.push_str(&text[copied..place.start]);
                masked.push_str(HIDDEN);
            }
            copied = copied.max(place.end);
        }
        masked.push_str(&text[copied..]);
        masked
    }
}

/// Returns every occurrence of a secret, including overlapping ones.
fn places<'a>(text: &'a str, secret: &'a str) -> impl Iterator<Item = Range<usize>> + use<'a> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text.get(from..)?.find(secret)?;
        from = start + secret.chars().next().map_or(1, char::len_utf8);
        Some(start..start + secret.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secrets: &[&str], text: &str) -> String {
        let mut mask = Mask::default();
        for secret in secrets {
            mask.add(secret);
        }
        mask.apply(text)
    }

    #[test]
    fn nested_secrets_are_masked_whole_in_either_order() {
        let text = "GET https://t0ken-of-me@host, t0ken-of";
        let expected = "GET https://[hidden]@host, [hidden]";
        assert_eq!(masked(&["t0ken-of", "t0ken-of-me"], text), expected);
        assert_eq!(masked(&["t0ken-of-me", "t0ken-of"], text), expected);
    }

    #[test]
    fn overlapping_secrets_are_both_masked() {
        for secrets in [["abcdef123", "123ghijkl"], ["123ghijkl", "abcdef123"]] {
            assert_eq!(masked(&secrets, "x abcdef123ghijkl y"), "x [hidden] y");
        }
        assert_eq!(masked(&["ababab"], "abababab."), "[hidden].");
        assert_eq!(masked(&["äöäöäö"], "äöäöäöäö."), "[hidden].");
    }

    #[test]
    fn placeholder_is_not_masked() {
        assert_eq!(masked(&["s3cret-value", "hidden"], "s3cret-value"), HIDDEN);
    }

    #[test]
    fn each_line_of_multiline_secret_is_masked() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADAN\n  b2RlcmF0b3I= \nMII=\n-----END KEY-----\n";
        let printed = "-----BEGIN KEY-----\r\nMIIEvQIBADAN\r\nb2RlcmF0b3I=\r\nMII=";
        assert_eq!(
            masked(&[key], printed),
            "-----BEGIN KEY-----\r\n[hidden]\r\n[hidden]\r\nMII="
        );
        assert_eq!(masked(&[key], &format!("key: {key}")), "key: [hidden]\n");
    }

    #[test]
    fn short_secret_is_not_masked() {
        assert_eq!(masked(&["prod", "", "\n"], "MIX_ENV=prod"), "MIX_ENV=prod");
    }
}
