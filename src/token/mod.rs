//! Tokens: keys, claims, issuing, verifying. Whoever has read `verify`, `authenticated` and `issue` has
//! read the whole trust argument.
