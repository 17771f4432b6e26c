//! Taking over which addresses allauth has verified, so that nobody has to show it again; and which it has not,
//! so that the keys that it has mailed to them can be followed.

use crate::account::email::EmailAddress;
use crate::base::clock::Timestamp;
use crate::flow::Caller;
use crate::flow::audit::{self, Event};
use crate::store::allauth::{AllauthAddress, AllauthTable};
use crate::store::{Store, StoreError, Tx, email_addresses};

/// What has become of allauth's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Kept now.
    pub taken: usize,
    /// Were kept before.
    pub known: usize,
    /// Left out: no address, or one that another account has verified.
    pub left_out: usize,
}

/// Rows of one transaction.
const PAGE: i64 = 500;

/// Takes allauth's rows over. Doing it again takes over what has come since, and changes nothing else.
pub async fn adopt(
    store: &Store,
    allauth: &AllauthTable,
    caller: &Caller,
    now: Timestamp,
) -> Result<Adopted, StoreError> {
    let (mut adopted, mut after) = (Adopted::default(), 0);
    loop {
        let page = allauth.page(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        let mut tx = store.begin("adopt addresses").await?;
        for row in &page {
            let count = match adopt_one(&mut tx, row, now).await? {
                Outcome::Taken => &mut adopted.taken,
                Outcome::Known => &mut adopted.known,
                Outcome::LeftOut => &mut adopted.left_out,
            };
            *count += 1;
        }
        tx.commit().await?;
    }
    if adopted.taken > 0 {
        let event = audit::event(Event::EmailAddresses, caller, now);
        event.detail("adopted", adopted.taken.to_string()).record_alone(store).await?;
    }
    Ok(adopted)
}

enum Outcome {
    Taken,
    Known,
    LeftOut,
}

async fn adopt_one(
    tx: &mut Tx,
    row: &AllauthAddress,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let (Some(account), Ok(address)) = (row.account, EmailAddress::parse(&row.email)) else {
        return Ok(Outcome::LeftOut);
    };
    let folded = address.folded();
    let kept = email_addresses::by_folded_in(tx, &folded).await?;
    let own = kept.iter().find(|kept| kept.account == account);
    if let Some(own) = own.filter(|own| !own.verified && own.address == address.as_str()) {
        email_addresses::note_allauth_id(tx, own.id, row.id).await?;
    }
    if own.is_some_and(|own| own.verified || !row.verified) {
        return Ok(Outcome::Known);
    }
    if row.verified && kept.iter().any(|kept| kept.verified) {
        return Ok(Outcome::LeftOut);
    }
    let taken = match own {
        // What looks alike may be somebody else's: mail was shown to arrive at this spelling alone.
        Some(own) if own.address != address.as_str() => false,
        Some(own) => email_addresses::verify(tx, own.id, now).await?,
        None => {
            let forms = (address.as_str(), folded.as_str());
            // Which one is the account's own, its row in `auth_user` says.
            let added = email_addresses::add(tx, account, forms, row.verified, false, now).await?;
            if let Some(id) = added {
                email_addresses::note_allauth_id(tx, id, row.id).await?;
            }
            added.is_some()
        }
    };
    Ok(if taken { Outcome::Taken } else { Outcome::LeftOut })
}
