//! Keys are made by the real tools when the tests run; a tool that is not installed is passed over.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::base::random::SystemRandom;
use crate::token::algorithm::Algorithm;

/// A directory in which lines of shell make keys.
struct Workshop(TempDir);

impl Workshop {
    /// `None`, with a word about it, where one of the tools is missing.
    fn with(tools: &[&str]) -> Option<Self> {
        for tool in tools {
            let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
            if !found.is_ok_and(|output| output.status.success()) {
                eprintln!("passed over: {tool} is not installed");
                return None;
            }
        }
        Some(Self(tempfile::tempdir().expect("a temporary directory")))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, line: &str) {
        let output = Command::new("sh")
            .args(["-c", line])
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .expect("sh runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {errors}");
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path().join(file)).expect("the tool wrote the file")
    }

    /// Runs the line, which writes `key`, and imports that.
    fn import(&self, line: &str) -> Result<SigningKey, KeyError> {
        let _ = fs::remove_file(self.path().join("key"));
        self.run(line);
        SigningKey::import(&self.read("key"), "key")
    }
}

#[test]
fn keys_of_openssl_are_imported() {
    let Some(workshop) = Workshop::with(&["openssl"]) else { return };
    for (line, algorithm) in [
        ("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key", Algorithm::Rs256),
        ("openssl genrsa -traditional -out key 3072", Algorithm::Rs256),
        ("openssl genrsa -out key 2048", Algorithm::Rs256),
        ("openssl ecparam -genkey -name prime256v1 -out key", Algorithm::Es256),
        ("openssl ecparam -genkey -noout -name prime256v1 -out key", Algorithm::Es256),
        (
            "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key",
            Algorithm::Es256,
        ),
        ("openssl genpkey -algorithm ED25519 -out key", Algorithm::EdDsa),
        ("openssl genpkey -algorithm ED25519 -text -out key", Algorithm::EdDsa),
    ] {
        let key = workshop.import(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(key.algorithm(), algorithm, "{line}");

        // What openssl says the public half is, we say too.
        workshop.run("openssl pkey -in key -pubout -out public");
        assert_eq!(key.public_pem(), Some(workshop.read("public")), "{line}");
        let public = VerificationKey::from_pem(&workshop.read("public")).expect("a public key");
        assert_eq!(public.id(), key.id());
        let of_private = VerificationKey::from_pem(&workshop.read("key")).expect("its half");
        assert_eq!(of_private.id(), key.id());
        let refused = SigningKey::import(&workshop.read("public"), "public").err();
        assert_eq!(refused, Some(KeyError::PublicOnly), "{line}");
    }
}

#[test]
fn openssl_and_we_agree_about_signatures() {
    let Some(workshop) = Workshop::with(&["openssl"]) else { return };
    let key = workshop.import("openssl genrsa -out key 2048").expect("a good key");
    workshop.run("printf message > message && openssl dgst -sha256 -sign key -out it message");
    let signature = fs::read(workshop.path().join("it")).expect("a signature");
    let public = key.verification_key();
    assert!(public.verify_signature(b"message", &signature));
    assert!(!public.verify_signature(b"messagE", &signature));

    let key = workshop.import("openssl genpkey -algorithm ED25519 -out key").expect("a good key");
    workshop.run("openssl pkeyutl -sign -inkey key -rawin -in message -out it");
    let signature = fs::read(workshop.path().join("it")).expect("a signature");
    assert!(key.verification_key().verify_signature(b"message", &signature));
}

#[test]
fn openssl_takes_what_we_store() {
    let Some(workshop) = Workshop::with(&["openssl"]) else { return };
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm, &SystemRandom::new());
        let label = if algorithm == Algorithm::Rs256 { "RSA PRIVATE KEY" } else { "PRIVATE KEY" };
        let text = pem::write(label, key.to_stored().expose());
        fs::write(workshop.path().join("key"), text).expect("the directory is writable");
        if algorithm != Algorithm::EdDsa {
            workshop.run("openssl pkey -in key -check -noout");
        }
        workshop.run("openssl pkey -in key -pubout -out public");
        assert_eq!(key.public_pem(), Some(workshop.read("public")));
    }
}

#[test]
fn weak_and_unsupported_keys_of_openssl_are_refused() {
    const CURVE: KeyError = KeyError::Unsupported("an elliptic curve other than P-256");
    const TYPE: KeyError = KeyError::Unsupported("this type of key");
    let Some(workshop) = Workshop::with(&["openssl"]) else { return };
    for (line, error) in [
        ("openssl genrsa -out key 1024", KeyError::RsaSize(1024)),
        ("openssl genrsa -3 -out key 2048", KeyError::RsaExponent),
        ("openssl ecparam -genkey -name secp384r1 -out key", CURVE),
        ("openssl ecparam -genkey -name secp256k1 -out key", CURVE),
        ("openssl ecparam -genkey -name prime256v1 -param_enc explicit -out key", CURVE),
        ("openssl genpkey -algorithm X25519 -out key", TYPE),
        ("openssl genpkey -algorithm ED448 -out key", TYPE),
        (
            "openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out key",
            KeyError::Unsupported("an RSA key for PSS only"),
        ),
    ] {
        assert_eq!(workshop.import(line).err(), Some(error), "{line}");
    }
}

/// The line between the backticks of a refusal.
fn advised(error: &KeyError) -> String {
    let text = error.to_string();
    text.split('`').nth(1).unwrap_or_else(|| panic!("no line in: {text}")).to_owned()
}

#[test]
fn the_lines_in_refusals_of_openssl_keys_work() {
    let Some(workshop) = Workshop::with(&["openssl"]) else { return };
    for line in [
        "openssl genpkey -algorithm ED25519 -aes256 -pass pass:word -out key",
        "openssl genrsa -traditional -aes128 -passout pass:word -out key 2048",
    ] {
        let error = workshop.import(line).expect_err("it is protected");
        assert!(matches!(error, KeyError::Encrypted(_)), "{line}: {error}");
        workshop.run(&format!("{} -passin pass:word", advised(&error)));
        assert!(SigningKey::import(&workshop.read("key.plain"), "key").is_ok(), "{line}");
    }

    let line = "openssl ecparam -genkey -name prime256v1 | openssl ec -no_public -out key";
    let error = workshop.import(line).expect_err("it has no public half");
    assert_eq!(error, KeyError::WithoutPublic);
    workshop.run(&advised(&error).replace("NEW_FILE", "new").replace("FILE", "key"));
    assert!(SigningKey::import(&workshop.read("new"), "new").is_ok());

    workshop.run("openssl req -x509 -newkey rsa:2048 -noenc -keyout key -subj /CN=x -out cert");
    let certificate = workshop.read("cert");
    assert_eq!(SigningKey::import(&certificate, "cert").err(), Some(KeyError::PublicOnly));
    let error = VerificationKey::from_pem(&certificate).expect_err("not read");
    workshop.run(&format!("{} > public", advised(&error).replace("FILE", "cert")));
    assert!(VerificationKey::from_pem(&workshop.read("public")).is_ok());

    // A key with its certificate in one file is fine, two keys are not.
    let key = workshop.read("key");
    assert!(SigningKey::import(&format!("{certificate}{key}"), "both").is_ok());
    let twice = SigningKey::import(&format!("{key}{key}"), "twice").err();
    assert_eq!(twice, Some(KeyError::SeveralKeys(2)));
}

#[test]
fn keys_of_ssh_keygen_are_imported_or_can_be_converted() {
    let Some(workshop) = Workshop::with(&["ssh-keygen"]) else { return };
    let make = "rm -f key.pub; ssh-keygen -q -C comment -N '' -f key";

    for _ in 0..8 {
        // Comments of other lengths move the padding.
        let key = workshop.import(&format!("{make} -t ed25519")).expect("OpenSSH's own format");
        assert_eq!(key.algorithm(), Algorithm::EdDsa);
        workshop.run("ssh-keygen -q -c -C \"$(wc -c < key)x$$\" -f key");
        let again = SigningKey::import(&workshop.read("key"), "key").expect("the same key");
        assert_eq!(again.id(), key.id());
    }
    for (kind, algorithm) in [
        ("-t rsa -b 2048 -m PEM", Algorithm::Rs256),
        ("-t rsa -b 2048 -m PKCS8", Algorithm::Rs256),
        ("-t ecdsa -b 256 -m PEM", Algorithm::Es256),
        ("-t ecdsa -b 256 -m PKCS8", Algorithm::Es256),
    ] {
        let key = workshop.import(&format!("{make} {kind}")).expect("a good key");
        assert_eq!(key.algorithm(), algorithm, "{kind}");
    }
    for (kind, algorithm) in
        [("-t rsa -b 2048", Algorithm::Rs256), ("-t ecdsa -b 256", Algorithm::Es256)]
    {
        let error = workshop.import(&format!("{make} {kind}")).expect_err("not read");
        assert!(matches!(error, KeyError::Convert { .. }), "{kind}: {error}");
        workshop.run(&advised(&error));
        let key = SigningKey::import(&workshop.read("key"), "key").expect("converted");
        assert_eq!(key.algorithm(), algorithm, "{kind}");
    }
    for kind in ["ed25519", "rsa"] {
        let line = format!("rm -f key.pub; ssh-keygen -q -t {kind} -N word1 -f key");
        let error = workshop.import(&line).expect_err("it is protected");
        assert!(matches!(error, KeyError::Encrypted(_)), "{kind}: {error}");
        workshop.run(&format!("{} -P word1", advised(&error)));
        assert!(SigningKey::import(&workshop.read("key"), "key").is_ok(), "{kind}");
    }
    let error = workshop.import(&format!("{make} -t ecdsa -b 384"));
    assert!(matches!(error, Err(KeyError::Unsupported(_))));

    // The public halves.
    workshop.import(&format!("{make} -t rsa -b 2048 -m PEM")).expect("a good key");
    let public = workshop.read("key.pub");
    assert_eq!(SigningKey::import(&public, "key.pub").err(), Some(KeyError::PublicOnly));
    let error = super::public(&public, "key.pub").expect_err("not read");
    workshop.run(&format!("{} > public", advised(&error)));
    assert!(VerificationKey::from_pem(&workshop.read("public")).is_ok());
    workshop.run("ssh-keygen -e -m PEM -f key.pub > public");
    assert!(workshop.read("public").contains("RSA PUBLIC KEY"));
    assert!(VerificationKey::from_pem(&workshop.read("public")).is_ok());
}

#[test]
fn plain_secrets_are_imported() {
    let secret = "django-insecure-#e&)m8!k6x=0^w$(2j:ä 7r+u1_c*h@zq5";
    for end in ["", "\n", "\r\n"] {
        let key = SigningKey::import(&format!("hs256:{secret}{end}"), "").expect("long enough");
        assert_eq!(key.algorithm(), Algorithm::Hs256);
        assert_eq!(key.secret_text().expect("text").expose(), secret);
        let parsed = VerificationKey::parse(&format!("hs256:{secret}{end}")).expect("the same");
        assert_eq!(parsed.id(), key.id());
    }
    let short = SigningKey::import("hs256:0123456789012345678901234567890\n", "").err();
    assert_eq!(short, Some(KeyError::ShortSecret(31)));
}

#[test]
fn what_is_no_key_is_refused_in_sentences_without_it() {
    let secret = "7uC4yf9Yy6";
    for (text, error) in [
        (String::new(), KeyError::Unrecognised),
        (secret.to_owned(), KeyError::Unrecognised),
        (format!("hs256:{secret}"), KeyError::ShortSecret(10)),
        (format!("HS256:{secret}"), KeyError::Unrecognised),
        (format!("ssh-rsa {secret}"), KeyError::PublicOnly),
        (format!("{{\"kty\":\"oct\",\"k\":\"{secret}\"}}"), KeyError::Unrecognised),
        (format!("-----BEGIN PRIVATE KEY-----\n{secret}"), KeyError::Malformed("PEM text")),
        (
            format!("-----BEGIN PRIVATE KEY-----\n{secret}==\n-----END PRIVATE KEY-----"),
            KeyError::Malformed("PEM text"),
        ),
        (
            "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----".to_owned(),
            KeyError::Unsupported("this type of key"),
        ),
    ] {
        let refused = SigningKey::import(&text, "key").expect_err("no key");
        assert_eq!(refused, error, "{text}");
        let (shown, debugged) = (refused.to_string(), format!("{refused:?}"));
        assert!(!shown.contains(secret) && !debugged.contains(secret), "{shown}");
        assert!(shown.contains(": "), "says what to do: {shown}");
    }
    let jwk = VerificationKey::parse("{\"kty\":").err();
    assert_eq!(jwk, Some(KeyError::Malformed("JWK")));
}

#[test]
fn file_names_become_one_word_of_the_line() {
    for (name, word) in [
        ("keys/id_rsa.pem", "keys/id_rsa.pem"),
        ("my key", "'my key'"),
        ("it's", r"'it'\''s'"),
        ("$(reboot)", "'$(reboot)'"),
        ("-f", "'./-f'"),
        ("", "''"),
    ] {
        assert_eq!(shell_word(name), word);
    }
}

proptest! {
    #[test]
    fn no_text_panics(
        label in "(RSA |EC |OPENSSH |ENCRYPTED |)(PRIVATE|PUBLIC) KEY",
        bytes in prop::collection::vec(any::<u8>(), 0..150),
        text in ".*",
    ) {
        let file = pem::write(&label, &bytes);
        prop_assert!(SigningKey::import(&file, "key").is_err());
        prop_assert!(VerificationKey::parse(&file).is_err());
        let _ = SigningKey::import(&text, "key");
        let _ = VerificationKey::parse(&text);
    }
}
