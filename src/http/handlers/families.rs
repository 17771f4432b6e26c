//! Where one is signed in, and signing out there.

use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};

use crate::dialect::{Answer, sessions};
use crate::flow::{Context, authenticate, families};
use crate::http::handlers::{Ask, Stop};
use crate::http::router::Route;
use crate::token::claims::FamilyId;

/// Answers a request about one's own families.
pub async fn answer(context: &Context, route: &Route, ask: &Ask<'_>) -> Result<Answer, Stop> {
    let (store, account, now) = (&context.store, ask.caller()?.id, context.now());
    if let Some(id) = ask.id {
        let Some(id) = FamilyId::parse(id) else { return Ok(sessions::ended(false)) };
        let ended = families::end(store, &ask.client, account, id, now).await?;
        return Ok(sessions::ended(ended));
    }
    let header = ask.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let current = authenticate::family(context, &route.schemes, header);
    if *ask.method == Method::DELETE {
        families::end_others(store, &ask.client, account, current, now).await?;
        return Ok(sessions::ended(true));
    }
    Ok(sessions::list(&families::list(store, account, now).await?, current))
}
