mod account;
mod acting;
mod links;
mod sessions;
