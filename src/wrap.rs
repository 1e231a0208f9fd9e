//! Text for people, wrapped between words.

pub use textwrap::core::display_width;

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

/// The beginning of a line of words in at most this many columns, with an ellipsis where something
/// is left out; a word is not broken, unless it is the first and does not fit.
#[must_use]
pub fn beginning(words: &str, columns: usize) -> String {
    if textwrap::core::display_width(words) <= columns {
        return words.to_owned();
    }
    let options = textwrap::Options::new(columns.saturating_sub(2).max(1))
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let lines = textwrap::wrap(words, options);
    let first = lines.first().map_or("", AsRef::as_ref);
    format!("{first} …")
}

#[cfg(test)]
mod tests {
    use super::{beginning, wrapped};

    #[test]
    fn a_beginning_ends_with_a_whole_word() {
        assert_eq!(beginning("one two three", 13), "one two three");
        assert_eq!(beginning("one two three", 12), "one two …");
        assert_eq!(beginning("overlong", 6), "over …");
        assert_eq!(beginning("", 0), "");
    }

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
