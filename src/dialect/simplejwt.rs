//! djangorestframework-simplejwt, as the layouts `harrastuspassi` and `simplejwt` speak it.
//!
//! | Endpoint | Good | Refused |
//! |---|---|---|
//! | obtain | 200 `{"refresh","access"}` | 401 `No active account found with the given credentials` |
//! | refresh | 200 `{"access"}`, with `"refresh"` under rotation | 401 `{"detail","code":"token_not_valid"}`; owner off: `No active account found for the given token.` without code |
//! | verify | 200 `{}` | 401 as above; taken back: 400 `{"non_field_errors":["Token is blacklisted"]}` |
//! | blacklist | 200 `{}` | 401 as above |

use http::StatusCode;
use serde_json::json;

use crate::dialect::form::Submission;
use crate::dialect::words::Words;
use crate::dialect::{Answer, Dialect, Endpoint, LoginField, drf, read_credentials};
use crate::flow::{Credentials, Refusal};
use crate::token::verify::Rejection;

/// djangorestframework-simplejwt of one generation.
#[derive(Debug)]
pub struct SimpleJwt {
    words: &'static Words,
    challenge: String,
    login: LoginField,
}

impl SimpleJwt {
    /// Speaks `words` and names `prefix` in its challenge; accounts sign in with `login`.
    #[must_use]
    pub fn new(words: &'static Words, prefix: &str, login: LoginField) -> Self {
        Self { words, challenge: format!("{prefix} realm=\"api\""), login }
    }
}

impl Dialect for SimpleJwt {
    fn words(&self) -> &'static Words {
        self.words
    }

    fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Under the name of Django's `USERNAME_FIELD`.
    fn read_credentials(&self, submission: &Submission) -> Result<Credentials, Answer> {
        read_credentials(self.words, submission, self.login.name(), true)
    }

    fn refuse(&self, endpoint: Endpoint, refusal: &Refusal) -> Answer {
        match refusal {
            Refusal::WrongCredentials => Answer::unauthenticated(
                json!({ "detail": "No active account found with the given credentials" }),
            ),
            Refusal::Token(Rejection::Revoked) if endpoint == Endpoint::VerifyToken => {
                Answer::json(
                    StatusCode::BAD_REQUEST,
                    json!({ "non_field_errors": ["Token is blacklisted"] }),
                )
            }
            Refusal::Token(rejection) => Answer::unauthenticated(json!({
                "detail": drf::rejection(self.words, *rejection),
                "code": "token_not_valid",
            })),
            Refusal::OwnerInactive => Answer::unauthenticated(
                json!({ "detail": "No active account found for the given token." }),
            ),
            Refusal::Denied(denial) => self.deny(*denial),
            Refusal::Client(why) => self.refuse_client(*why),
            Refusal::TooMany { retry_after } => drf::throttled(self.words, *retry_after),
            Refusal::Busy { retry_after } => drf::unavailable(*retry_after),
        }
    }
}
