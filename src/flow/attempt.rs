//! Protecting sign-in: every flow that checks a password begins an [`Attempt`] and tells how it ended. The
//! rules are told in [`crate::account::throttle`].
//!
//! Whether there is room is looked at twice: before the password is checked, so that guessing costs us
//! nothing once it is over, and when the outcome is written. The second decides: of many guesses at once
//! only as many learn something as would have one after the other.

use crate::account::account::Account;
use crate::account::throttle::{Passage, SignInTallies, Subject, Wait};
use crate::base::clock::Timestamp;
use crate::flow::audit::{self, Draft, Event};
use crate::flow::{Caller, Context, Error, Refusal, Throttle};
use crate::store::attempts::{self, Charge};

/// A password that is being checked. Dropped without a word (where the check was not made), it counts
/// nothing.
#[derive(Debug)]
pub struct Attempt<'c> {
    context: &'c Context,
    caller: &'c Caller,
    /// The account that is meant, where there is one.
    about: Option<&'c Account>,
    watched: Option<(Watched<'c>, Passage)>,
}

#[derive(Debug)]
struct Watched<'c> {
    context: &'c Context,
    throttle: &'c Throttle,
    account: Subject,
    /// The account at the address, and the address.
    from: Option<(Subject, Subject)>,
}

impl<'c> Attempt<'c> {
    /// Begins, or refuses with how long to wait. `name` is the user name of the account that is meant, or
    /// what was given where there is none: an account that can be meant in several ways must be counted
    /// under one name.
    pub async fn begin(
        context: &'c Context,
        caller: &'c Caller,
        name: &str,
        about: Option<&'c Account>,
    ) -> Result<Self, Error> {
        let mut attempt = Self { context, caller, about, watched: None };
        let Some(throttle) = &context.throttle else { return Ok(attempt) };
        let watched = Watched::new(context, throttle, caller, name);
        match watched.judge(context.now()).await {
            Ok((passage, _)) => attempt.watched = Some((watched, passage)),
            Err(error) => return Err(attempt.throttled(error).await?),
        }
        Ok(attempt)
    }

    /// The password was wrong, or of no use: `reason`. An error where others have used up what was left
    /// meanwhile: then the answer must not tell that it was wrong.
    pub async fn failed(self, reason: &str) -> Result<(), Error> {
        let reason = if self.about.is_some() { reason } else { "unknown_account" };
        self.failed_for(reason).await
    }

    /// As [`Self::failed`], where it is no account that was meant.
    pub async fn failed_for(self, reason: &str) -> Result<(), Error> {
        if let Some((watched, passage)) = &self.watched {
            let now = self.context.now();
            if !attempts::count(&self.context.store, &watched.charges(*passage), now).await? {
                let error = match watched.judge(now).await {
                    Err(error) => error,
                    // There is room again, since a moment ago.
                    Ok(_) => Refusal::TooMany { retry_after: 1 }.into(),
                };
                return Err(self.throttled(error).await?);
            }
        }
        self.draft(Event::SignInFailed).detail("reason", reason).refused(self.context).await?;
        Ok(())
    }

    /// The password was right. An error where others have used up what was left meanwhile: then the answer
    /// must not tell that it was right.
    pub async fn succeeded(self) -> Result<(), Error> {
        let Some((watched, _)) = &self.watched else { return Ok(()) };
        let now = self.context.now();
        let (_, tallies) = match watched.judge(now).await {
            Ok(judged) => judged,
            Err(error) => return Err(self.throttled(error).await?),
        };
        if watched.throttle.rules.is_news(&tallies, now) {
            watched.note_success(now, false).await?;
        }
        Ok(())
    }

    fn draft(&self, event: Event) -> Draft {
        let draft = audit::event(event, self.caller, self.context.now());
        match self.about {
            Some(account) => draft.about(account),
            None => draft,
        }
    }

    /// Records that this attempt is one too many, if that is what the error says; gives the error back.
    async fn throttled(&self, error: Error) -> Result<Error, Error> {
        if matches!(error, Error::Refused(Refusal::TooMany { .. })) {
            self.draft(Event::Throttled).detail("what", "sign_in").refused(self.context).await?;
        }
        Ok(error)
    }
}

/// Somebody has proven by other means than the password that an account is theirs (a link that was mailed
/// to them, say): what strangers have done to it is forgotten, and where they are is known.
pub async fn recovered(context: &Context, caller: &Caller, name: &str) -> Result<(), Error> {
    let Some(throttle) = &context.throttle else { return Ok(()) };
    Watched::new(context, throttle, caller, name).note_success(context.now(), true).await
}

impl<'c> Watched<'c> {
    fn new(context: &'c Context, throttle: &'c Throttle, caller: &Caller, name: &str) -> Self {
        let subjects = &throttle.subjects;
        let from = |address| (subjects.pair(name, address), subjects.address(address));
        let account = subjects.account(name);
        Self { context, throttle, account, from: caller.address.map(from) }
    }

    async fn judge(&self, now: Timestamp) -> Result<(Passage, SignInTallies), Error> {
        let (pair, address) = self.from.unwrap_or((self.account, self.account));
        let subjects = [self.account, pair, address];
        let [account, pair, address] = attempts::find(&self.context.store, subjects).await?;
        let told = |tally| self.from.map(|_| tally);
        let tallies = SignInTallies { account, pair: told(pair), address: told(address) };
        match self.throttle.rules.judge(&tallies, now) {
            Ok(passage) => Ok((passage, tallies)),
            Err(Wait(retry_after)) => Err(Refusal::TooMany { retry_after }.into()),
        }
    }

    /// What a failure counts on: first the account or the pair, then the address, always in this order.
    fn charges(&self, passage: Passage) -> Vec<Charge<'_>> {
        let rules = &self.throttle.rules;
        let (own, of, past_address) = match (passage, self.from) {
            (Passage::Known { past_address }, Some((pair, _))) => {
                (pair, Some(self.account), past_address)
            }
            _ => (self.account, None, false),
        };
        let mut charges = vec![Charge { subject: own, of, limit: &rules.account, decides: true }];
        if let Some((_, address)) = self.from {
            let limit = &rules.address;
            charges.push(Charge { subject: address, of: None, limit, decides: !past_address });
        }
        charges
    }

    async fn note_success(&self, now: Timestamp, clear: bool) -> Result<(), Error> {
        let known_until = now.plus(self.throttle.rules.known_for);
        let pair = self.from.map(|(pair, _)| (pair, known_until));
        Ok(attempts::succeed(&self.context.store, self.account, pair, clear).await?)
    }
}
