//! A letter: a rendered mail in its envelope, ready to be sent; in the outbox it lies sealed.

use std::fmt;

use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use crate::account::email::EmailAddress;
use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::base::seal::MasterKey;
use crate::base::secret::Secret;
use crate::mail::message::Rendered;

/// Who writes: an address, with a name or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender(Mailbox);

impl Sender {
    /// Reads `address` or `Name <address>`; fails with a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains(char::is_control) {
            return Err("it is not one line".to_owned());
        }
        text.parse().map(Self).map_err(|error: lettre::address::AddressError| error.to_string())
    }
}

/// A letter. `Debug` does not show it: it holds an address and often a one-time link.
pub struct Letter {
    /// Who hears when it cannot be delivered.
    pub sender: Address,
    /// Where it goes.
    pub recipient: Address,
    content: Secret<Vec<u8>>,
}

/// The address cannot stand in a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritable;

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address cannot stand in a mail")
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letter")
    }
}

impl Letter {
    /// Writes a letter: `multipart/alternative`, plain text and HTML.
    ///
    /// `id` makes its `Message-ID`, the same however often it is sent, so that receivers can tell a double.
    pub fn write(
        id: &str,
        from: &Sender,
        to: &EmailAddress,
        rendered: &Rendered,
        now: Timestamp,
    ) -> Result<Self, Unwritable> {
        let Sender(from) = from;
        let recipient = address(to.as_str()).ok_or(Unwritable)?;
        let parts = MultiPart::alternative()
            .boundary(format!("part-{id}"))
            .singlepart(SinglePart::plain(rendered.text.clone()))
            .singlepart(SinglePart::html(rendered.html.clone()));
        // Nobody's holiday notice should answer (RFC 3834 5).
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let message = lettre::Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, recipient.clone()))
            .subject(rendered.subject.clone())
            .date(now.to_system_time())
            .message_id(Some(format!("<{id}@{}>", from.email.domain())))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .multipart(parts)
            .map_err(|_| Unwritable)?;
        let content = Secret::new(message.formatted());
        Ok(Self { sender: from.email.clone(), recipient, content })
    }

    /// The message as it goes over the wire, before dots are doubled.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.content.expose()
    }

    /// Seals it for row `id` of the outbox.
    #[must_use]
    pub fn seal(&self, id: &str, master: &MasterKey, random: &dyn Random) -> Vec<u8> {
        self.seal_in(&format!("{}\n{}\n", self.sender, self.recipient), id, master, random)
    }

    /// As [`Letter::seal`], at the same cost, but without the envelope: it never opens as a letter again.
    #[must_use]
    pub fn seal_for_nobody(&self, id: &str, master: &MasterKey, random: &dyn Random) -> Vec<u8> {
        self.seal_in("\n\n", id, master, random)
    }

    fn seal_in(
        &self,
        envelope: &str,
        id: &str,
        master: &MasterKey,
        random: &dyn Random,
    ) -> Vec<u8> {
        let plain = Secret::new([envelope.as_bytes(), self.content()].concat());
        master.seal(random, &place(id), plain.expose())
    }

    /// Opens what [`Letter::seal`] sealed for the same row; `None` where it does not open.
    #[must_use]
    pub fn open(id: &str, master: &MasterKey, sealed: &[u8]) -> Option<Self> {
        let plain = master.open(&place(id), sealed).ok()?;
        let mut lines = plain.expose().splitn(3, |byte| *byte == b'\n');
        let mut next_address =
            || std::str::from_utf8(lines.next()?).ok().and_then(|line| line.parse().ok());
        let (sender, recipient) = (next_address()?, next_address()?);
        let content = Secret::new(lines.next()?.to_vec());
        Some(Self { sender, recipient, content })
    }
}

/// Where a sealed letter belongs.
fn place(id: &str) -> Vec<u8> {
    format!("outbox/{id}/sealed").into_bytes()
}

/// The address as it goes over the wire: its domain in ASCII (RFC 5891), so that most servers take it.
fn address(text: &str) -> Option<Address> {
    let (local, domain) = text.rsplit_once('@')?;
    // One line, whatever the address was parsed by; and no SMTPUTF8 (RFC 6531), which few servers have.
    if !local.is_ascii() || text.chars().any(char::is_control) {
        return None;
    }
    let domain =
        if domain.is_ascii() { domain.to_owned() } else { idna::domain_to_ascii(domain).ok()? };
    Address::new(local, domain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SeededRandom;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn rendered(subject: &str) -> Rendered {
        Rendered {
            subject: subject.to_owned(),
            text: "Hei Äijä\n.\nhttps://example.org/#/a/MQ/t\n".to_owned(),
            html: "<p>Hei</p>".to_owned(),
        }
    }

    fn letter(from: &str, to: &str, subject: &str) -> Result<Letter, Unwritable> {
        let from = Sender::parse(from).expect("the sender is one");
        let to = EmailAddress::parse(to).expect("the recipient is one");
        Letter::write(ID, &from, &to, &rendered(subject), Timestamp::from_seconds(1_795_000_000))
    }

    fn headers(letter: &Letter) -> String {
        let text = String::from_utf8(letter.content().to_vec()).expect("a letter is ASCII");
        text.split("\r\n\r\n").next().expect("headers come first").to_owned()
    }

    #[test]
    fn what_is_sealed_for_nobody_opens_for_nobody() {
        let (master, random) = (MasterKey::generate(&SeededRandom::new(1)), SeededRandom::new(2));
        let letter = letter("no-reply@example.org", "maija@example.com", "Hei").expect("ok");
        assert!(Letter::open(ID, &master, &letter.seal(ID, &master, &random)).is_some());
        assert!(Letter::open(ID, &master, &letter.seal_for_nobody(ID, &master, &random)).is_none());
    }

    #[test]
    fn headers_are_those_of_an_automatic_mail() {
        let letter =
            letter("Avain <no-reply@example.org>", "maija@example.com", "Hei").expect("ok");
        assert!(letter.content().is_ascii(), "needs no 8BITMIME");
        let headers = headers(&letter);
        for line in [
            "From: Avain <no-reply@example.org>",
            "To: maija@example.com",
            "Subject: Hei",
            "Date: Wed, 18 Nov 2026 11:06:40 +0000",
            "Message-ID: <0123456789abcdef0123456789abcdef@example.org>",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
        ] {
            assert!(headers.split("\r\n").any(|found| found == line), "{line}: {headers}");
        }
    }

    #[test]
    fn nothing_becomes_a_header_of_its_own() {
        let plain = letter("a@example.org", "maija@example.com", "Hei").expect("ok");
        let names = |letter: &Letter| {
            let headers = headers(letter);
            let names = headers.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
            names.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
        };
        let expected: Vec<String> = names(&plain);
        for subject in
            ["Hei\r\nBcc: evil@example.net", "Hei\nX: y", "Hei\r\n\r\nbody", "å\r\nBcc: e@x.y"]
        {
            let letter = letter("a@example.org", "maija@example.com", subject).expect("ok");
            assert_eq!(names(&letter), expected, "{subject:?}");
        }
    }

    #[test]
    fn addresses_go_out_in_ascii() {
        let letter = letter("a@example.org", "maija@åland.example", "Hei").expect("ok");
        assert_eq!(letter.recipient.to_string(), "maija@xn--land-poa.example");
        assert!(headers(&letter).contains("To: maija@xn--land-poa.example"));
    }

    #[test]
    fn what_no_mail_can_hold_is_told() {
        // Django accepts it as an address; RFC 5321 4.5.3.1.1 allows 64 octets before the @.
        let long = format!("{}@example.org", "a".repeat(70));
        assert_eq!(letter("a@example.org", &long, "Hei").map(drop), Err(Unwritable));
        assert_eq!(address("mäija@example.org"), None);
        assert_eq!(address("a\r\nRCPT TO:<b@example.org>@example.org"), None);
    }

    #[test]
    fn sealing_keeps_it_and_hides_it() {
        let (master, random) = (MasterKey::generate(&SeededRandom::new(1)), SeededRandom::new(2));
        let letter = letter("a@example.org", "maija@example.com", "Hei").expect("ok");
        let sealed = letter.seal(ID, &master, &random);
        assert!(!sealed.windows(5).any(|window| window == b"maija"));
        let opened = Letter::open(ID, &master, &sealed).expect("opens");
        assert_eq!(opened.content(), letter.content());
        assert_eq!((opened.sender, opened.recipient), (letter.sender, letter.recipient));
        assert!(Letter::open("other", &master, &sealed).is_none());
    }
}
