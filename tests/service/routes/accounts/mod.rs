mod account;
mod acting;
mod activity;
mod keys;
mod links;
mod sessions;
