//! The words of reasons with several values.

use super::LeftJob;

pub(super) fn left_job(LeftJob { job, part }: &LeftJob, and: &str) -> String {
    format!("the person left the {part} of the job {job:?}{and} and is now in this job's")
}

pub(super) fn moved_to_job((id, LeftJob { job, part }): &(Box<str>, LeftJob)) -> String {
    format!(
        "the person with the directory id {id} left the {part} of this job, and is now in the job \
         {job:?}, which takes the user over"
    )
}

pub(super) fn several_ids(number: usize) -> String {
    format!("it has {number} values of the id attribute, so it cannot be identified")
}

pub(super) fn several_users(names: &[Box<str>], what: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    format!("{} ftrack users {what}: {}", names.len(), quoted.join(", "))
}
