//! Properties that hold for all inputs: our verifier against `jsonwebtoken`, and parsers that meet garbage,
//! the gate's policy against rules applied by hand.

#[path = "properties/attacks.rs"]
mod attacks;
#[path = "properties/oracle.rs"]
mod oracle;
#[path = "properties/parsers.rs"]
mod parsers;
#[path = "properties/policy.rs"]
mod policy;
#[path = "properties/tokens.rs"]
mod tokens;
