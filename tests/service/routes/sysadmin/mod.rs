mod account;
mod accounts;
