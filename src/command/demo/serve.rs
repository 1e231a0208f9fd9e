//! `demo --serve`: both servers and the daemon with its status page, until stopped.

use std::net::SocketAddr;

use chrono::Utc;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{binary, print_text, quoted};
use crate::{
    cli::{Exit, Stop},
    command::{print, signals},
    config::Environment,
    daemon::{
        self,
        http::Pages,
        setup::{Setup, Source},
    },
    demo::{
        cast,
        cast::Person,
        ftrack::Options,
        world::{PASSWORD, World},
    },
    run::host::host,
    web,
};

/// Runs the daemon on both servers, prints how to use all three, and keeps them running until the
/// first SIGINT or SIGTERM.
///
/// # Errors
/// The daemon cannot start, or standard output cannot be written.
pub async fn serve(world: &World, cancel: &CancellationToken) -> Result<Exit, Stop> {
    let wishes = signals::control_signals()?;
    let source = Source {
        file: world.config_file(),
        // The environment is ignored: it may name real servers.
        environment: Environment::default(),
        host: host(),
    };
    let setup: Setup = source
        .load(Utc::now())
        .map_err(|findings| Stop::failed(&findings))?;
    let (mut told, mut listening) = (Ok(Exit::Done), None);
    let greet = |reached: daemon::Listeners| {
        // As it is: a command that is wrapped cannot be pasted.
        told = print(&invitation(world, reached.http));
        listening = Some(wishes.pass_on(reached.commands));
    };
    let on = (Handle::current(), web::pages as Pages);
    daemon::run(setup, source, on, cancel.clone(), greet).await?;
    told?;
    print_text("The daemon and both servers are stopped, and the directory is removed.\n")
}

fn invitation(world: &World, page: Option<SocketAddr>) -> String {
    let Options {
        api_user,
        api_key,
        rules: _,
    } = Options::default();
    let config = quoted(&world.config_file());
    let program = format!("{} --config {config}", binary());
    let page = page.map(|address| address.to_string()).unwrap_or_default();
    let (directory, ftrack, people) = (
        world.directory.url(),
        world.ftrack.url(),
        world.people.len(),
    );
    let is_plain = |person: &&Person| person.oddity.is_none();
    let somebody = world.people.iter().find(is_plain);
    let somebody = somebody.and_then(|person| person.expected.username.as_deref());
    let somebody = somebody.unwrap_or_default();
    let (service, base, filter) = (cast::SERVICE, cast::PEOPLE, cast::FILTER);
    format!(
        r#"An LDAP directory with {people} people, an empty stand-in for ftrack, and the daemon
that keeps ftrack in step with the directory are running, on this machine only,
until you press Ctrl-C. The daemon syncs each night at 03:00, or on `trigger`.

  LDAP directory   {directory}
    bind DN        {service}
    password       {PASSWORD}
    people         {base}
  ftrack stand-in  {ftrack}
    API user       {api_user}
    API key        {api_key}
  status page      http://{page}/
  configuration    {config}

Try in another terminal, in this order:

  # check the configuration and both servers
  {program} check
  # show what a sync would change; writes nothing
  {program} plan
  # run it in the daemon; the second time there is nothing to do
  {program} trigger
  {program} trigger
  # show what the daemon is doing
  {program} status
  # list the runs, and show the last report
  {program} runs
  {program} runs show last
  # why a person is in ftrack, or not, and what would happen; by login, mail or DN
  {program} explain {somebody}
  # who was changed today, and why
  {program} runs --changes --on today
  # changes that wait for a person
  {program} holds
  # stop all deactivations, and go on with them
  {program} pause --only deactivate
  {program} resume --only deactivate

The directory answers any LDAP client, and is read-only:

  ldapsearch -x -H {directory} -D {service} -w {PASSWORD} -b {base} '{filter}' uid mail
"#
    )
}
