//! Django REST framework's own token view (`obtain_auth_token`), as Metax offers it.
//!
//! | Endpoint | Good | Refused |
//! |---|---|---|
//! | obtain | 200 `{"token":"<40 hex>"}`, the same each time | 400 `{"non_field_errors":["Unable to log in with provided credentials."]}` |
//!
//! The field is called `username` whatever accounts sign in with. The password is not trimmed. A bad `Authorization` header is refused first, although none is needed.

use http::StatusCode;
use serde_json::json;

use crate::dialect::form::Submission;
use crate::dialect::words::{CURRENT, Words};
use crate::dialect::{Answer, Dialect, Endpoint, drf, read_credentials};
use crate::flow::{Credentials, Refusal};

/// Django REST framework's token view.
#[derive(Clone, Copy, Debug)]
pub struct Metax;

impl Dialect for Metax {
    fn words(&self) -> &'static Words {
        &CURRENT
    }

    fn challenge(&self) -> &'static str {
        "Token"
    }

    fn read_credentials(&self, submission: &Submission) -> Result<Credentials, Answer> {
        read_credentials(self.words(), submission, "username", false)
    }

    fn refuse(&self, _: Endpoint, refusal: &Refusal) -> Answer {
        match refusal {
            Refusal::WrongCredentials | Refusal::OwnerInactive => Answer::json(
                StatusCode::BAD_REQUEST,
                json!({ "non_field_errors": ["Unable to log in with provided credentials."] }),
            ),
            Refusal::Token(rejection) => Answer::unauthenticated(
                json!({ "detail": drf::rejection(self.words(), *rejection) }),
            ),
            Refusal::Denied(denial) => self.deny(*denial),
            Refusal::Client(why) => self.refuse_client(*why),
            Refusal::TooMany { retry_after } => drf::throttled(self.words(), *retry_after),
            Refusal::Busy { retry_after } => drf::unavailable(*retry_after),
        }
    }
}
