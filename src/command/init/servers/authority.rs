//! The authority that issued the certificate of a server, where the system does not trust it.

use std::path::{Path, PathBuf};

use super::{of_directory, pool};
use crate::{
    cli::Stop,
    command::{
        in_container,
        init::{
            InitArgs,
            answers::{Answers, absolute},
            questions::Asker,
            stage::Stage,
        },
    },
    config::Config,
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

/// Whose authority it is: the question, the answer, and what shows that the answer can be used.
pub(super) struct Authority {
    pub question: &'static str,
    pub answer: fn(&mut Answers) -> &mut Option<PathBuf>,
    /// The same as an option of the command line.
    pub option: fn(&InitArgs) -> Option<&Path>,
    pub check: fn(&Config) -> Result<(), Stop>,
}

/// That of the directory.
pub(super) const OF_DIRECTORY: Authority = Authority {
    question: "PEM file of your CA",
    answer: |answers| &mut answers.ca_file,
    option: |args| args.ca_file.as_deref(),
    check: |config| pool(config).map(drop).map_err(|error| of_directory(&error)),
};

/// Asks for the file of an authority's certificates, and whether there is one: then it is the answer.
///
/// # Errors
/// A stop is requested.
pub(super) async fn ask(
    asker: &Asker<'_>,
    stage: &Stage,
    answers: &mut Answers,
    args: &InitArgs,
    authority: &Authority,
) -> Result<bool, Stop> {
    loop {
        let place = if in_container() {
            ", as mounted, e.g. /new/ca.pem"
        } else {
            ""
        };
        let question = format!("{}{place} (empty: none, ask again)", authority.question);
        let Some(answer) = asker.line_or_nothing(&question).await? else {
            *(authority.answer)(answers) = (authority.option)(args).map(absolute);
            return Ok(false);
        };
        let file = absolute(Path::new(&answer));
        let before = (authority.answer)(answers).replace(file);
        let checked = match stage.config(answers) {
            Ok(config) => (authority.check)(&config),
            Err(said) => Err(Stop::usage(&said)),
        };
        let Err(fault) = checked else {
            return Ok(true);
        };
        *(authority.answer)(answers) = before;
        asker.again(fault)?;
    }
}
