mod account;
mod acting;
mod keys;
mod links;
mod sessions;
