//! What a `User-Agent` says, in words: `Firefox, Linux`. It is what the program says, and no proof.

/// Programs by what gives them away; the first that is found counts, as most claim to be others too.
const PROGRAMS: &[(&str, &str)] = &[
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python", "Python"),
    ("okhttp/", "Android"),
];

/// Systems, in the same way.
const SYSTEMS: &[(&str, &str)] = &[
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// The program and its system; what it says of itself where neither is known, and `None` where it says
/// nothing.
#[must_use]
pub fn named(user_agent: &str) -> Option<String> {
    let of = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (of(PROGRAMS), of(SYSTEMS)) {
        (Some(program), Some(system)) => Some(format!("{program}, {system}")),
        (Some(name), None) | (None, Some(name)) => Some(name.to_owned()),
        (None, None) => {
            let said: String = user_agent.chars().take(60).collect();
            (!said.trim().is_empty()).then_some(said)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn the_usual_ones_are_known() {
        for (said, shown) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                "Firefox, Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 Edg/126.0",
                "Edge, Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile Safari/604.1",
                "Safari, iPhone",
            ),
            ("curl/8.8.0", "curl"),
            ("Sampo/1.0", "Sampo/1.0"),
        ] {
            assert_eq!(named(said).as_deref(), Some(shown));
        }
        assert_eq!(named(" "), None);
    }
}
