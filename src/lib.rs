//! tokend keeps API access tokens fresh and hands them to other programs: as files and over a Unix
//! socket. This page is the map of the house.
//!
//! # The flow is one circle in one direction
//!
//! ```text
//!  tokend.toml ─parse─▶ Config ─▶ slots ───────┐
//!                                              ▼
//!  clock ───────────────────────▶ plan(slot, entry, busy, now) ─▶ { due: [Job], wake }
//!                                              ▲                        │
//!  state.db ─load─▶ entries ───────────────────┤                        ▼ carry out: once, no retry, no log
//!                      ▲                       │                 provider │ sink │ hook
//!                      └──save── record(slot, entry, result, now) ◀── Outcome ─┘
//! ```
//!
//! plan → act → record → save → plan. Two pure functions, [`plan::plan`] and [`record::record`],
//! hold every decision; one loop, [`daemon::run`], starts every effect; each edge speaks to one
//! outside thing and decides nothing. What is wanted ([`config::Config`]) is held against what is
//! known ([`ledger::Entry`]), whatever the reason for looking: lost, doubled or late events do no
//! harm, and a crash is answered by planning again from what was saved. [`keeper::Keeper`] is the
//! loop without its effects: it is fed what happened, and answers what to save and what to carry
//! out, so that hours of a life can be tested in a millisecond.
//!
//! # Floors
//!
//! Modules look down only, edges never sideways, and there are no circles; `tests/floors.rs`
//! checks it from the source, `clippy.toml` forbids clocks, files, environment and exits below
//! floor 3.
//!
//! | floor | modules | must not |
//! |---|---|---|
//! | 6 doors | `main`, [`cli`], [`demo`] | be used by anyone |
//! | 5 life | [`life`] (beginning and end), [`daemon`] (the loop), [`world`] (the real one), [`socket`], [`socket_client`], [`inbox`], [`reloading`] (the one road to another configuration), [`metrics`], [`watch`], [`blocking`], [`signals`], [`systemd`], [`inherited`], [`init`], [`telemetry`], [`display`], [`loading`], [`places`], [`notes`], [`mod@unit`], [`clock`], [`cron`], [`vaults`] (one login for each server), [`following`] (a look at what another tokend wrote) | decide |
//! | 4 edges | [`store`] (`SQLite`), [`provider`], [`sink`], [`shelf`] (what the socket serves), [`config_files`], [`credentials`], [`hook`] | see decisions or each other; log; retry; read the clock |
//! | 3 tools | [`disk`] (replace a file whole), [`http`] (one client), [`command`] (a program run to its end), [`seal`], [`privacy`], [`peer`] (who is at the other end), [`vault`] (one server) | know a provider, a sink, the ledger |
//! | 2 decisions | [`plan`], [`record`], [`agenda`], [`keeper`], [`task`], [`status`], [`forecast`] | have any effect |
//! | 1 facts | [`config`], [`preset`] and `presets/*.toml`, [`template`], [`settings`], [`schedule`], [`slot`], [`job`], [`ledger`], [`access_token`], [`document`], [`mod@reference`] (every key in words) | have any effect |
//! | 0 words | [`time`], [`name`], [`secret`], [`failure`], [`problem`], [`fatal`], [`spread`] | have any effect |
//!
//! # Invariants, which are about what is absent
//!
//! - `now` is a parameter everywhere below floor 5: only [`clock`] reads clocks. It runs on when the
//!   wall clock is set; the loop is told, and moves every deadline.
//! - A request never leaves before the intention to send it is saved (where requests are counted),
//!   and no sink sees an access token that is not.
//! - A [`job::Job`] only names things; a [`failure::Failure`] can hold no body and no header; a
//!   [`secret::Secret`] has no `Display`, no `PartialEq`, no `Serialize`, and is exposed by
//!   [`preset`], [`document`] and floors 3 and 4 alone.
//! - A preset is data: adding a provider is adding `src/presets/NAME.toml` and its golden files.
//! - A turn of the loop costs what changed, not what there is.
//!
//! # Where to begin
//!
//! A rule of refreshing: [`plan`] and [`record`], with their tables. What a provider is sent:
//! [`preset`]. How a file is written: [`disk`]. A word of the configuration: [`settings`], then
//! [`config`]. A line of the log: `world/telling.rs`. A metric: `metrics/exposition.rs`. The life of a process: [`life`].

// Where nobody listens they end the program: `cli::complain`.
#![cfg_attr(not(test), warn(clippy::print_stderr, clippy::print_stdout))]

pub mod access_token;
pub mod agenda;
pub mod blocking;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod config_files;
pub mod credentials;
pub mod cron;
pub mod daemon;
pub mod demo;
pub mod disk;
pub mod display;
pub mod document;
pub mod failure;
pub mod fatal;
pub mod following;
pub mod forecast;
pub mod hook;
pub mod http;
pub mod inbox;
pub mod inherited;
pub mod init;
pub mod job;
pub mod keeper;
pub mod ledger;
pub mod life;
pub mod loading;
pub mod metrics;
pub mod name;
pub mod notes;
pub mod peer;
pub mod places;
pub mod plan;
pub mod preset;
pub mod privacy;
pub mod problem;
pub mod provider;
pub mod record;
pub mod reference;
pub mod reloading;
pub mod schedule;
pub mod seal;
pub mod secret;
pub mod settings;
pub mod shelf;
pub mod signals;
pub mod sink;
pub mod slot;
pub mod socket;
pub mod socket_client;
pub mod spread;
pub mod status;
pub mod store;
pub mod systemd;
pub mod task;
pub mod telemetry;
pub mod template;
pub mod time;
pub mod unit;
pub mod vault;
pub mod vaults;
pub mod watch;
pub mod world;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod fixtures;
