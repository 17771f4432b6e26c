//! Looking up who is behind a credential that is not known yet.

use crate::account::account::{Account, AccountId};
use crate::account::principal::Principal;
use crate::flow::{Context, Error, Refusal};
use crate::store::{accounts, api_keys};
use crate::token::claims::{FamilyId, Kind};
use crate::token::credential::{Credential, Denial, Schemes};
use crate::token::opaque::ClassicKey;
use crate::token::standing::Standing;
use crate::token::verify::{self, Rejection, Scratch, Subject};

/// How an account stands now; `None` where there is no such account.
pub async fn standing_of(context: &Context, account: AccountId) -> Result<Option<Standing>, Error> {
    let ended_after = context.now().minus(context.longest_access);
    Ok(accounts::standing(&context.store, account, ended_after).await?)
}

/// How the owner of an API key stands now; `None` where there is no such key.
pub async fn owner_of_key(context: &Context, key: &ClassicKey) -> Result<Option<Standing>, Error> {
    let ended_after = context.now().minus(context.longest_access);
    Ok(api_keys::standing_of_owner(&context.store, key, ended_after).await?)
}

/// Who is signed in by this `Authorization` header; nobody where there is none, or a scheme that nobody
/// handles. A bad one is refused, even where none is needed, as views of Django REST framework do.
pub async fn caller(
    context: &Context,
    schemes: &Schemes,
    header: Option<&[u8]>,
) -> Result<Option<Account>, Error> {
    let denied = |denial| Error::Refused(Refusal::Denied(denial));
    let owner = match schemes.read(header).map_err(denied)? {
        Credential::None => return Ok(None),
        Credential::ApiKey(presented) => {
            let key = ClassicKey::parse(presented).ok_or(denied(Denial::UnknownApiKey))?;
            let owner = owner_of_key(context, &key).await?;
            let owner = owner.ok_or(denied(Denial::UnknownApiKey))?.principal;
            if !owner.is_active {
                return Err(denied(Denial::ApiKeyOwnerInactive));
            }
            owner
        }
        Credential::Bearer(token) => bearer(context, token).await?,
    };
    Ok(accounts::find_by_id(&context.store, owner.id).await?)
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

async fn bearer(context: &Context, presented: &[u8]) -> Result<Principal, Error> {
    let denied = |denial| Error::Refused(Refusal::Denied(denial));
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
    Ok(standing.principal)
}
