//! What the settings say about mail, understood.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::{Judge, Plan, StartError};
use crate::base::random::Random;
use crate::base::seal::MasterKey;
use crate::locale::Language;
use crate::mail::composer::Composer;
use crate::mail::letter::Sender;
use crate::mail::mailer::Mailer;
use crate::mail::message::Site;
use crate::mail::outbox::{Event, Observer, WorkerRules};
use crate::mail::smtp::{Security, Smtp, SmtpRules};
use crate::mail::transport::Transport;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::template::TemplateFault;

/// What the settings say about mail.
#[derive(Clone, Debug)]
pub(super) struct MailPlan {
    site: Site,
    from: Sender,
    language: Language,
    destination: Destination,
    security: Security,
}

#[derive(Clone, Debug)]
enum Destination {
    Log,
    Folder(PathBuf),
    Smtp { host: String, port: Option<u16> },
}

impl MailPlan {
    /// The name of the site.
    pub(super) fn site_name(&self) -> &str {
        &self.site.name
    }
}

impl Judge<'_> {
    pub(super) fn mail(&mut self, settings: &Settings) -> MailPlan {
        let mail = &settings.mail;
        let destination = destination(&mail.transport).unwrap_or_else(|| {
            let known = "`log`, `folder:PATH` and `smtp://HOST:PORT`";
            self.refuse("mail.transport", format!("`{}` is none of {known}", mail.transport));
            Destination::Log
        });
        let security = match mail.tls.as_str() {
            "opportunistic" => Security::Opportunistic,
            "tls" => Security::Tls,
            "none" => Security::None,
            other => {
                self.one_of("mail.tls", other, &["starttls", "opportunistic", "tls", "none"]);
                Security::StartTls
            }
        };
        let from = Sender::parse(&mail.from).unwrap_or_else(|error| {
            self.refuse("mail.from", format!("`{}` is no sender: {error}", mail.from));
            Sender::parse("nobody@localhost").expect("it is an address")
        });
        let language = Language::parse(&mail.language).unwrap_or_else(|| {
            self.one_of("mail.language", &mail.language, &Language::ALL.map(Language::as_str));
            Language::default()
        });
        if mail.user.0.is_some() != mail.password.0.is_some() {
            self.refuse("mail.user", "needs mail.password, and the other way round");
        }
        if !(1..=64).contains(&mail.senders) {
            self.refuse("mail.senders", "between 1 and 64");
        }
        for (name, duration) in [
            ("mail.timeout", mail.timeout),
            ("mail.final_timeout", mail.final_timeout),
            ("mail.give_up_after", mail.give_up_after),
        ] {
            if duration.is_zero() {
                self.refuse(name, "at least 1s");
            }
        }
        MailPlan { site: self.site(settings), from, language, destination, security }
    }

    fn site(&mut self, settings: &Settings) -> Site {
        let site = &settings.site;
        let host = |c: char| !c.is_whitespace() && !c.is_control() && !"/\\?#@<>\"'".contains(c);
        if site.domain.is_empty() || !site.domain.chars().all(host) {
            self.refuse("site.domain", "a host such as `example.org`, or with a port");
        }
        self.one_of("site.protocol", &site.protocol, &["https", "http"]);
        let name = site.name.0.clone().unwrap_or_else(|| site.domain.clone());
        if name.contains(char::is_control) {
            self.refuse("site.name", "one line");
        }
        Site { name, domain: site.domain.clone(), protocol: site.protocol.clone() }
    }
}

fn destination(text: &str) -> Option<Destination> {
    if text == "log" {
        return Some(Destination::Log);
    }
    if let Some(path) = text.strip_prefix("folder:") {
        return (!path.is_empty()).then(|| Destination::Folder(path.into()));
    }
    let server = text.strip_prefix("smtp://")?.trim_end_matches('/');
    let (host, port) = match server.rsplit_once(':') {
        // A colon within brackets is one of an IPv6 address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (server, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    (!host.is_empty() && host.chars().all(plain))
        .then(|| Destination::Smtp { host: host.to_owned(), port })
}

impl Plan {
    /// Writes mails as configured; beside it what is wrong with the operator's templates, which are left
    /// out.
    pub fn composer(&self) -> Result<(Composer, Vec<TemplateFault>), StartError> {
        let site = self.mail.site.clone();
        let Some(folder) = &self.settings.mail.templates.0 else {
            return Ok((Composer::new(site), Vec::new()));
        };
        Composer::with_overrides(site, Path::new(folder)).map_err(|error| {
            StartError::Configuration(vec![format!(
                "mail.templates: cannot read {folder}: {error}"
            )])
        })
    }

    /// Puts mails into the outbox.
    pub(super) fn mailer(
        &self,
        master: &MasterKey,
        random: &Arc<dyn Random>,
    ) -> Result<Mailer, StartError> {
        let (composer, faults) = self.composer()?;
        for fault in faults {
            tracing::warn!("mail.templates: {fault}; the template that is compiled in is used");
        }
        let MailPlan { from, language, .. } = &self.mail;
        Ok(Mailer::new(composer, from.clone(), *language, master.clone(), Arc::clone(random)))
    }

    /// Where mails go.
    pub fn transport(&self) -> Result<Transport, StartError> {
        let mail = &self.settings.mail;
        let (host, port) = match &self.mail.destination {
            Destination::Log => return Ok(Transport::Log),
            Destination::Folder(folder) => return Ok(Transport::Folder(folder.clone())),
            Destination::Smtp { host, port } => (host, port),
        };
        let security = self.mail.security;
        let usual = match security {
            Security::StartTls | Security::Opportunistic => 587,
            Security::Tls => 465,
            Security::None => 25,
        };
        let rules = SmtpRules {
            host: host.clone(),
            port: port.unwrap_or(usual),
            security,
            credentials: mail.user.0.clone().zip(mail.password.0.clone()),
            timeout: mail.timeout,
            final_timeout: mail.final_timeout,
        };
        let authorities = mail.authorities.0.as_deref().map(Path::new);
        let smtp = Smtp::new(rules, authorities)
            .map_err(|why| StartError::Configuration(vec![format!("mail.authorities: {why}")]))?;
        Ok(Transport::Smtp(Box::new(smtp)))
    }

    pub(super) fn worker_rules(&self) -> WorkerRules {
        let mail = &self.settings.mail;
        WorkerRules {
            senders: mail.senders,
            give_up_after: mail.give_up_after,
            keep_sent: mail.keep_sent,
            keep_failed: mail.keep_failed,
        }
    }

    pub(super) fn mail_warnings(&self) -> Vec<&'static str> {
        let MailPlan { site, destination, security, .. } = &self.mail;
        let local = |host: &str| {
            ["localhost", "127.", "[::1]", "::1"].iter().any(|local| host.starts_with(local))
        };
        let mut warnings = Vec::new();
        match destination {
            Destination::Log => warnings.push(
                "mail.transport: nobody receives mails, they go to the log, one-time links and all",
            ),
            Destination::Folder(_) => {
                warnings.push("mail.transport: nobody receives mails, they go to a folder");
            }
            Destination::Smtp { host, .. } => {
                if matches!(security, Security::None | Security::Opportunistic) && !local(host) {
                    warnings.push(
                        "mail.tls: who sits between here and the mail server can read one-time \
                         links, and the password if there is one",
                    );
                }
                if local(&site.domain) {
                    warnings.push("site.domain: links in mails lead to the reader's own machine");
                }
                if site.protocol == "http" && !local(&site.domain) {
                    warnings.push("site.protocol: one-time links go over the network in clear");
                }
            }
        }
        warnings
    }
}

/// Counts what the worker does.
pub(super) fn count(metrics: &Metrics) -> Observer {
    let metrics = metrics.clone();
    Arc::new(move |event| {
        let tried = |message: &str, outcome: &str| {
            metrics.mails.with_label_values(&[message, outcome]).inc();
        };
        match event {
            Event::Sent(message, waited) => {
                tried(message, "sent");
                metrics.mail_seconds.with_label_values(&[message]).observe(waited.as_secs_f64());
            }
            Event::Deferred(message) => tried(message, "deferred"),
            Event::Failed(message) => tried(message, "failed"),
            Event::Depth(depth, age) => {
                metrics.mails_waiting.set(depth.waiting);
                metrics.mails_failed.set(depth.failed);
                metrics.mail_age.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_with_and_without_a_port() {
        for (text, host, port) in [
            ("smtp://mail.example.org:2525", "mail.example.org", Some(2525)),
            ("smtp://mail.example.org", "mail.example.org", None),
            ("smtp://mail.example.org/", "mail.example.org", None),
            ("smtp://127.0.0.1:25", "127.0.0.1", Some(25)),
            ("smtp://[::1]:25", "::1", Some(25)),
            ("smtp://[::1]", "::1", None),
        ] {
            let read = destination(text);
            let Some(Destination::Smtp { host: read_host, port: read_port }) = &read else {
                panic!("{text}: {read:?}")
            };
            assert_eq!((read_host.as_str(), *read_port), (host, port), "{text}");
        }
        for text in
            ["", "smtp://", "smtp://:25", "smtp://host:mail", "smtp://a@b", "folder:", "LOG"]
        {
            assert!(destination(text).is_none(), "{text}");
        }
    }
}
