//! Text for people, wrapped between words.

/// Lines of at most this many columns, where words allow it; what is wrapped is indented by two
/// more.
#[must_use]
pub fn wrapped(text: &str, columns: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches('\n');
        let words = content.trim_start_matches(' ');
        let indent = content.len().saturating_sub(words.len());
        let first = " ".repeat(indent);
        let rest = " ".repeat((indent + 2).min(columns / 2));
        let options = textwrap::Options::new(columns)
            .initial_indent(&first)
            .subsequent_indent(&rest)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        wrapped.push_str(&textwrap::wrap(words, options).join("\n"));
        wrapped.push_str(&line[content.len()..]);
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_are_wrapped_between_words_and_indented() {
        assert_eq!(
            wrapped(
                "one\n  two three four five\nuid=averylongname,dc=test is here\n\n",
                14
            ),
            "one\n  two three\n    four five\nuid=averylongname,dc=test\n  is here\n\n"
        );
        assert_eq!(
            wrapped("\u{1b}[31mred words\u{1b}[0m", 9),
            "\u{1b}[31mred words\u{1b}[0m"
        );
    }
}
