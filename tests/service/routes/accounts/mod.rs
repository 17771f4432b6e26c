mod account;
mod acting;
mod activity;
mod addresses;
mod keys;
mod links;
mod sessions;
