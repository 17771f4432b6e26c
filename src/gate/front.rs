//! What this thread has let pass lately, as it was presented.
//!
//! To share something is to count its users, and a count that several cores change travels between them with
//! every change; to find out what was presented, it must be taken apart and worked out. For a credential that
//! comes again and again this is most of the cost, so each thread that answers keeps copies of its own.
//! Nothing is believed because it is here: a copy is asked for its grounds each time.

use std::cell::RefCell;
use std::hint;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::gate::allowed::{Allowed, Grounds};

/// How many copies a thread keeps at most.
const COPIES: usize = 512;
/// In how many places one credential may be.
const WAYS: usize = 2;
/// What is longer is not copied. (An access token has some 300 bytes.)
const LONGEST: usize = 1024;
/// How many bytes at the end of a credential tell it from others: of a token part of the signature, of a key
/// part of its secret.
const TAIL: usize = 16;

thread_local! {
    static FRONT: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

/// Which gate something has passed: a process may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin(u64);

impl Origin {
    /// One that no other gate of the process has.
    pub(super) fn new() -> Self {
        static GATES: AtomicU64 = AtomicU64::new(0);
        Self(GATES.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Default)]
struct Place {
    copy: Option<Copy>,
    /// The tail of what has passed last without being copied: copies are made of what comes twice.
    passed: Option<[u8; TAIL]>,
}

struct Copy {
    origin: Origin,
    authorization: Box<[u8]>,
    allowed: Allowed,
}

impl Place {
    fn has(&self, origin: Origin, authorization: &[u8]) -> bool {
        self.copy.as_ref().is_some_and(|copy| {
            copy.origin == origin && are_same(&copy.authorization, authorization)
        })
    }
}

/// Whom `origin` has let pass with this `Authorization`, if that `holds`.
pub(super) fn find(
    origin: Origin,
    authorization: &[u8],
    holds: impl FnOnce(&Grounds) -> bool,
) -> Option<Allowed> {
    let at = place(authorization)?;
    FRONT.with_borrow_mut(|places| {
        let place =
            places.get_mut(at..at + WAYS)?.iter_mut().find(|it| it.has(origin, authorization))?;
        if !place.copy.as_ref().is_some_and(|copy| holds(&copy.allowed.grounds)) {
            place.copy = None;
        }
        place.copy.as_ref().map(|copy| copy.allowed.clone())
    })
}

/// `origin` lets pass whoever presents this `Authorization`.
pub(super) fn passed(origin: Origin, authorization: &[u8], allowed: &Allowed) {
    let (Some(at), Some(&tail)) = (place(authorization), authorization.last_chunk()) else {
        return;
    };
    FRONT.with_borrow_mut(|places| {
        if places.is_empty() {
            places.resize_with(COPIES, Place::default);
        }
        let Some([first, others @ ..]) = places.get_mut(at..at + WAYS) else { return };
        if first.passed != Some(tail) {
            first.passed = Some(tail);
            return;
        }
        let allowed = allowed.copied();
        // What was copied last stands first.
        for other in others {
            std::mem::swap(&mut first.copy, &mut other.copy);
        }
        first.copy = Some(Copy { origin, authorization: authorization.into(), allowed });
    });
}

/// The first of the places where a credential may be; `None` where it is not copied.
fn place(authorization: &[u8]) -> Option<usize> {
    const SETS: usize = COPIES / WAYS;
    if authorization.len() > LONGEST {
        return None;
    }
    let tail: &[u8; TAIL] = authorization.last_chunk()?;
    // Its letters are as good as random, with some bits alike: multiplied, all of them count at the top.
    let mixed = u128::from_le_bytes(*tail).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let [.., top] = mixed.to_le_bytes();
    Some(usize::from(top) % SETS * WAYS)
}

/// Whether two texts are the same, in a time that tells nothing but whether their lengths are.
fn are_same(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;
    use crate::account::account::AccountId;
    use crate::base::clock::Timestamp;
    use crate::base::digest::Digest;
    use crate::base::encode::hex;
    use crate::base::random::SeededRandom;
    use crate::gate::known::{Known, Memory};
    use crate::token::credential::Scheme;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn allowed() -> Allowed {
        let memory = Memory::with_room(65_536, &SeededRandom::new(1));
        let account = AccountId::new(7);
        let known = Known {
            subject: memory.learn(account, None, memory.epoch(account), NOW),
            scope: Some(HeaderValue::from_static("hobbies:read")),
            expires_at: NOW.seconds() + 300,
            ring_generation: None,
            key: None,
        };
        let authorization = HeaderValue::from_static("Bearer phantom");
        let renew_at = NOW.plus(Duration::from_secs(30));
        Allowed::new(&known, Scheme::Token, authorization, renew_at)
    }

    fn token(number: u32) -> Vec<u8> {
        let signature = hex(Digest::of(&number.to_le_bytes()).as_bytes());
        format!("Bearer eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoiMSJ9.{signature}").into_bytes()
    }

    #[test]
    fn what_passes_twice_is_copied_for_its_own_gate() {
        let (ours, others) = (Origin::new(), Origin::new());
        let (token, allowed) = (token(1), allowed());
        let find = |origin, token: &[u8]| find(origin, token, |_| true);
        passed(ours, &token, &allowed);
        assert!(find(ours, &token).is_none(), "it may never come again");
        passed(ours, &token, &allowed);
        let copy = find(ours, &token).expect("it came again");
        assert_eq!(copy.headers, allowed.headers);
        assert_eq!(copy.scope(), Some("hobbies:read"));
        assert!(find(others, &token).is_none());
        let mut other = token.clone();
        other[9] ^= 1;
        assert!(find(ours, &other).is_none(), "its end alone is not enough");
        passed(ours, b"Token short", &allowed);
        passed(ours, b"Token short", &allowed);
        assert!(find(ours, b"Token short").is_none(), "too short to be told from others");
    }

    #[test]
    fn what_does_not_hold_is_forgotten() {
        let (origin, token, allowed) = (Origin::new(), token(2), allowed());
        for _ in 0..2 {
            passed(origin, &token, &allowed);
        }
        let grounds = |grounds: &Grounds| grounds.expires_at == NOW.seconds() + 300;
        assert!(find(origin, &token, grounds).is_some());
        assert!(find(origin, &token, |_| false).is_none());
        assert!(find(origin, &token, grounds).is_none(), "and does not come back");
    }

    #[test]
    fn places_are_bounded_and_used_alike() {
        let mut used = vec![0_u32; COPIES];
        for number in 0..25_600 {
            *used.get_mut(place(&token(number)).expect("is short")).expect("is a place") += 1;
        }
        let used: Vec<u32> = used.into_iter().step_by(WAYS).collect();
        assert!(used.iter().all(|times| (50..200).contains(times)), "{used:?}");
        let (origin, allowed) = (Origin::new(), allowed());
        for number in (0..10_000).flat_map(|number| [number, number]) {
            passed(origin, &token(number), &allowed);
        }
        let kept = (0..10_000).filter(|&number| find(origin, &token(number), |_| true).is_some());
        assert_eq!(kept.count(), COPIES);
    }

    #[test]
    fn texts_are_the_same_only_to_the_last_byte() {
        assert!(are_same(b"", b"") && are_same(b"abc", b"abc"));
        for other in [&b"abd"[..], b"ab", b"abcd", b"Abc", b""] {
            assert!(!are_same(b"abc", other), "{other:?}");
        }
    }
}
