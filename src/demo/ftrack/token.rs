//! The tokens of a query expression: bare and quoted values, operators, parentheses.

use super::error::ApiError;

/// One word of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, a keyword or a bare value.
    Word(String),
    /// A value in quotes, which stands for itself.
    Quoted(String),
    /// `=`, `!=`, `<`, `<=`, `>` or `>=`.
    Operator(&'static str),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
}

/// Cuts an expression into words.
///
/// A backslash escapes a quote inside quotes, which is all that the vendor's clients escape; before
/// anything else it stands for itself.
///
/// # Errors
/// A quote that is not closed, and a lone `!`.
pub(super) fn tokens(expression: &str) -> Result<Vec<Token>, ApiError> {
    let mut tokens = Vec::new();
    let mut rest = expression.chars().peekable();
    while let Some(first) = rest.next() {
        let token = match first {
            _ if first.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '=' => Token::Operator("="),
            '!' => match rest.next_if_eq(&'=') {
                Some(_) => Token::Operator("!="),
                None => return Err(ApiError::parse("Expected \"=\" after \"!\".")),
            },
            '<' => Token::Operator(if rest.next_if_eq(&'=').is_some() {
                "<="
            } else {
                "<"
            }),
            '>' => Token::Operator(if rest.next_if_eq(&'=').is_some() {
                ">="
            } else {
                ">"
            }),
            '"' | '\'' => Token::Quoted(quoted(first, &mut rest)?),
            _ => {
                let mut word = String::from(first);
                while let Some(next) =
                    rest.next_if(|next| !next.is_whitespace() && !"(),=!<>\"'".contains(*next))
                {
                    word.push(next);
                }
                Token::Word(word)
            }
        };
        tokens.push(token);
    }
    Ok(tokens)
}

fn quoted(
    quote: char,
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<String, ApiError> {
    let mut text = String::new();
    while let Some(next) = rest.next() {
        match next {
            _ if next == quote => return Ok(text),
            '\\' => text.push(
                rest.next_if(|escaped| matches!(escaped, '"' | '\''))
                    .unwrap_or('\\'),
            ),
            _ => text.push(next),
        }
    }
    Err(ApiError::parse("A quote is not closed."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn quotes_escape_quotes_and_nothing_else() {
        let word = |text: &str| Token::Word(text.to_owned());
        let found = tokens(r#"username is "a\"b\\c" or email!='d e'"#).unwrap();
        let expected = [
            word("username"),
            word("is"),
            Token::Quoted(r#"a"b\\c"#.to_owned()),
            word("or"),
            word("email"),
            Token::Operator("!="),
            Token::Quoted("d e".to_owned()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_open_quote_and_a_lone_exclamation_mark_are_errors() {
        assert_eq!(tokens("a is \"b").unwrap_err().exception, "ParseError");
        assert_eq!(tokens("a ! b").unwrap_err().exception, "ParseError");
    }
}
