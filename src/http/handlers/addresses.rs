//! The addresses of one's own account (allauth), under dj-rest-auth's mount.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::account::account::Account;
use crate::account::email::EmailAddress;
use crate::dialect::dj_rest_auth::DjRestAuth;
use crate::dialect::form::Submission;
use crate::dialect::{Answer, Endpoint};
use crate::flow::{Context, emails};
use crate::http::handlers::dj_rest_auth::verification;
use crate::http::handlers::{Ask, Stop};

/// Answers a request about addresses.
pub async fn answer(
    context: &Context,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let account = ask.caller()?;
    if ask.endpoint == Endpoint::Addresses {
        return if *ask.method == Method::POST {
            add(context, dialect, ask, account, submission).await
        } else {
            let all = emails::list(context, account).await?;
            let all: Vec<Value> = all.iter().map(|address| dialect.address(address)).collect();
            Ok(Answer::json(StatusCode::OK, json!(all)))
        };
    }
    let Some(id) = ask.id.and_then(|id| id.parse::<i64>().ok()) else {
        return Ok(dialect.not_found());
    };
    Ok(match ask.endpoint {
        Endpoint::VerifyAddress => {
            let kind = verification(context);
            match emails::verify_again(context, &ask.client, account, id, &kind).await? {
                Some(true) => dialect.sentence("ok"),
                Some(false) => dialect.verified_already(),
                None => dialect.not_found(),
            }
        }
        Endpoint::PrimaryAddress => {
            match emails::make_primary(context, &ask.client, account, id).await? {
                Ok(address) => Answer::json(StatusCode::OK, dialect.address(&address)),
                Err(why) => dialect.not_done(why),
            }
        }
        Endpoint::AddressById => match emails::remove(context, &ask.client, account, id).await? {
            Ok(()) => Answer::empty(StatusCode::NO_CONTENT),
            Err(why) => dialect.not_done(why),
        },
        _ => dialect.not_found(),
    })
}

async fn add(
    context: &Context,
    dialect: &DjRestAuth,
    ask: &Ask<'_>,
    account: &Account,
    submission: &Submission,
) -> Result<Answer, Stop> {
    let email = dialect.read_email(submission)?;
    let Ok(email) = EmailAddress::parse(&email) else { return Ok(dialect.not_found()) };
    let kind = verification(context);
    Ok(match emails::add(context, &ask.client, account, &email, &kind).await? {
        Ok(address) => Answer::json(StatusCode::CREATED, dialect.address(&address)),
        Err(why) => dialect.not_added(why),
    })
}
