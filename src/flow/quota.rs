//! What may be asked for so often only, whoever asks: mail, and new accounts.

use crate::account::throttle::{Limit, Subject, Wait};
use crate::flow::audit::{self, Event};
use crate::flow::{Caller, Context, Error, Refusal};
use crate::store::attempts::{self, Charge};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Quota<'a> {
    /// A password reset (or a forgotten user name) for this mail address.
    Reset(&'a str),
    /// Another mail with a link to this mail address, or an account that moves to it.
    Resend(&'a str),
    /// A new account.
    Registration,
}

/// Counts a request, or refuses with how long to wait. Mail addresses count as they are given, in any
/// spelling and whether an account has them or not, so that the answer does not tell.
pub async fn spend(context: &Context, caller: &Caller, quota: Quota<'_>) -> Result<(), Error> {
    let Some(throttle) = &context.throttle else { return Ok(()) };
    let (rules, subjects) = (&throttle.rules, &throttle.subjects);
    let (what, to, from) = match quota {
        Quota::Reset(to) => ("mail", Some(("reset", to, &rules.resets)), &rules.mail_requests),
        Quota::Resend(to) => ("mail", Some(("resend", to, &rules.resends)), &rules.mail_requests),
        Quota::Registration => ("registration", None, &rules.registrations),
    };
    let mut limits: Vec<(Subject, &Limit)> = Vec::with_capacity(2);
    if let Some((what, to, limit)) = to {
        limits.push((subjects.request(what, to, None), limit));
    }
    if let Some(address) = caller.address {
        limits.push((subjects.request(what, "", Some(address)), from));
    }
    let charges: Vec<Charge<'_>> = limits
        .iter()
        .map(|(subject, limit)| Charge { subject: *subject, of: None, limit, decides: true })
        .collect();
    let now = context.now();
    if charges.is_empty() || attempts::count(&context.store, &charges, now).await? {
        return Ok(());
    }
    audit::event(Event::Throttled, caller, now).detail("what", what).refused(context).await?;
    let mut wait = Wait(1);
    for (subject, limit) in limits {
        let [tally, ..] = attempts::find(&context.store, [subject; 3]).await?;
        wait = wait.max(limit.wait(&tally, now).unwrap_or(wait));
    }
    Err(Refusal::TooMany { retry_after: wait.0 }.into())
}
