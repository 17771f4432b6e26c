//! The API keys of one's own account.

use http::{Method, StatusCode};

use crate::dialect::form::Submission;
use crate::dialect::native::Native;
use crate::dialect::{Answer, Endpoint};
use crate::flow::Context;
use crate::flow::personal_keys::{self, NotDone};
use crate::http::handlers::{Ask, Stop};
use crate::token::personal::PersonalKeyId;

/// What stands for the classic key in place of an id.
const CLASSIC: &str = "classic";

/// Answers a request about keys.
pub async fn answer(
    context: &Context,
    native: &Native,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let account = ask.caller()?;
    let cabinet = context.own_cabinet(&ask.client, account);
    let until = ask.key.and_then(|key| key.expires_at);
    let made = match ask.endpoint {
        Endpoint::ApiKeys if *ask.method != Method::POST => {
            let keys = cabinet.list(account.id).await?;
            let classic = personal_keys::classic_beginning(context, account).await?;
            return Ok(native.keys(&keys, classic.as_deref(), cabinet.now));
        }
        Endpoint::ApiKeys | Endpoint::UpgradeApiKey => {
            let wish = native.read_wish(submission, cabinet.now)?;
            if ask.endpoint == Endpoint::ApiKeys {
                cabinet.make(account.id, wish, until).await?
            } else {
                cabinet.upgrade(account.id, wish, until).await?
            }
        }
        Endpoint::RotateApiKey => {
            let Some(id) = id(ask) else { return Ok(native.not_done(NotDone::NoSuchKey)) };
            let overlap = native.read_overlap(submission)?;
            cabinet.rotate(account.id, id, overlap, until).await?
        }
        _ => return one(context, native, ask, submission).await,
    };
    Ok(match made {
        Ok(issued) => native.issued(&issued, cabinet.now),
        Err(why) => native.not_done(why),
    })
}

fn id(ask: &Ask<'_>) -> Option<PersonalKeyId> {
    Some(PersonalKeyId::new(ask.id?.parse().ok()?))
}

/// Looks at one key, changes it or takes it back.
async fn one(
    context: &Context,
    native: &Native,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let own = ask.caller()?;
    let (account, cabinet) = (own.id, context.own_cabinet(&ask.client, own));
    let missing = || Ok(native.not_done(NotDone::NoSuchKey));
    let deletes = *ask.method == Method::DELETE;
    if deletes && ask.id == Some(CLASSIC) {
        return if cabinet.revoke_classic(account).await? {
            Ok(Answer::empty(StatusCode::NO_CONTENT))
        } else {
            Ok(native.not_done(NotDone::NoClassicKey))
        };
    }
    let Some(id) = id(ask) else { return missing() };
    if deletes {
        return if cabinet.revoke(account, id).await? {
            Ok(Answer::empty(StatusCode::NO_CONTENT))
        } else {
            missing()
        };
    }
    let Some(key) = cabinet.find(account, id).await? else { return missing() };
    if *ask.method != Method::PATCH {
        return Ok(Answer::json(StatusCode::OK, native.key(&key, cabinet.now)));
    }
    let wish = native.read_change(submission, &key)?;
    Ok(match cabinet.edit(account, id, wish).await? {
        Ok(key) => Answer::json(StatusCode::OK, native.key(&key, cabinet.now)),
        Err(why) => native.not_done(why),
    })
}
