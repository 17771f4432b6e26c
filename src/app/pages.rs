//! What the settings say about pages and browser sessions, understood.

use std::path::Path;
use std::sync::Arc;

use http::HeaderValue;

use crate::app::{Judge, Plan, StartError};
use crate::base::seal::MasterKey;
use crate::base::time_zone::TimeZone;
use crate::flow::AccountRules;
use crate::flow::acting::ActingRules;
use crate::flow::sessions::SessionRules;
use crate::http::pages::{PageSite, is_local};
use crate::http::router::PageMounts;
use crate::locale::Language;
use crate::page::colour::Colour;
use crate::page::cookie::{self, CookieNames};
use crate::page::render::{Look, Places, Renderer};
use crate::settings::Settings;
use crate::template::TemplateFault;
use crate::token::django_session::DjangoSessions;

/// What the settings say about pages.
#[derive(Clone, Debug)]
pub(super) struct PagePlan {
    look: Look,
    pub(super) mounts: PageMounts,
    after_sign_in: String,
    /// The origin of a front end that a sign-in leads to.
    front_end: Option<String>,
}

impl Judge<'_> {
    pub(super) fn pages(&mut self, settings: &Settings, site: &str) -> PagePlan {
        let pages = &settings.pages;
        let metax = settings.layout("metax").filter(|layout| layout.enabled);
        let administration = pages.administration.0.as_ref();
        let administration = administration.map(|mount| self.mount("pages.administration", mount));
        let below = administration.as_ref().map(|mount| format!("{mount}/authtoken"));
        let authtoken = match &pages.authtoken.0 {
            Some(_) if below.is_none() => {
                let why = "the administration is not served (pages.administration)";
                self.refuse("pages.authtoken", why);
                None
            }
            Some(mount) => Some(self.mount("pages.authtoken", mount)),
            None => below,
        };
        let mounts = PageMounts {
            account: self.mount("pages.mount", &pages.mount),
            administration,
            authtoken,
            metax: metax.map(|layout| layout.mount.trim_end_matches('/').to_owned()),
        };
        let colour = Colour::parse(&pages.colour).unwrap_or_else(|| {
            let colour = &pages.colour;
            self.refuse("pages.colour", format!("`{colour}`: write it like #1a5f8a"));
            Colour::parse("#1a5f8a").expect("it is one")
        });
        let time_zone = TimeZone::named(&pages.time_zone).unwrap_or_else(|error| {
            self.refuse("pages.time_zone", error);
            TimeZone::named("UTC").expect("it is one")
        });
        let mut languages = Vec::new();
        for tag in &pages.languages.0 {
            match Language::parse(tag).filter(|language| language.as_str() == tag) {
                Some(language) if languages.contains(&language) => {}
                Some(language) => languages.push(language),
                None => {
                    let known = Language::ALL.map(Language::as_str);
                    self.one_of("pages.languages", tag, &known);
                }
            }
        }
        if languages.is_empty() {
            self.refuse("pages.languages", "names none");
        }
        let (after_sign_in, front_end) = match &pages.after_sign_in.0 {
            None => (format!("{}/", mounts.account), None),
            Some(path) if is_local(path) => (path.clone(), None),
            Some(url) => {
                let origin = origin(url);
                if origin.is_none() {
                    let why = format!("`{url}` is neither a path nor the address of a front end");
                    self.refuse("pages.after_sign_in", why);
                }
                (url.clone(), origin)
            }
        };
        self.sessions(settings);
        let places = Places {
            account: mounts.account.clone(),
            administration: mounts.administration.clone().unwrap_or_default(),
            authtoken: mounts.authtoken.clone().unwrap_or_default(),
        };
        let look = Look {
            site: site.to_owned(),
            colour,
            time_zone,
            languages,
            places,
            registration: pages.registration,
        };
        PagePlan { look, mounts, after_sign_in, front_end }
    }

    fn mount(&mut self, name: &str, mount: &str) -> String {
        let mount = mount.trim_end_matches('/');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        if !mount.starts_with('/') || mount.contains("//") || !mount.bytes().all(plain) {
            self.refuse(name, format!("`{mount}`: write a path such as /accounts"));
        }
        mount.to_owned()
    }

    fn sessions(&mut self, settings: &Settings) {
        let sessions = &settings.sessions;
        if sessions.lifetime.as_secs() < 60 {
            self.refuse("sessions.lifetime", "at least 1m");
        }
        if !sessions.idle.is_zero() && sessions.idle.as_secs() < 60 {
            self.refuse("sessions.idle", "at least 1m, or 0");
        }
        if sessions.acting_lifetime.as_secs() < 60 {
            self.refuse("sessions.acting_lifetime", "at least 1m");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let names = [&sessions.cookie, &sessions.csrf_cookie];
        for (setting, name) in ["sessions.cookie", "sessions.csrf_cookie"].into_iter().zip(names) {
            if name.is_empty() || !name.bytes().all(plain) || name == cookie::LANGUAGE {
                let why = format!("`{name}`: letters, digits, - and _; not `{}`", cookie::LANGUAGE);
                self.refuse(setting, why);
            }
        }
        if sessions.cookie == sessions.csrf_cookie {
            self.refuse("sessions.csrf_cookie", "must differ from sessions.cookie");
        }
    }
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    let is_plain = matches!(scheme, "https" | "http")
        && !host.is_empty()
        && host.bytes().all(plain)
        && url.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain.then(|| format!("{scheme}://{host}"))
}

impl Plan {
    /// Shows pages as configured; beside it what is wrong with the operator's templates, which are left out.
    pub fn renderer(&self) -> Result<(Renderer, Vec<TemplateFault>), StartError> {
        let look = self.pages.look.clone();
        let Some(folder) = &self.settings.pages.templates.0 else {
            return Ok((Renderer::new(look), Vec::new()));
        };
        Renderer::with_overrides(look, Path::new(folder)).map_err(|error| {
            StartError::Configuration(vec![format!(
                "pages.templates: cannot read {folder}: {error}"
            )])
        })
    }

    /// The pages; `None` where they are switched off.
    pub(super) fn page_site(&self) -> Result<Option<Arc<PageSite>>, StartError> {
        if !self.settings.pages.enabled {
            return Ok(None);
        }
        let (renderer, faults) = self.renderer()?;
        for fault in faults {
            tracing::warn!("pages.templates: {fault}; the page that is compiled in is used");
        }
        let PagePlan { mounts, after_sign_in, front_end, .. } = &self.pages;
        let policy = renderer.content_policy(front_end.as_deref());
        Ok(Some(Arc::new(PageSite {
            content_policy: HeaderValue::from_str(&policy).map_err(StartError::fault)?,
            renderer,
            mounts: mounts.clone(),
            cookies: self.cookie_names(),
            after_sign_in: after_sign_in.clone(),
            needs_names: self.settings.account.require_names,
        })))
    }

    /// What the cookies of sessions are called.
    pub(super) fn cookie_names(&self) -> CookieNames {
        let sessions = &self.settings.sessions;
        CookieNames { session: sessions.cookie.clone(), csrf: sessions.csrf_cookie.clone() }
    }

    /// How browser sessions are kept.
    pub(super) fn session_rules(&self, master: &MasterKey) -> SessionRules {
        let sessions = &self.settings.sessions;
        let secret_keys = self.settings.account.django_secret_keys.0.clone();
        let honours = sessions.django && !secret_keys.is_empty();
        let lifetime = sessions.lifetime;
        SessionRules {
            lifetime,
            idle: (!sessions.idle.is_zero()).then_some(sessions.idle),
            django: honours.then_some(DjangoSessions { secret_keys, lifetime }),
            csrf: master.digest_key("forms of browser sessions"),
            acting: sessions.acting.then(|| ActingRules {
                staff: sessions.acting_staff.0.clone(),
                lifetime: sessions.acting_lifetime,
            }),
        }
    }

    /// Lets links in mails lead to the pages, where the site has no front end of its own.
    pub(super) fn lead_links_to_pages(&self, rules: &mut AccountRules) {
        if !(self.settings.pages.links && self.settings.pages.enabled) {
            return;
        }
        let mount = self.pages.mounts.account.trim_start_matches('/');
        let page = |rest: &str| format!("{mount}/{rest}");
        rules.activation_url = page("activate/{uid}/{token}/");
        rules.password_reset_url = page("reset/{uid}/{token}/");
        rules.allauth_password_reset_url = page("reset/key/{uid}/{token}/");
        rules.username_reset_url = page("username_reset/{uid}/{token}/");
        rules.email_verification_url = page("email/verify/{key}/");
        rules.email_change_url = page("email/confirm/{uid}/{token}/");
    }
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn front_ends_have_an_origin() {
        assert_eq!(origin("https://ui.example.org/a?b"), Some("https://ui.example.org".to_owned()));
        assert_eq!(origin("http://localhost:3000"), Some("http://localhost:3000".to_owned()));
        for none in
            ["", "ui.example.org", "javascript://x", "https://", "https://a b/", "https://a;b"]
        {
            assert_eq!(origin(none), None, "{none}");
        }
    }
}
