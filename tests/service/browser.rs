//! A browser as far as pages need one: it keeps cookies, sends forms back with what the page has hidden in
//! them, and follows nothing by itself.

use std::collections::BTreeMap;

use crate::client::{Answer, Request};
use crate::harness::{PASSWORD, TestService};

/// A browser that somebody has open.
pub(crate) struct Browser<'s> {
    service: &'s TestService,
    pub(crate) cookies: BTreeMap<String, String>,
    headers: Vec<(String, String)>,
    /// What the last page has hidden in its forms.
    hidden: String,
}

impl<'s> Browser<'s> {
    pub(crate) fn new(service: &'s TestService) -> Self {
        Self { service, cookies: BTreeMap::new(), headers: Vec::new(), hidden: String::new() }
    }

    /// Sends a header with everything from now on.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) async fn get(&mut self, target: &str) -> Answer {
        self.ask(Request::new("GET", target)).await
    }

    /// Sends a form of the last page.
    pub(crate) async fn send(&mut self, target: &str, fields: &[(&str, &str)]) -> Answer {
        let hidden = self.hidden.clone();
        let mut all = vec![("csrfmiddlewaretoken", hidden.as_str())];
        all.extend(fields);
        self.send_bare(target, &all).await
    }

    /// Sends fields alone.
    pub(crate) async fn send_bare(&mut self, target: &str, fields: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let form = "application/x-www-form-urlencoded";
        self.ask(Request::new("POST", target).body(form, body)).await
    }

    /// Signs in on the page.
    pub(crate) async fn sign_in(&mut self, username: &str) -> Answer {
        self.get("/accounts/login/").await;
        let fields = [("username", username), ("password", PASSWORD)];
        let answer = self.send("/accounts/login/", &fields).await;
        assert_eq!(answer.status, 302, "{}", answer.text());
        answer
    }

    pub(crate) async fn ask(&mut self, mut request: Request) -> Answer {
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("Cookie", cookies.join("; "));
        }
        let answer = self.service.ask(&request).await;
        for set in set_cookies(&answer) {
            let (name, rest) = set.split_once('=').expect("a cookie has a name");
            let value = rest.split(';').next().unwrap_or_default().trim_matches('"');
            if set.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let text = answer.text();
        if let Some((_, rest)) = text.split_once("name=\"csrfmiddlewaretoken\" value=\"") {
            rest.split('"').next().unwrap_or_default().clone_into(&mut self.hidden);
        }
        answer
    }
}

/// The cookies that an answer sets.
pub(crate) fn set_cookies(answer: &Answer) -> Vec<String> {
    let all = answer.headers.get_all("set-cookie").iter();
    all.map(|cookie| cookie.to_str().expect("is ASCII").to_owned()).collect()
}
