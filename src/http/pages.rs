//! From a request for a page to what is shown: who looks at it, whether a form is theirs, and how faults look.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ALLOW, CONTENT_TYPE, HOST, LOCATION, ORIGIN, REFRESH, RETRY_AFTER, SET_COOKIE, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body as HttpBody;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use crate::account::account::Account;
use crate::dialect::form::{Given, Submission};
use crate::dialect::words;
use crate::flow::{Caller, Context, Error, Fault, Refusal, choose_language, sessions};
use crate::http::handlers::{self, pages};
use crate::http::response::{self, Body};
use crate::http::router::{PageMounts, PageRoute};
use crate::http::routes::Audience;
use crate::http::{Service, dispatch, request};
use crate::locale::{Language, texts};
use crate::page::Page;
use crate::page::cookie::{self, CookieNames};
use crate::page::csrf::{self, CsrfSecret};
use crate::page::form::{self, Form};
use crate::page::render::{Frame, Renderer};
use crate::token::session::LiveSession;

/// The pages of a site.
pub struct PageSite {
    /// Shows them.
    pub renderer: Renderer,
    /// Where they are.
    pub mounts: PageMounts,
    /// What the cookies are called.
    pub cookies: CookieNames,
    /// Where a sign-in leads that asks for nothing else.
    pub after_sign_in: String,
    /// Whether who registers must tell first and last name.
    pub needs_names: bool,
    /// What browsers may load and do.
    pub content_policy: HeaderValue,
}

/// A request for a page, as far as it is read.
pub struct Visit<'r> {
    /// The service.
    pub service: &'r Service,
    /// The pages.
    pub site: &'r PageSite,
    /// Which page.
    pub page: Page,
    /// With which method: GET, HEAD or POST.
    pub method: &'r Method,
    /// The path.
    pub path: &'r str,
    /// What stands in the path.
    pub places: &'r [(String, String)],
    /// What stands in the query.
    pub query: Vec<(String, String)>,
    /// What was typed.
    pub form: Form,
    /// Where the request comes from.
    pub caller: Caller,
    /// Who is signed in.
    pub session: Option<LiveSession>,
    /// The cookie of that session, or of one that has ended.
    pub presented: Option<String>,
    /// In which language it is answered.
    pub language: Language,
    /// The language that goes with the account, where the browser does not keep that one: for when nobody
    /// is signed in any more.
    language_cookie: Option<Language>,
    /// What its forms send back.
    pub csrf: CsrfSecret,
    /// Whether the browser has that in its cookie.
    keeps_csrf: bool,
}

/// What comes of a visit.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    shown: Shown,
    cookies: Vec<String>,
    retry_after: Option<u64>,
    /// After how many seconds the browser loads the page anew.
    refresh: Option<u64>,
    /// Whether the cookie of forms comes along: it does with pages, and with a sign-in, which brings its
    /// own.
    brings_csrf: bool,
}

#[derive(Debug)]
enum Shown {
    Page(&'static str, Value),
    Redirect(String),
}

impl Reply {
    /// A page.
    #[must_use]
    pub fn page(template: &'static str, view: Value) -> Self {
        let shown = Shown::Page(template, view);
        let (status, cookies) = (StatusCode::OK, Vec::new());
        Self { status, shown, cookies, retry_after: None, refresh: None, brings_csrf: false }
    }

    /// On to another page.
    #[must_use]
    pub fn redirect(to: impl Into<String>) -> Self {
        let shown = Shown::Redirect(to.into());
        let (status, cookies) = (StatusCode::FOUND, Vec::new());
        Self { status, shown, cookies, retry_after: None, refresh: None, brings_csrf: false }
    }

    /// With another status.
    #[must_use]
    pub const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With a cookie.
    #[must_use]
    pub fn cookie(mut self, cookie: String) -> Self {
        self.cookies.push(cookie);
        self
    }

    /// With the secret of forms of another session.
    #[must_use]
    pub fn csrf_cookie(mut self, cookie: String) -> Self {
        self.brings_csrf = true;
        self.cookie(cookie)
    }

    /// To be loaded anew every so many seconds: for somebody who asked for that (WCAG 2.2, 2.2.2).
    #[must_use]
    pub const fn refresh(mut self, seconds: u64) -> Self {
        self.refresh = Some(seconds);
        self
    }

    /// With how long to wait.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl Visit<'_> {
    /// What flows need.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.service.context
    }

    /// Who is signed in; the page's audience makes sure of it.
    pub fn session(&self) -> Result<&LiveSession, Error> {
        let nobody = Error::Fault(Fault::Broken("a page for members was shown to nobody"));
        self.session.as_ref().ok_or(nobody)
    }

    /// As [`Visit::session`]: the account.
    pub fn account(&self) -> Result<&Account, Error> {
        self.session().map(LiveSession::account)
    }

    /// Whether a form was sent.
    #[must_use]
    pub fn is_post(&self) -> bool {
        *self.method == Method::POST
    }

    /// A text in the visitor's language.
    #[must_use]
    pub fn say(&self, name: &str) -> String {
        self.site.renderer.say(self.language, name).to_owned()
    }

    /// As [`Visit::say`], filled in.
    #[must_use]
    pub fn say_with(&self, name: &str, places: &[(&str, &str)]) -> String {
        places.iter().fold(self.say(name), |text, (place, value)| texts::fill(&text, place, value))
    }

    /// What stands in the path for `{name}`.
    #[must_use]
    pub fn place(&self, name: &str) -> &str {
        self.places.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// What stands in the query under that name.
    #[must_use]
    pub fn asked(&self, name: &str) -> &str {
        self.query.iter().rev().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// Whether the query has that name at all.
    #[must_use]
    pub fn has_asked(&self, name: &str) -> bool {
        self.query.iter().any(|(found, _)| found == name)
    }

    /// The path of a page of one's account: `/login/`.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.site.mounts.account)
    }

    /// The path of a page of the administration.
    #[must_use]
    pub fn administered(&self, path: &str) -> String {
        format!("{}{path}", self.site.mounts.administration.as_deref().unwrap_or_default())
    }

    /// What somebody typed; the visit keeps nothing of it.
    pub fn take_form(&mut self) -> Form {
        std::mem::take(&mut self.form)
    }

    /// A page that only says something, with a button to go on.
    #[must_use]
    pub fn message(&self, title: &str, text: &str, action: Option<(&str, String)>) -> Reply {
        let action = action.map(|(name, href)| json!({ "text": self.say(name), "href": href }));
        let view = json!({ "title": self.say(title), "text": text, "action": action });
        Reply::page("message.html", view)
    }

    /// The page for what is not there.
    #[must_use]
    pub fn not_found(&self) -> Reply {
        let text = self.say("error.not_found");
        let action = Some(("error.home", self.at("/")));
        self.message("error.not_found_title", &text, action).status(StatusCode::NOT_FOUND)
    }

    /// What is masked into a page's forms.
    fn masked(&self) -> String {
        self.csrf.masked(self.context().random.as_ref())
    }
}

/// Answers a request for a page.
pub async fn serve<B>(
    service: &Arc<Service>,
    site: &Arc<PageSite>,
    (route, places): (PageRoute, Vec<(String, String)>),
    (parts, body): (Parts, B),
    caller: Caller,
    request_id: &str,
) -> Response<Body>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let language = language(site, &parts.headers);
    let plain = |status, title, text| {
        let about = Plain { language, status, title, text, request_id: None };
        plain_page(site, &parts.headers, parts.uri.path(), &about)
    };
    if !matches!(parts.method, Method::GET | Method::HEAD | Method::POST) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "error.title", "error.method");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
        return response;
    }
    let fields = match parts.method {
        Method::POST => match request::read_body(&parts, body, &service.limits).await {
            Ok(body) => match fields(&parts, &body).await {
                Some(fields) => fields,
                None => return plain(StatusCode::BAD_REQUEST, "error.title", "error.body"),
            },
            Err(answer) if answer.status == StatusCode::PAYLOAD_TOO_LARGE => {
                return plain(answer.status, "error.title", "error.too_large");
            }
            Err(answer) => return plain(answer.status, "error.title", "error.body"),
        },
        _ => Vec::new(),
    };
    let headers = parts.headers.clone();
    let path = parts.uri.path().to_owned();
    let task = {
        let (service, site) = (Arc::clone(service), Arc::clone(site));
        let asked = Asked { parts, places, fields, caller, language };
        tokio::spawn(async move { visit(&service, &site, route, asked).await })
    };
    let name = route.page.name();
    let outcome = tokio::time::timeout(service.limits.request_timeout, task).await;
    let fault = |status, text| {
        let request_id = Some(request_id);
        let about = Plain { language, status, title: "error.title", text, request_id };
        plain_page(site, &headers, &path, &about)
    };
    let unavailable = || fault(StatusCode::SERVICE_UNAVAILABLE, "error.unavailable");
    let broken = || fault(StatusCode::INTERNAL_SERVER_ERROR, "error.fault");
    match outcome {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(Error::Refused(refusal)))) => {
            dispatch::count_refusal(service, name, &refusal);
            refused(site, &headers, &path, language, &refusal)
        }
        Ok(Ok(Err(Error::Fault(found)))) => {
            service.metrics.faults.with_label_values(&[name]).inc();
            tracing::error!(endpoint = name, %request_id, fault = %found, "fault");
            match dispatch::status_of(&found) {
                StatusCode::SERVICE_UNAVAILABLE => unavailable(),
                _ => broken(),
            }
        }
        Ok(Err(panicked)) => {
            service.metrics.faults.with_label_values(&[name]).inc();
            tracing::error!(endpoint = name, %request_id, %panicked, "panic");
            broken()
        }
        Err(_) => {
            tracing::error!(endpoint = name, %request_id, "took too long");
            unavailable()
        }
    }
}

/// The page for a path under a mount of pages at which nothing is.
#[must_use]
pub fn not_found(site: &PageSite, parts: &Parts) -> Option<Response<Body>> {
    let path = parts.uri.path();
    let PageMounts { account, administration, authtoken, .. } = &site.mounts;
    let mounts = [Some(account.as_str()), administration.as_deref(), authtoken.as_deref()];
    let under = |mount: &str| path.strip_prefix(mount).is_some_and(|rest| rest.starts_with('/'));
    mounts.into_iter().flatten().any(under).then(|| {
        let about = Plain {
            language: language(site, &parts.headers),
            status: StatusCode::NOT_FOUND,
            title: "error.not_found_title",
            text: "error.not_found",
            request_id: None,
        };
        plain_page(site, &parts.headers, path, &about)
    })
}

/// What is left of a request that goes into a task of its own.
struct Asked {
    parts: Parts,
    places: Vec<(String, String)>,
    fields: Vec<(String, String)>,
    caller: Caller,
    language: Language,
}

async fn visit(
    service: &Service,
    site: &PageSite,
    route: PageRoute,
    asked: Asked,
) -> Result<Response<Body>, Error> {
    let Asked { parts, places, fields, caller, language } = asked;
    let context = &service.context;
    let presented = handlers::cookie(&parts.headers, &site.cookies.session);
    let session = match &presented {
        Some(presented) => sessions::find(context, &caller, presented).await?,
        None => None,
    };
    let kept = handlers::cookie(&parts.headers, &site.cookies.csrf);
    let kept = kept.and_then(|kept| CsrfSecret::presented(&kept));
    let csrf = match &session {
        Some(session) => CsrfSecret::presented(&sessions::csrf_secret(context, session.digest())),
        None => kept.clone(),
    };
    let csrf = csrf.unwrap_or_else(|| CsrfSecret::generate(context.random.as_ref()));
    let keeps_csrf = kept.is_some_and(|kept| csrf.fits(kept.expose()));
    let sent = fields.iter().find(|(name, _)| name == csrf::FIELD);
    let sent = sent.map_or(Cow::Borrowed(""), |(_, value)| Cow::Owned(value.clone()));
    let query = parts.uri.query().unwrap_or_default();
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let actor = session.as_ref().map(|session| session.acting().unwrap_or(session.account().id));
    let chosen = match actor {
        Some(account) => choose_language::chosen(context, account).await?,
        None => None,
    };
    let chosen = chosen.filter(|chosen| site.renderer.look.languages.contains(chosen));
    let language_cookie = chosen.filter(|chosen| {
        let kept = handlers::cookie(&parts.headers, cookie::LANGUAGE);
        kept.as_deref() != Some(chosen.as_str())
    });
    let mut visit = Visit {
        service,
        site,
        page: route.page,
        method: &parts.method,
        path: parts.uri.path(),
        places: &places,
        query,
        form: Form::sent(fields),
        caller: Caller { actor, ..caller },
        session,
        presented,
        language: chosen.unwrap_or(language),
        language_cookie,
        csrf,
        keeps_csrf,
    };
    let foreign = visit.is_post() && is_foreign(&parts.headers);
    let reply = if let Some(reply) = turned_away(&visit, route.audience, foreign) {
        reply
    } else if foreign {
        let view = json!({ "offered": false, "fields": [], "door": null });
        Reply::page("stale.html", view).status(StatusCode::FORBIDDEN)
    } else if visit.is_post() && !visit.csrf.fits(&sent) {
        offered_again(&visit, None)
    } else {
        pages::answer(&mut visit).await?
    };
    show(&visit, reply)
}

/// Nobody sees a page for members without signing in, and then comes back; members may not enter the
/// administration. A member who has typed something while the session ended gets it back.
fn turned_away(visit: &Visit<'_>, audience: Audience, foreign: bool) -> Option<Reply> {
    let door = match (audience, &visit.session) {
        (Audience::Anybody, _) | (Audience::SignedIn, Some(_)) => return None,
        (Audience::Staff, Some(session)) if visit.context().may_administer(session.account()) => {
            return None;
        }
        (Audience::SignedIn, None) => visit.at("/login/"),
        (Audience::Staff, None) => visit.administered("/login/"),
        (Audience::Staff, Some(session)) => {
            let account = session.account().username.as_str();
            let text = visit.say_with("sign_in.not_staff", &[("account", account)]);
            let door = format!("{}?next={}", visit.administered("/login/"), quoted(visit.path));
            let action = Some(("administration.as_another", door));
            let reply = visit.message("error.forbidden_title", &text, action);
            return Some(reply.status(StatusCode::FORBIDDEN));
        }
    };
    let has_typed = visit.form.shown().iter().any(|(name, typed)| {
        !typed.is_empty() && texts::text(visit.language, &format!("field.{name}")).is_some()
    });
    if has_typed && !foreign && audience == Audience::SignedIn {
        return Some(offered_again(visit, Some(&door)));
    }
    // Where a form was sent to may answer POST alone; its page is what to come back to.
    Some(Reply::redirect(format!("{door}?next={}", quoted(visit.path))))
}

/// A path as it stands in a query, its slashes as they are (`urllib.parse.quote`).
#[must_use]
pub fn quoted(path: &str) -> String {
    const ODD: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'%')
        .add(b'&')
        .add(b'+')
        .add(b'<')
        .add(b'>')
        .add(b'?')
        .add(b'=')
        .add(b'\'')
        .add(b'\\');
    utf8_percent_encode(path, ODD).to_string()
}

/// Whether another site has sent a form here, as browsers tell (Fetch metadata; RFC 6454 7).
#[must_use]
pub fn is_foreign(headers: &HeaderMap) -> bool {
    static FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let told = text(&FETCH_SITE).is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let origin = text(&ORIGIN)
        .is_some_and(|origin| origin.split_once("://").map(|(_, host)| host) != text(&HOST));
    told || origin
}

/// The form once more, with all that was typed but passwords, which are asked for again.
/// `door`: where to sign in first.
fn offered_again(visit: &Visit<'_>, door: Option<&str>) -> Reply {
    let shown = visit.form.shown();
    let fields: Vec<Value> = visit
        .form
        .names()
        .filter(|name| *name != csrf::FIELD)
        .map(|name| {
            // What nobody types has no label: choices, and what a button or a hidden field says.
            let label = texts::text(visit.language, &format!("field.{name}"));
            json!({
                "name": name,
                "label": label,
                "value": shown.get(name).copied().unwrap_or_default(),
                "secret": form::is_secret(name),
            })
        })
        .collect();
    Reply::page("stale.html", json!({ "offered": true, "fields": fields, "door": door }))
        .status(StatusCode::FORBIDDEN)
}

fn show(visit: &Visit<'_>, reply: Reply) -> Result<Response<Body>, Error> {
    let site = visit.site;
    let mut response = match reply.shown {
        Shown::Redirect(to) => redirect(&to)?,
        Shown::Page(template, view) => {
            let csrf = visit.masked();
            let session = visit.session.as_ref();
            let account = session.map(LiveSession::account);
            let frame = Frame {
                language: visit.language,
                csrf: &csrf,
                path: visit.path,
                account,
                may_administer: account.is_some_and(|me| visit.context().may_administer(me)),
                actor: session.and_then(LiveSession::actor).map(LiveSession::account),
            };
            let page = site.renderer.page(template, &frame, &view);
            let page = page.map_err(|error| Error::Fault(Fault::Page(error.to_string())))?;
            let mut response = html(site, reply.status, page);
            if !visit.keeps_csrf && !reply.brings_csrf {
                let now = visit.context().now();
                let cookie = cookie::csrf(&site.cookies.csrf, visit.csrf.expose(), now);
                set_cookie(&mut response, &cookie);
            }
            if let Some(language) = visit.language_cookie {
                let cookie = cookie::language(language.as_str(), visit.context().now());
                set_cookie(&mut response, &cookie);
            }
            response
        }
    };
    for cookie in &reply.cookies {
        set_cookie(&mut response, cookie);
    }
    if let Some(seconds) = reply.refresh {
        response.headers_mut().insert(REFRESH, HeaderValue::from(seconds));
    }
    if let Some(seconds) = reply.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

fn redirect(to: &str) -> Result<Response<Body>, Error> {
    let to = HeaderValue::from_str(to)
        .map_err(|_| Error::Fault(Fault::Broken("a page leads to what is no address")))?;
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(LOCATION, to);
    response.headers_mut().insert(VARY, HeaderValue::from_static("Cookie"));
    response::protect(&mut response);
    Ok(response)
}

fn html(site: &PageSite, status: StatusCode, page: String) -> Response<Body> {
    static POLICY: HeaderName = HeaderName::from_static("content-security-policy");
    let mut response = Response::new(Full::new(Bytes::from(page)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(VARY, HeaderValue::from_static("Cookie, Accept-Language"));
    headers.insert(&POLICY, site.content_policy.clone());
    response::protect(&mut response);
    response
}

fn set_cookie(response: &mut Response<Body>, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// A page that needs nothing of the store.
struct Plain<'a> {
    language: Language,
    status: StatusCode,
    title: &'a str,
    text: &'a str,
    request_id: Option<&'a str>,
}

fn plain_page(
    site: &PageSite,
    headers: &HeaderMap,
    path: &str,
    about: &Plain<'_>,
) -> Response<Body> {
    let Plain { language, status, title, text, request_id } = about;
    let say = |name| site.renderer.say(*language, name);
    let view = json!({
        "title": say(title),
        "text": say(text),
        "action": { "text": say("error.home"), "href": format!("{}/", site.mounts.account) },
        "request_id": request_id,
    });
    plain_view(site, headers, path, *language, *status, &view)
}

fn plain_view(
    site: &PageSite,
    headers: &HeaderMap,
    path: &str,
    language: Language,
    status: StatusCode,
    view: &Value,
) -> Response<Body> {
    let kept = handlers::cookie(headers, &site.cookies.csrf);
    let csrf = kept.and_then(|kept| CsrfSecret::presented(&kept));
    let csrf = csrf.as_ref().map_or("", CsrfSecret::expose);
    let frame = Frame { language, csrf, path, account: None, actor: None, may_administer: false };
    match site.renderer.page("message.html", &frame, view) {
        Ok(page) => html(site, status, page),
        Err(error) => {
            tracing::error!(%error, "the page of a fault could not be shown");
            response::text(status, format!("{status}\n"))
        }
    }
}

/// The page of a refusal that no page of its own tells.
fn refused(
    site: &PageSite,
    headers: &HeaderMap,
    path: &str,
    language: Language,
    refusal: &Refusal,
) -> Response<Body> {
    let (status, title, text, wait) = match refusal {
        Refusal::TooMany { retry_after } => (
            StatusCode::TOO_MANY_REQUESTS,
            "error.throttled_title",
            "error.throttled",
            Some(*retry_after),
        ),
        Refusal::Busy { retry_after } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "error.title",
            "error.unavailable",
            Some(*retry_after),
        ),
        Refusal::WrongCredentials
        | Refusal::Token(_)
        | Refusal::OwnerInactive
        | Refusal::Client(_)
        | Refusal::Denied(_) => {
            (StatusCode::FORBIDDEN, "error.forbidden_title", "error.forbidden", None)
        }
    };
    let say = |name| site.renderer.say(language, name);
    let wait_text = wait.map(|seconds| seconds.to_string()).unwrap_or_default();
    let view = json!({
        "title": say(title),
        "text": texts::fill(say(text), "seconds", &wait_text),
        "action": { "text": say("error.home"), "href": format!("{}/", site.mounts.account) },
    });
    let mut response = plain_view(site, headers, path, language, status, &view);
    if let Some(seconds) = wait {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The language that somebody has chosen, or that the browser asks for, among those that are offered.
fn language(site: &PageSite, headers: &HeaderMap) -> Language {
    let offered = &site.renderer.look.languages;
    let chosen = handlers::cookie(headers, cookie::LANGUAGE);
    let chosen = chosen.and_then(|tag| Language::parse(&tag));
    if let Some(chosen) = chosen.filter(|chosen| offered.contains(chosen)) {
        return chosen;
    }
    let default = site.renderer.default_language();
    let asked = headers.get(http::header::ACCEPT_LANGUAGE).and_then(|asked| asked.to_str().ok());
    Language::negotiate_among(asked.unwrap_or_default(), offered, default)
}

/// The fields of a form; `None` for what is no form, and for texts that nothing of ours can hold.
async fn fields(parts: &Parts, body: &Bytes) -> Option<Vec<(String, String)>> {
    let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    let forms: [&[u8]; 2] = [b"application/x-www-form-urlencoded", b"multipart/form-data"];
    if !body.is_empty() && !forms.iter().any(|form| content_type.starts_with(form)) {
        return None;
    }
    let submission = request::submission(&words::CURRENT, parts, body).await.ok()?;
    let Submission::Fields(fields) = submission else { return None };
    fields
        .into_iter()
        .map(|(name, given)| match given {
            Given::Text(text) if !text.contains('\0') => Some((name, text)),
            _ => None,
        })
        .collect()
}

/// Whether a path may be led on to: one of this site's, and nothing that a browser takes for another's.
#[must_use]
pub fn is_local(path: &str) -> bool {
    let odd = |c: char| c.is_control() || c == '\\' || !c.is_ascii();
    path.starts_with('/') && !path.starts_with("//") && !path.contains(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_led_on_to() {
        for good in ["/", "/api/", "/a?b=c#d", "/a//b", "/sysadmin/authtoken/token/?p=1"] {
            assert!(is_local(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\nb",
            "\t//x",
            "/ä",
        ] {
            assert!(!is_local(bad), "{bad}");
        }
    }

    #[test]
    fn paths_are_quoted_as_python_does() {
        assert_eq!(quoted("/sysadmin/authtoken/token/"), "/sysadmin/authtoken/token/");
        assert_eq!(quoted("/a b&c=d"), "/a%20b%26c%3Dd");
    }

    #[test]
    fn forms_of_other_sites_are_known() {
        let with = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            is_foreign(&headers)
        };
        assert!(!with(&[("host", "a.example")]));
        assert!(!with(&[("host", "a.example:8443"), ("origin", "https://a.example:8443")]));
        assert!(with(&[("host", "a.example"), ("origin", "https://b.example")]));
        assert!(with(&[("host", "a.example"), ("origin", "null")]));
        assert!(with(&[("sec-fetch-site", "same-site")]));
        assert!(!with(&[("sec-fetch-site", "same-origin")]));
    }
}
