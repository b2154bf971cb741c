//! Paragraphs of at most 80 columns, for terminals of any width and for files.

/// Columns of a line.
const WIDTH: usize = 80;

/// Appends a paragraph. All lines but the first start with as many spaces as `indent` has characters. A longer word
/// gets its own line.
pub(crate) fn wrap(text: &mut String, indent: &str, paragraph: &str) {
    let margin = indent.chars().count();
    let mut width = margin;
    text.push_str(indent);
    for (at, word) in paragraph.split_whitespace().enumerate() {
        let length = word.chars().count();
        if at > 0 && width + 1 + length > WIDTH {
            text.push('\n');
            text.push_str(&" ".repeat(margin));
            width = margin;
        } else if at > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += length;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hang_below_the_first_and_end_at_eighty_columns() {
        let mut text = String::new();
        let word = "é".repeat(38);
        wrap(
            &mut text,
            "- ",
            &format!("{word} {word} {word}\n{word}{word} y"),
        );
        let expected = format!("- {word} {word}\n  {word}\n  {word}{word} y\n");
        assert_eq!(text, expected);
        assert!(text.starts_with(&format!("- {word} {word}\n")));
    }
}
