//! What a server is, as far as a read depends on it: found out over the connection that is read.

use std::sync::Arc;

use super::{
    connection::Connection,
    dn::Dn,
    error::DirectoryError,
    freshness,
    lookup::look,
    partitions::Partitions,
    request::ReadRequest,
    schema::Schema,
    search::Search,
    server::{Continuations, ReferralObjects, Referrals, RootDse, naming_context},
};
use crate::{
    config::Filter,
    model::{freshness::Freshness, id::IdAttribute, server_kind::ServerKind},
};

/// The tree in which FreeIPA keeps people who are no users.
const PROVISIONING: &str = "cn=accounts,cn=provisioning";

/// What a server says about itself before it is searched.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerIdentity {
    pub kind: ServerKind,
    /// A warning where it shows itself as another kind.
    pub kind_in_doubt: Option<String>,
    /// The attributes that may identify its entries, the best first.
    pub candidates: Vec<IdAttribute>,
    /// The id of the entry of the naming context that contains the first base; none where it cannot
    /// be read.
    pub directory_id: Option<String>,
    pub naming_contexts: Vec<String>,
    /// How current its copy was before the first search.
    pub freshness: Freshness,
    pub(super) referrals: Referrals,
    /// Whether it offers content synchronization (RFC 4533).
    pub offers_sync: bool,
    /// Whether it leaves out references on request.
    leaves_out_continuations: bool,
    /// What it leaves out then.
    partitions: Partitions,
    pub(super) schema: Option<Arc<Schema>>,
}

impl ServerIdentity {
    /// The filter for the people of a request.
    pub fn people(&self, request: &ReadRequest) -> Filter {
        request.filter(self.kind, self.schema.as_deref())
    }

    /// Where nobody is a user, though entries there look like people: those whom FreeIPA has not made
    /// users yet (*staged*), and those who are none any more (*preserved*). Not where a search base
    /// is within it.
    // freeipa: install/updates/30-provisioning.update
    pub fn left_out(&self, bases: &[String]) -> Vec<Dn> {
        if self.kind != ServerKind::FreeIpa {
            return Vec::new();
        }
        let bases: Vec<Dn> = bases.iter().filter_map(|base| Dn::parse(base)).collect();
        let places = self
            .naming_contexts
            .iter()
            .filter_map(|context| Dn::parse(&format!("{PROVISIONING},{context}")));
        let holds_no_base = |place: &Dn| bases.iter().all(|base| base.depth_below(place).is_none());
        places.filter(holds_no_base).collect()
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
                Continuations::LeftOutWithoutPeople
                    if self.partitions.leads_to_nobody(&wanted.base) =>
                {
                    Continuations::LeftOut
                }
                Continuations::LeftOut
                | Continuations::LeftOutWithoutPeople
                | Continuations::EndTheSearch => Continuations::EndTheSearch,
            },
            ..wanted.clone()
        }
    }

    /// An error of a search, with what is known of the parts to which the server refers.
    pub fn explained(&self, error: DirectoryError) -> DirectoryError {
        self.partitions.explained(error)
    }
}

/// Whether it matters how current the server's copy of the directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FreshnessUse {
    /// It is read before anything else.
    Needed,
    /// It is not read.
    None,
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
    (schema, freshness): (SchemaUse, FreshnessUse),
) -> Result<ServerIdentity, DirectoryError> {
    let root = RootDse::read(connection).await?;
    let freshness = match freshness {
        FreshnessUse::Needed => freshness::freshness(connection, &root, bases).await?,
        FreshnessUse::None => Freshness::default(),
    };
    let candidates = IdAttribute::candidates(root.kind);
    let directory_id = directory_id(connection, &root, bases).await?;
    let partitions = Partitions::read(connection, &root, bases).await?;
    let schema = match schema {
        SchemaUse::Needed => Schema::read(connection, &root).await?.map(Arc::new),
        SchemaUse::None => None,
    };
    Ok(ServerIdentity {
        kind: root.kind,
        kind_in_doubt: kind_in_doubt(connection, &root),
        candidates,
        directory_id,
        naming_contexts: root.naming_contexts.clone(),
        freshness,
        referrals: root.referrals(),
        offers_sync: root.offers_sync(),
        leaves_out_continuations: root.leaves_out_continuations(),
        partitions,
        schema,
    })
}

fn kind_in_doubt(connection: &Connection, root: &RootDse) -> Option<String> {
    let (seen, way_out) = root.kind_in_doubt()?;
    Some(format!("{}: {seen}: {way_out}", connection.server()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_freeipa_has_people_who_are_no_users_and_only_outside_of_bases_within_their_place() {
        let server = |kind| ServerIdentity {
            kind,
            naming_contexts: vec!["dc=studio,dc=test".into(), "o=ipaca".into()],
            ..ServerIdentity::default()
        };
        let place = |dn: &str| Dn::parse(dn);
        let of = |kind, base: &str| {
            let places = server(kind).left_out(&[base.into()]);
            places.into_iter().map(Some).collect::<Vec<_>>()
        };
        let studio = place("cn=accounts,cn=provisioning,dc=studio,dc=test");
        let other = place("cn=accounts,cn=provisioning,o=ipaca");
        for base in ["dc=studio,dc=test", "CN=provisioning, dc=studio,dc=test"] {
            let places = of(ServerKind::FreeIpa, base);
            assert_eq!(places, [studio.clone(), other.clone()], "{base}");
            assert_eq!(of(ServerKind::Ds389, base), []);
        }
        let staged = "cn=staged users,cn=accounts,cn=provisioning,dc=studio,dc=test";
        assert_eq!(of(ServerKind::FreeIpa, staged), [other]);
    }
}
