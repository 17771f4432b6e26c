//! Looking up who is behind a credential that is not known yet.

use std::net::IpAddr;

use crate::account::account::{Account, AccountId};
use crate::account::principal::Principal;
use crate::base::clock::Timestamp;
use crate::flow::{Context, Error, Refusal, changed_elsewhere, personal_keys};
use crate::store::{accounts, api_keys};
use crate::token::claims::{FamilyId, Kind};
use crate::token::credential::{Credential, Denial, Schemes};
use crate::token::opaque::ClassicKey;
use crate::token::personal::{self, PersonalKeyDigest, PersonalKeyId};
use crate::token::standing::Standing;
use crate::token::terms::Terms;
use crate::token::verify::{self, Flaw, Rejection, Scratch, Subject};

/// How an account stands now; `None` where there is no such account. A password that others have changed is
/// noticed here, and has its consequences.
pub async fn standing_of(context: &Context, account: AccountId) -> Result<Option<Standing>, Error> {
    let ended_after = context.now().minus(context.longest_access);
    let mut found = accounts::standing(&context.store, account, ended_after).await?;
    if found.as_ref().is_some_and(|found| found.has_outdated) {
        changed_elsewhere::end_outdated(context, account).await?;
        found = accounts::standing(&context.store, account, ended_after).await?;
    }
    Ok(found.map(|found| found.standing))
}

/// How the owner of a classic key stands now; `None` where there is no such key.
pub async fn owner_of_key(context: &Context, key: &ClassicKey) -> Result<Option<Standing>, Error> {
    let ended_after = context.now().minus(context.longest_access);
    Ok(api_keys::standing_of_owner(&context.store, key, ended_after).await?)
}

/// The request that a credential comes with: keys may be bound to some.
#[derive(Clone, Copy, Debug)]
pub struct Presentation<'r> {
    /// Where the client is, as far as that is known.
    pub address: Option<IpAddr>,
    /// The request's method.
    pub method: &'r str,
    /// The request's path.
    pub path: &'r str,
}

impl Presentation<'_> {
    /// Whether it changes nothing (RFC 9110 9.2.1).
    fn only_looks(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS")
    }
}

/// Somebody who is signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub account: Account,
    /// By which key of our own, if by one.
    pub key: Option<UsedKey>,
}

/// A key of our own that somebody is signed in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedKey {
    /// Its id.
    pub id: PersonalKeyId,
    /// When it ends: what is made with it must not live longer.
    pub expires_at: Option<Timestamp>,
    /// Requests a minute.
    pub rate: Option<u32>,
}

/// Who is signed in by this `Authorization` header; nobody where there is none, or a scheme that nobody
/// handles. A bad one is refused, even where none is needed, as views of Django REST framework do.
pub async fn caller(
    context: &Context,
    schemes: &Schemes,
    header: Option<&[u8]>,
    presentation: &Presentation<'_>,
) -> Result<Option<SignedIn>, Error> {
    let (owner, key) = match schemes.read(header).map_err(denied)? {
        Credential::None => return Ok(None),
        Credential::ApiKey(presented) if personal::is_claimed(presented.as_bytes()) => {
            let denials = (Denial::UnknownApiKey, Denial::ApiKeyOwnerInactive);
            personal_key(context, presented.as_bytes(), denials, presentation).await?
        }
        Credential::Bearer(presented) if personal::is_claimed(presented) => {
            let unknown = Denial::Bearer(Rejection::Invalid(Flaw::Signature));
            let denials = (unknown, Denial::SubjectInactive);
            personal_key(context, presented, denials, presentation).await?
        }
        Credential::ApiKey(presented) => (classic_key(context, presented).await?, None),
        Credential::Bearer(token) => (bearer(context, token, presentation).await?, None),
    };
    let account = accounts::find_by_id(&context.store, owner.id).await?;
    Ok(account.map(|account| SignedIn { account, key }))
}

const fn denied(denial: Denial) -> Error {
    Error::Refused(Refusal::Denied(denial))
}

async fn classic_key(context: &Context, presented: &str) -> Result<Principal, Error> {
    let key = ClassicKey::parse(presented).ok_or(denied(Denial::UnknownApiKey))?;
    let owner = owner_of_key(context, &key).await?;
    let owner = owner.ok_or(denied(Denial::UnknownApiKey))?.principal;
    if owner.is_active { Ok(owner) } else { Err(denied(Denial::ApiKeyOwnerInactive)) }
}

/// The owner of a key of our own, if its terms let it come with this request.
async fn personal_key(
    context: &Context,
    presented: &[u8],
    (unknown, inactive): (Denial, Denial),
    presentation: &Presentation<'_>,
) -> Result<(Principal, Option<UsedKey>), Error> {
    let digest = PersonalKeyDigest::of_presented(presented).ok_or(denied(unknown))?;
    let key = personal_keys::in_force(context, &digest).await?.ok_or(denied(unknown))?;
    let owner = key.owner.principal;
    if !owner.is_active {
        return Err(denied(inactive));
    }
    if !may_here(&key.terms, presentation) {
        return Err(denied(Denial::Forbidden));
    }
    let used = UsedKey { id: key.id, expires_at: key.terms.expires_at, rate: key.terms.rate };
    Ok((owner, Some(used)))
}

/// Whether a key may come with a request to us, and not to the backend. One with narrow terms only looks,
/// and only where its scopes say so: with anything else it could shed its terms, by making a key without.
fn may_here(terms: &Terms, presentation: &Presentation<'_>) -> bool {
    let method = presentation.method.as_bytes();
    terms.networks.admit(|| presentation.address)
        && (!terms.are_narrow() || presentation.only_looks())
        && (terms.scopes.is_empty() || terms.scopes.permit(method, presentation.path))
}

/// The family of the access token in an `Authorization` header: where somebody is signed in who is. `None` for
/// credentials that have none.
#[must_use]
pub fn family(context: &Context, schemes: &Schemes, header: Option<&[u8]>) -> Option<FamilyId> {
    let Ok(Credential::Bearer(presented)) = schemes.read(header) else { return None };
    let ring = context.ring.load_full();
    let mut scratch = Box::<Scratch>::default();
    let now = context.now();
    verify::verify(&ring, &context.expectations, presented, now, &mut scratch).ok()?.family()
}

async fn bearer(
    context: &Context,
    presented: &[u8],
    presentation: &Presentation<'_>,
) -> Result<Principal, Error> {
    let ring = context.ring.load_full();
    let mut scratch = Box::<Scratch>::default();
    let token =
        verify::verify(&ring, &context.expectations, presented, context.now(), &mut scratch)
            .and_then(|token| token.require(Kind::Access).map(|()| token))
            .map_err(|rejection| denied(Denial::Bearer(rejection)))?;
    let account = match token.subject() {
        Subject::Account(id) => AccountId::new(id),
        Subject::Nobody => return Err(denied(Denial::SubjectNotFound)),
        Subject::Absent => return Err(denied(Denial::NoSubject)),
    };
    let standing = standing_of(context, account).await?;
    let standing = standing.ok_or(denied(Denial::SubjectNotFound))?;
    if !standing.principal.is_active {
        return Err(denied(Denial::SubjectInactive));
    }
    if standing.revokes(&token) {
        return Err(denied(Denial::Bearer(Rejection::Revoked)));
    }
    // Who acts as somebody else sees what they see at the backend; here they could make themselves keys that
    // outlive the acting, or take the account over.
    if token.is_acted() && !presentation.only_looks() {
        return Err(denied(Denial::Forbidden));
    }
    Ok(standing.principal)
}
