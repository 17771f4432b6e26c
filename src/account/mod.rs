//! Accounts: names, passwords, hashes, principals. Knows no store and no wire format.
