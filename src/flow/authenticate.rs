//! Looking up who is behind a credential that is not known yet.

use crate::account::account::AccountId;
use crate::flow::{Context, Error, Refusal};
use crate::store::{accounts, api_keys};
use crate::token::credential::{Credential, Denial, Schemes};
use crate::token::opaque::ClassicKey;
use crate::token::standing::Standing;

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

/// Refuses a bad `Authorization` header where none is needed, as views of Django REST framework with
/// `TokenAuthentication` do. No header, or a scheme that nobody handles, is fine.
pub async fn judge_authorization(
    context: &Context,
    schemes: &Schemes,
    header: Option<&[u8]>,
) -> Result<(), Error> {
    let denied = |denial| Error::Refused(Refusal::Denied(denial));
    match schemes.read(header).map_err(denied)? {
        Credential::None | Credential::Bearer(_) => Ok(()),
        Credential::ApiKey(presented) => {
            let key = ClassicKey::parse(presented).ok_or(denied(Denial::UnknownApiKey))?;
            match owner_of_key(context, &key).await? {
                None => Err(denied(Denial::UnknownApiKey)),
                Some(owner) if !owner.principal.is_active => {
                    Err(denied(Denial::ApiKeyOwnerInactive))
                }
                Some(_) => Ok(()),
            }
        }
    }
}
