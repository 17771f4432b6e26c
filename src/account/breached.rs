//! Passwords that were seen in breaches, looked up in files that an operator has downloaded.
//!
//! Two shapes, as the public range service ("Pwned Passwords") publishes them: a folder of files named by
//! the first five digits of a SHA-1 (`21BD1` or `21BD1.txt`) with the other 35 and a count on each line
//! (`SUFFIX:COUNT`), or one file of `SHA1:COUNT` lines. Either is sorted by the digits, and is searched on
//! disk: a look-up in the file of all 900 million reads about 35 places of it. Nothing leaves the machine.

use std::cmp::Ordering;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sha1::{Digest as _, Sha1};

use crate::base::encode::hex;
use crate::base::secret::Secret;

/// Digits of a SHA-1.
const DIGITS: usize = 40;
/// Digits that name a file of the folder.
const PREFIX: usize = 5;
/// No line is longer: 40 digits, a colon, a count, CR and LF.
const LONGEST_LINE: usize = 80;
/// Lines that are looked at when a list is opened.
const SAMPLE: u128 = 64;

/// Where breached passwords are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreachedList {
    /// A folder of files by prefix.
    Folder(PathBuf),
    /// One sorted file.
    File(PathBuf),
}

/// The list could not be read; the sentence says which file and why.
#[derive(Debug)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl BreachedList {
    /// The list at `path`; refuses what is not there or does not look like one.
    pub fn open(path: &Path) -> Result<Self, Unreadable> {
        let is_folder = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.is_dir();
        let list = if is_folder { Self::Folder(path.into()) } else { Self::File(path.into()) };
        let (sample, width) = match &list {
            Self::File(path) => (path.clone(), DIGITS),
            Self::Folder(folder) => (file_of(folder, "00000"), DIGITS - PREFIX),
        };
        check_order(&sample, width).map_err(|error| unreadable(&sample, &error))?;
        Ok(list)
    }

    /// Whether `password` is on the list. Reads files, on a thread that may wait for them.
    pub async fn contains(&self, password: &Secret<String>) -> Result<bool, Unreadable> {
        let digest = hex(&Sha1::digest(password.expose().as_bytes())).to_ascii_uppercase();
        let list = self.clone();
        let found = tokio::task::spawn_blocking(move || list.find(digest.as_bytes()));
        found.await.map_err(|_| Unreadable("the look-up was cut off".to_owned()))?
    }

    fn find(&self, digest: &[u8]) -> Result<bool, Unreadable> {
        let (path, key) = match self {
            Self::File(path) => (path.clone(), digest),
            Self::Folder(folder) => {
                let (prefix, suffix) = digest.split_at(PREFIX);
                (file_of(folder, &String::from_utf8_lossy(prefix)), suffix)
            }
        };
        search(&path, key).map_err(|error| unreadable(&path, &error))
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Unreadable {
    Unreadable(format!("{}: {error}", path.display()))
}

/// The file of a prefix, under any of the names that downloaders give it.
fn file_of(folder: &Path, prefix: &str) -> PathBuf {
    let lower = prefix.to_ascii_lowercase();
    let names = [format!("{prefix}.txt"), format!("{lower}.txt"), lower, prefix.to_owned()];
    let [.., plain] = names.each_ref().map(|name| folder.join(name));
    names.iter().map(|name| folder.join(name)).find(|path| path.exists()).unwrap_or(plain)
}

/// Whether a line of the sorted file begins with `key` and has a count above 0 (the service pads its
/// answers with lines that count nothing).
fn search(path: &Path, key: &[u8]) -> io::Result<bool> {
    let file = File::open(path)?;
    // The line, if it is there, begins at or behind `low` and before `high`.
    let (mut low, mut high) = (0, file.metadata()?.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = line_start(&file, middle)?;
        if start >= high {
            high = middle;
            continue;
        }
        let line = Line::read(&file, start, key.len())?;
        match line.key().cmp(key) {
            Ordering::Less => low = start + line.length,
            Ordering::Greater => high = middle,
            Ordering::Equal => return Ok(line.count > 0),
        }
    }
    Ok(false)
}

/// Refuses a file whose lines are of another form or in another order (the service publishes one that is
/// sorted by count, too), by a sample of them.
fn check_order(path: &Path, width: usize) -> io::Result<()> {
    let file = File::open(path)?;
    let end = file.metadata()?.len();
    let mut before = [0; DIGITS];
    for part in 0..SAMPLE {
        let start =
            line_start(&file, u64::try_from(u128::from(end) * part / SAMPLE).unwrap_or(end))?;
        if start >= end {
            break;
        }
        let line = Line::read(&file, start, width)?;
        if line.digits < before {
            return Err(io::Error::new(ErrorKind::InvalidData, "it is not sorted by the digits"));
        }
        before = line.digits;
    }
    Ok(())
}

/// Where the first line begins that begins at `at` or behind it.
fn line_start(file: &File, at: u64) -> io::Result<u64> {
    let Some(before) = at.checked_sub(1) else { return Ok(0) };
    let mut buffer = [0; LONGEST_LINE];
    let read = read_at(file, &mut buffer, before)?;
    match read.iter().position(|byte| *byte == b'\n') {
        Some(end) => Ok(before + end as u64 + 1),
        None if read.len() < LONGEST_LINE => Ok(before + read.len() as u64),
        None => Err(malformed()),
    }
}

/// One line: `DIGITS:COUNT`.
struct Line {
    digits: [u8; DIGITS],
    width: usize,
    count: u64,
    length: u64,
}

impl Line {
    fn read(file: &File, start: u64, width: usize) -> io::Result<Self> {
        let mut buffer = [0; LONGEST_LINE];
        let read = read_at(file, &mut buffer, start)?;
        let end = read.iter().position(|byte| *byte == b'\n');
        let line = read.get(..end.unwrap_or(read.len())).unwrap_or_default();
        let (key, count) = line.split_at_checked(width).ok_or_else(malformed)?;
        let count = count.strip_prefix(b":").and_then(|count| std::str::from_utf8(count).ok());
        let count = count.and_then(|count| count.trim_end_matches('\r').parse().ok());
        let mut digits = [0; DIGITS];
        let place = digits.get_mut(..width).ok_or_else(malformed)?;
        place.copy_from_slice(key);
        place.make_ascii_uppercase();
        if !place.iter().all(u8::is_ascii_hexdigit) {
            return Err(malformed());
        }
        let length = end.map_or(read.len(), |end| end + 1) as u64;
        Ok(Self { digits, width, count: count.ok_or_else(malformed)?, length })
    }

    fn key(&self) -> &[u8] {
        self.digits.get(..self.width).unwrap_or_default()
    }
}

fn read_at<'b>(file: &File, buffer: &'b mut [u8], at: u64) -> io::Result<&'b [u8]> {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = buffer.get_mut(filled..).unwrap_or_default();
        match file.read_at(rest, at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(buffer.get(..filled).unwrap_or_default())
}

fn malformed() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "a line is not of the form DIGITS:COUNT")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn digits(password: &str) -> String {
        hex(&Sha1::digest(password.as_bytes())).to_ascii_uppercase()
    }

    /// Both shapes of a list of these passwords: the file with LF, the folder with CR and LF.
    fn lists(passwords: &[(&str, u64)]) -> (TempDir, [BreachedList; 2]) {
        let home = TempDir::new().expect("a folder can be made");
        let lines: BTreeMap<String, u64> =
            passwords.iter().map(|(password, count)| (digits(password), *count)).collect();
        let text: Vec<String> =
            lines.iter().map(|(key, count)| format!("{key}:{count}\n")).collect();
        let file = home.path().join("all.txt");
        std::fs::write(&file, text.concat()).expect("can be written");
        let folder = home.path().join("ranges");
        std::fs::create_dir(&folder).expect("can be made");
        for prefix in ["00000", "FFFFF"] {
            std::fs::write(folder.join(prefix), "").expect("can be written");
        }
        for (key, count) in &lines {
            let (prefix, suffix) = key.split_at(PREFIX);
            let path = folder.join(format!("{prefix}.txt"));
            let before = std::fs::read_to_string(&path).unwrap_or_default();
            std::fs::write(&path, format!("{before}{suffix}:{count}\r\n")).expect("can be written");
        }
        let lists = [file, folder].map(|path| BreachedList::open(&path).expect("is a list"));
        (home, lists)
    }

    async fn found(list: &BreachedList, password: &str) -> bool {
        list.contains(&password.into()).await.expect("is readable")
    }

    #[tokio::test]
    async fn both_shapes_tell_the_same() {
        let names: Vec<String> = (0..300).map(|n| format!("password {n}")).collect();
        let entries: Vec<(&str, u64)> =
            names.iter().zip(1..).map(|(name, n)| (name.as_str(), n * n * n)).collect();
        let (_home, [file, folder]) = lists(&entries);
        for (name, _) in &entries {
            assert!(found(&file, name).await, "{name}");
            assert!(found(&folder, name).await, "{name}");
        }
        for n in 300..600 {
            assert!(!found(&file, &format!("password {n}")).await, "{n}");
        }
    }

    #[tokio::test]
    async fn padding_and_prefixes_count_nothing() {
        let (_home, [file, folder]) = lists(&[("padded", 0), ("breached", 1)]);
        for list in [&file, &folder] {
            assert!(!found(list, "padded").await);
            assert!(found(list, "breached").await);
        }
        // A range that was not downloaded is not "not breached".
        assert!(folder.contains(&"of another range".into()).await.is_err());
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let home = TempDir::new().expect("a folder can be made");
        let path = home.path().join("list");
        assert!(BreachedList::open(&path).is_err(), "nothing is there");
        assert!(BreachedList::open(home.path()).is_err(), "the folder is empty");
        for text in
            ["password\n", &"A".repeat(500), "21BD1:4\n", &format!("{}:x\n", "A".repeat(40))]
        {
            std::fs::write(&path, text).expect("can be written");
            assert!(BreachedList::open(&path).is_err(), "{text}");
        }
        let by_count: Vec<String> =
            (0..50).map(|n| format!("{}:{}\n", digits(&n.to_string()), 99 - n)).collect();
        std::fs::write(&path, by_count.concat()).expect("can be written");
        assert!(BreachedList::open(&path).is_err(), "sorted by count");
        std::fs::write(&path, "").expect("can be written");
        assert!(BreachedList::open(&path).is_ok(), "an empty list is one");
    }

    proptest! {
        #[test]
        fn every_line_is_found_and_nothing_else(
            keys in prop::collection::btree_map("[0-9A-F]{40}", 1_u64.., 0..40),
            others in prop::collection::vec("[0-9A-F]{40}", 0..20),
            last_line_ends in any::<bool>(),
        ) {
            let file = tempfile::NamedTempFile::new().expect("a file can be made");
            let lines: Vec<String> = keys.iter().map(|(key, count)| format!("{key}:{count}")).collect();
            let end = if last_line_ends { "\n" } else { "" };
            std::fs::write(file.path(), lines.join("\n") + end).expect("can be written");
            if keys.is_empty() && last_line_ends {
                return Ok(());
            }
            for key in keys.keys().chain(&others) {
                let found = search(file.path(), key.as_bytes()).expect("is a list");
                prop_assert_eq!(found, keys.contains_key(key), "{}", key);
            }
        }
    }
}
