//! The texts that clients see, by generation of the peers. Letter for letter: front ends compare them.

/// What Django REST framework and djangorestframework-simplejwt say. `{}` stands for what differs.
#[derive(Debug)]
pub struct Words {
    /// Whether white space around values is cut off.
    pub trims: bool,
    /// A field is absent.
    pub required: &'static str,
    /// A field is empty.
    pub blank: &'static str,
    /// A field is `null`.
    pub null: &'static str,
    /// A field is a list, an object or a boolean.
    pub not_text: &'static str,
    /// A field holds U+0000.
    pub null_characters: &'static str,
    /// A field holds a lone surrogate; `{}` is its number.
    pub surrogates: &'static str,
    /// A field is too long; `{}` is the limit.
    pub too_long: &'static str,
    /// The body is `null`.
    pub no_data: &'static str,
    /// The body is no object; `{}` is Python's name for what it is.
    pub not_an_object: &'static str,
    /// 405; `{}` is the method.
    pub method: &'static str,
    /// 415; `{}` is the media type.
    pub media_type: &'static str,
    /// 406.
    pub not_acceptable: &'static str,
    /// 404.
    pub not_found: &'static str,
    /// 403.
    pub forbidden: &'static str,
    /// 401 without credentials.
    pub no_credentials: &'static str,
    /// Unknown API key.
    pub token_unknown: &'static str,
    /// `Token` alone.
    pub token_empty: &'static str,
    /// `Token` and several words.
    pub token_spaces: &'static str,
    /// `Token` and no UTF-8.
    pub token_characters: &'static str,
    /// The owner of an API key is switched off.
    pub owner_inactive: &'static str,
    /// 429.
    pub throttled: &'static str,
    /// 403: a session's cookie, and nothing that shows that a page of ours was looked at.
    pub csrf_missing: &'static str,
    /// 403: the same with something else.
    pub csrf_incorrect: &'static str,
    /// A JWT that does not verify.
    pub jwt_invalid: &'static str,
    /// A JWT that is too old.
    pub jwt_expired: &'static str,
}

/// Django REST framework 3.18, djangorestframework-simplejwt 5.5, English.
pub static CURRENT: Words = Words {
    trims: true,
    required: "This field is required.",
    blank: "This field may not be blank.",
    null: "This field may not be null.",
    not_text: "Not a valid string.",
    null_characters: "Null characters are not allowed.",
    surrogates: "Surrogate characters are not allowed: U+{}.",
    too_long: "Ensure this field has no more than {} characters.",
    no_data: "No data provided",
    not_an_object: "Invalid data. Expected a dictionary, but got {}.",
    method: "Method \"{}\" not allowed.",
    media_type: "Unsupported media type \"{}\" in request.",
    not_acceptable: "Could not satisfy the request Accept header.",
    not_found: "Not found.",
    forbidden: "You do not have permission to perform this action.",
    no_credentials: "Authentication credentials were not provided.",
    token_unknown: "Invalid token.",
    token_empty: "Invalid token header. No credentials provided.",
    token_spaces: "Invalid token header. Token string should not contain spaces.",
    token_characters: "Invalid token header. Token string should not contain invalid characters.",
    owner_inactive: "User inactive or deleted.",
    throttled: "Request was throttled.",
    csrf_missing: "CSRF Failed: CSRF token missing.",
    csrf_incorrect: "CSRF Failed: CSRF token from the 'X-Csrftoken' HTTP header incorrect.",
    jwt_invalid: "Token is invalid",
    jwt_expired: "Token is expired",
};

/// The backend's own generation (CONTRACT.md 4.1): Django REST framework 3.10 in Finnish,
/// djangorestframework-simplejwt 4.3 in English.
pub static PINNED: Words = Words {
    trims: true,
    required: "Tämä kenttä vaaditaan.",
    blank: "Tämä kenttä ei voi olla tyhjä.",
    null: "Tämän kentän arvo ei voi olla \"null\".",
    not_text: "Not a valid string.",
    null_characters: "Tyhjiä merkkejä (null) ei sallita.",
    surrogates: "Surrogate characters are not allowed: U+{}.",
    too_long: "Arvo saa olla enintään {} merkkiä pitkä.",
    no_data: "No data provided",
    not_an_object: "Odotettiin sanakirjaa, saatiin tyyppi {}.",
    method: "Metodi \"{}\" ei ole sallittu.",
    media_type: "Pyynnön mediatyyppiä \"{}\" ei tueta.",
    not_acceptable: "Ei voitu vastata pyynnön Accept-otsakkeen mukaisesti.",
    not_found: "Ei löydy.",
    forbidden: "Sinulla ei ole lupaa suorittaa tätä toimintoa.",
    no_credentials: "Autentikaatiotunnuksia ei annettu.",
    token_unknown: "Epäkelpo Token.",
    token_empty: "Epäkelpo Token-otsake. Ei annettuja tunnuksia.",
    token_spaces: "Epäkelpo Token-otsake. Tunnusmerkkijono ei saa sisältää välilyöntejä.",
    token_characters: "Epäkelpo Token-otsake. Tunnusmerkkijono ei saa sisältää epäkelpoja merkkejä.",
    owner_inactive: "Käyttäjä ei-aktiivinen tai poistettu.",
    throttled: "Pyyntö hidastettu.",
    csrf_missing: "CSRF Failed: CSRF token missing or incorrect.",
    csrf_incorrect: "CSRF Failed: CSRF token missing or incorrect.",
    jwt_invalid: "Token is invalid or expired",
    jwt_expired: "Token is invalid or expired",
};

/// Django REST framework 2.4, under djoser 0.1.
pub static OLDEST: Words = Words {
    trims: false,
    blank: "This field is required.",
    null: "This field is required.",
    too_long: "Ensure this value has at most {} characters (it has {}).",
    no_data: "No input provided",
    not_an_object: "Invalid data",
    method: "Method '{}' not allowed.",
    media_type: "Unsupported media type '{}' in request.",
    token_unknown: "Invalid token",
    owner_inactive: "User inactive or deleted",
    not_found: "Not found",
    forbidden: "You do not have permission to perform this action",
    not_acceptable: "Could not satisfy the request's Accept header",
    ..CURRENT
};

impl Words {
    /// `template` with its `{}` replaced by `value`.
    #[must_use]
    pub fn with(template: &str, value: &str) -> String {
        template.replacen("{}", value, 1)
    }
}
