mod account;
mod acting;
mod activity;
mod addresses;
mod django_sessions;
mod keys;
mod links;
mod sessions;
