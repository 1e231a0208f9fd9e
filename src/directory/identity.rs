//! What a server is, as far as a read depends on it: found out over the connection that is read.

use std::sync::Arc;

use super::{
    connection::Connection,
    dn::Dn,
    error::DirectoryError,
    lookup::look,
    request::ReadRequest,
    schema::Schema,
    search::Search,
    server::{Continuations, ReferralObjects, Referrals, RootDse},
};
use crate::{
    config::Filter,
    model::{id::IdAttribute, server_kind::ServerKind},
};

/// What a server says about itself before it is searched.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerIdentity {
    pub kind: ServerKind,
    /// The attributes that may identify its entries, the best first.
    pub candidates: Vec<IdAttribute>,
    /// The id of the entry of the naming context that contains the first base; none where it cannot
    /// be read.
    pub directory_id: Option<String>,
    pub naming_contexts: Vec<String>,
    referrals: Referrals,
    /// Whether it leaves out references on request.
    leaves_out_continuations: bool,
    pub(super) schema: Option<Arc<Schema>>,
}

impl ServerIdentity {
    /// The filter for the people of a request.
    pub fn people(&self, request: &ReadRequest) -> Filter {
        request.filter(self.kind, self.schema.as_deref())
    }

    /// Its schema, if it was read.
    pub fn schema(&self) -> Option<Arc<Schema>> {
        self.schema.clone()
    }

    /// A search as this server is to be asked.
    pub fn suited(
        &self,
        wanted: &Search,
        (referral_objects, continuations): (ReferralObjects, Continuations),
    ) -> Search {
        Search {
            referrals: self.referrals,
            referral_objects,
            continuations: match continuations {
                Continuations::LeftOut if self.leaves_out_continuations => Continuations::LeftOut,
                Continuations::LeftOut | Continuations::EndTheSearch => Continuations::EndTheSearch,
            },
            ..wanted.clone()
        }
    }
}

/// Whether the schema of a server is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemaUse {
    /// For the names of attributes.
    Needed,
    /// It is not read.
    None,
}

impl SchemaUse {
    /// For searches that ask for ids alone: servers have one name for the universal ones.
    pub fn of_ids(id_attribute: &IdAttribute) -> Self {
        if id_attribute.is_universal() {
            Self::None
        } else {
            Self::Needed
        }
    }
}

/// Reads the root DSE of a server, its schema where that is needed, and the id of its directory.
pub(super) async fn about(
    connection: &mut Connection,
    bases: &[&str],
    schema: SchemaUse,
) -> Result<ServerIdentity, DirectoryError> {
    let root = RootDse::read(connection).await?;
    let candidates = IdAttribute::candidates(root.kind);
    let directory_id = directory_id(connection, &root, bases).await?;
    let schema = match schema {
        SchemaUse::Needed => Schema::read(connection, &root).await?.map(Arc::new),
        SchemaUse::None => None,
    };
    Ok(ServerIdentity {
        kind: root.kind,
        candidates,
        directory_id,
        naming_contexts: root.naming_contexts.clone(),
        referrals: root.referrals(),
        leaves_out_continuations: root.leaves_out_continuations(),
        schema,
    })
}

/// The directory's id: the id of the entry of the naming context that contains the bases, of
/// several the first by name, so that the order of the bases does not matter; none where it cannot
/// be read.
pub(super) async fn directory_id(
    connection: &mut Connection,
    root: &RootDse,
    bases: &[&str],
) -> Result<Option<String>, DirectoryError> {
    match bases
        .iter()
        .filter_map(|base| naming_context(&root.naming_contexts, base))
        .min()
    {
        Some(context) => context_id(connection, context, &IdAttribute::candidates(root.kind)).await,
        None => Ok(None),
    }
}

/// The naming context of a base (RFC 4512 section 5.1): the lowest of those that contain it.
pub(super) fn naming_context<'a>(contexts: &'a [String], base: &str) -> Option<&'a str> {
    let base = Dn::parse(base)?;
    let holds =
        |context: &&'a String| Some((base.depth_below(&Dn::parse(context)?)?, context.as_str()));
    contexts
        .iter()
        .filter_map(|context| holds(&context))
        .min()
        .map(|(_, context)| context)
}

/// The id of a naming context's own entry; none where it cannot be read.
async fn context_id(
    connection: &mut Connection,
    context: &str,
    candidates: &[IdAttribute],
) -> Result<Option<String>, DirectoryError> {
    let names: Vec<&str> = candidates.iter().map(IdAttribute::name).collect();
    match look(connection, context, "(objectClass=*)", &names).await {
        Ok(Some(entry)) => Ok(candidates
            .iter()
            .find_map(|candidate| candidate.of(&entry))
            .map(|id| id.as_str().to_owned())),
        Ok(None) | Err(DirectoryError::NoSuchBase { .. } | DirectoryError::Referred { .. }) => {
            Ok(None)
        }
        // A refusal for this entry says nothing about the search; "busy" does.
        Err(error @ DirectoryError::Refused { .. }) if !error.concerns_one_server() => Ok(None),
        Err(error) => Err(error),
    }
}
