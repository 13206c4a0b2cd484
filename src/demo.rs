//! Everything at once with no set-up: what `tokend demo` shows.

pub mod standin;
