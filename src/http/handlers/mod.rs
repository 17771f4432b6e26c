//! Handlers: read the form, run the flow, write the answer.

pub mod gate;
pub mod token;
