//! What became of an account and its tokens since they were issued.

use crate::account::principal::Principal;
use crate::base::clock::Timestamp;
use crate::token::claims::FamilyId;
use crate::token::verify::VerifiedToken;

/// An account as it stands now, with all that was taken back from it: enough to judge every credential
/// of its owner.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The account.
    pub principal: Principal,
    /// Families that began before this moment are ended ("signed out everywhere").
    pub revoked_before: Option<Timestamp>,
    /// Single families that were ended while access tokens of theirs may live, in ascending order.
    pub ended_families: Vec<FamilyId>,
}

impl Standing {
    /// Whether `token` was taken back.
    #[must_use]
    pub fn revokes(&self, token: &VerifiedToken<'_>) -> bool {
        self.revoked_before.is_some_and(|moment| token.begun_at() < moment)
            // Mostly none was ended, and to tell a token's family may take a digest.
            || (!self.ended_families.is_empty()
                && token
                    .family()
                    .is_some_and(|family| self.ended_families.binary_search(&family).is_ok()))
    }
}
