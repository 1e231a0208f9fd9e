//! Text for people, wrapped between words.

pub use textwrap::core::display_width;

/// Lines of at most this many columns, where words allow it. What is wrapped is indented by two more;
/// behind a column of labels, such as `  ftrack     `, it stands under the text. A long word, such as a
/// mail address, begins further to the left where it does not fit otherwise.
#[must_use]
pub fn wrapped(text: &str, columns: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    let mut labels = None;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches('\n');
        let words = content.trim_start_matches(' ');
        let indent = content.len().saturating_sub(words.len());
        labels = Labels::of(content, labels);
        let column = labels.map(|labels| labels.width);
        let column = column.filter(|column| *column * 5 <= columns * 2);
        let rest = column.unwrap_or_else(|| (indent + 2).min(columns / 2));
        let (first, rest) = (" ".repeat(indent), " ".repeat(rest));
        let options = textwrap::Options::new(columns)
            .initial_indent(&first)
            .subsequent_indent(&rest)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        let lines = textwrap::wrap(words, options).into_iter();
        let lines: Vec<String> = lines.map(|line| moved_to_fit(&line, columns)).collect();
        wrapped.push_str(&lines.join("\n"));
        wrapped.push_str(&line[content.len()..]);
    }
    wrapped
}

/// A line with less indentation, where it fits then.
fn moved_to_fit(line: &str, columns: usize) -> String {
    let too_wide = display_width(line).saturating_sub(columns);
    let words = line.trim_start_matches(' ');
    let indent = line.len().saturating_sub(words.len());
    if too_wide <= indent {
        format!("{}{words}", " ".repeat(indent - too_wide))
    } else {
        line.to_owned()
    }
}

/// The labels before the text of a line: words of letters, the last of which has several blanks behind
/// it.
#[derive(Debug, Clone, Copy)]
struct Labels {
    number: usize,
    /// With the blanks, in columns: where the text begins.
    width: usize,
}

impl Labels {
    /// Those of a line. A label that is as wide as its column has one blank behind it, so that the
    /// columns of the line before count.
    fn of(line: &str, before: Option<Self>) -> Option<Self> {
        let is_label = |word: &str| {
            let mut letters = word.chars();
            letters.all(|letter| letter.is_ascii_alphabetic() || letter == '_')
        };
        let plain = anstream::adapter::strip_str(line).to_string();
        let words = plain.split_inclusive(' ');
        let words = words.take_while(|word| word.ends_with(' ') && is_label(word.trim_end()));
        let all = plain.get(..words.map(str::len).sum())?;
        let up_to = |width: usize| {
            let number = all.get(..width)?.split_whitespace().count();
            (number > 0).then_some(Self { number, width })
        };
        let own = all.rfind("  ").and_then(|blanks| up_to(blanks + 2));
        own.or_else(|| {
            let before = before?;
            let same = up_to(before.width)?;
            let is_column = all.get(..before.width)?.ends_with(' ');
            (is_column && same.number == before.number).then_some(same)
        })
    }
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
    fn what_is_wrapped_stands_under_the_text_behind_labels() {
        let text = "Run 1\n  read       ldap://a: 4 entries, read completely\n  \u{1b}[32mok\u{1b}[0m  \
                    filter  matches four entries below\n  yes filter   the filter matches the entry\n  yes \
                    disabled who may not is told by a rule\n";
        insta::assert_snapshot!(anstream::adapter::strip_str(&wrapped(text, 38)), @"
        Run 1
          read       ldap://a: 4 entries, read
                     completely
          ok  filter  matches four entries
                      below
          yes filter   the filter matches the
                       entry
          yes disabled who may not is told by
                       a rule
        ");
        // Labels that take too much of the line, and words that are none.
        let text =
            "  a_label_that_is_long  one two three\n  + create   ada  uid=ada,ou=people and more\n";
        insta::assert_snapshot!(wrapped(text, 30), @"
          a_label_that_is_long  one
            two three
          + create   ada
            uid=ada,ou=people and more
        ");
    }

    #[test]
    fn a_long_word_begins_further_to_the_left_where_it_fits_then() {
        let text = "      mail: somebody@studio.test\n      mail: too.long.for.the.line@studio.test of it\n  \
                    ftrack     somebody@anim.test, 4 users\n";
        insta::assert_snapshot!(wrapped(text, 24), @"
              mail:
            somebody@studio.test
              mail:
                too.long.for.the.line@studio.test
                of it
          ftrack
            somebody@anim.test,
            4 users
        ");
    }

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
