//! `demo --serve`: both servers, until somebody says stop.

use tokio_util::sync::CancellationToken;

use super::{binary, print, quoted};
use crate::{
    cli::{Exit, Stop},
    demo::{
        cast,
        ftrack::Options,
        world::{PASSWORD, World},
    },
};

/// Says how to use both servers, and keeps them up until the first SIGINT or SIGTERM.
///
/// # Errors
/// Standard output cannot be written.
pub async fn serve(world: &World, cancel: &CancellationToken) -> Result<Exit, Stop> {
    print(&invitation(world))?;
    cancel.cancelled().await;
    print("Both servers are stopped, and the folder is removed.\n")
}

fn invitation(world: &World) -> String {
    let Options { api_user, api_key, rules: _ } = Options::default();
    let config = quoted(&world.config_file());
    let program = format!("{} --config {config}", binary());
    let (directory, ftrack, people) = (world.directory.url(), world.ftrack.url(), world.people.len());
    let (service, base, filter) = (cast::SERVICE, cast::PEOPLE, cast::FILTER);
    format!(
        r#"An LDAP directory with {people} people and an empty stand-in for ftrack are up,
on this machine only, until you press Ctrl-C.

  LDAP directory   {directory}
    bind DN        {service}
    password       {PASSWORD}
    people         {base}
  ftrack stand-in  {ftrack}
    API user       {api_user}
    API key        {api_key}
  configuration    {config}

Try in another terminal, in this order:

  # whether everything is as it should be
  {program} check
  # what a sync would do; writes nothing
  {program} plan
  # do it; a second time there is nothing to do
  {program} sync
  {program} sync
  # the runs so far, and the report of the last one
  {program} runs
  {program} runs show last

The directory answers any LDAP client, and may not be changed by one:

  ldapsearch -x -H {directory} -D {service} -w {PASSWORD} -b {base} '{filter}' uid mail
"#
    )
}
