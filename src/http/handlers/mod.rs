//! Handlers: read the form, run the flow, write the answer.

pub mod addresses;
pub mod dj_rest_auth;
pub mod djoser;
pub mod families;
pub mod gate;
pub mod oauth;
pub mod pages;
pub mod personal_keys;
pub mod token;

use http::header::COOKIE;
use http::{HeaderMap, Method};

use crate::account::account::Account;
use crate::dialect::{Answer, Endpoint};
use crate::flow::authenticate::UsedKey;
use crate::flow::{Caller, Error, Refusal};
use crate::token::credential::Denial;

/// Why a handler stops before it is done.
#[derive(Debug)]
pub enum Stop {
    /// The request lacks something: the answer, as its dialect says it.
    Lacks(Answer),
    /// What the flow says.
    Failed(Error),
}

impl From<Answer> for Stop {
    fn from(answer: Answer) -> Self {
        Self::Lacks(answer)
    }
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What is asked, and by whom.
pub struct Ask<'r> {
    /// What for.
    pub endpoint: Endpoint,
    /// With which method.
    pub method: &'r Method,
    /// The id in the path, where it has one.
    pub id: Option<&'r str>,
    /// Who is signed in, if anybody is.
    pub caller: Option<Account>,
    /// By which key of our own, if by one.
    pub key: Option<UsedKey>,
    /// Where the request comes from.
    pub client: Caller,
    /// The request's headers.
    pub headers: &'r HeaderMap,
}

impl Ask<'_> {
    /// Who is signed in.
    pub fn caller(&self) -> Result<&Account, Error> {
        self.caller.as_ref().ok_or(Error::Refused(Refusal::Denied(Denial::NoCredentials)))
    }

    /// The value of a cookie.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        cookie(self.headers, name)
    }
}

/// The value of a cookie of a request.
#[must_use]
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .rfind(|(found, _)| *found == name)
        .map(|(_, value)| value.trim_matches('"').to_owned())
        .filter(|value| !value.is_empty())
}
