//! The authority that issued the certificate of the directory, where the system does not trust it.

use std::path::Path;

use super::{of_directory, pool};
use crate::{
    cli::Stop,
    command::init::{
        InitArgs,
        answers::{Answers, absolute},
        questions::Asker,
        stage::Stage,
    },
    directory::DirectoryError,
    tls::TlsFault,
};

/// Whether the certificate of an authority is what fails.
pub(super) fn is_missing(error: &DirectoryError) -> bool {
    if let DirectoryError::AllServers(errors) = error {
        return errors.iter().any(is_missing);
    }
    matches!(
        error,
        DirectoryError::Tls {
            fault: TlsFault::UntrustedIssuer { .. } | TlsFault::Authority,
            ..
        }
    )
}

/// Asks for the file of its certificates, and whether there is one: then it is the answer.
///
/// # Errors
/// A stop is requested.
pub(super) async fn ask(
    asker: &Asker<'_>,
    stage: &Stage,
    answers: &mut Answers,
    args: &InitArgs,
) -> Result<bool, Stop> {
    loop {
        let question = "PEM file of your CA (empty: none, ask again)";
        let Some(answer) = asker.line_or_nothing(question).await? else {
            answers.ca_file = args.ca_file.as_deref().map(absolute);
            return Ok(false);
        };
        let before = answers.ca_file.replace(absolute(Path::new(&answer)));
        let fault = match stage.config(answers) {
            Ok(config) => match pool(&config) {
                Ok(_) => return Ok(true),
                Err(error) => of_directory(&error),
            },
            Err(said) => Stop::usage(&said),
        };
        answers.ca_file = before;
        asker.again(fault)?;
    }
}
