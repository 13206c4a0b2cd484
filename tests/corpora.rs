//! Replays what the fuzzers found: every file of every corpus through the check of its target.
//! `cargo fuzz run TARGET` looks for more (see the README).
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types, reason = "reads the corpora")]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// The files below `directory`, by name; none where it is not there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Replays the corpus of `target`, and what made it fail on this machine, if anything did.
#[track_caller]
fn replay(target: &str) {
    let (_, check) = fuzz::TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let corpus = files(&root.join("corpus").join(target));
    assert!(corpus.len() >= 10, "the corpus of {target} is gone");
    for file in corpus.iter().chain(&files(&root.join("artifacts").join(target))) {
        let input = fs::read(file).unwrap();
        assert!(catch_unwind(|| check(&input)).is_ok(), "{}", file.display());
    }
}

#[test]
fn every_target_has_a_corpus_that_is_replayed_here() {
    let names = fuzz::TARGETS.map(|(name, _)| name);
    let in_corpus = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus"));
    assert_eq!(in_corpus.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect::<Vec<_>>(), names);
    assert_eq!(names, ["answer", "config", "headers", "schedule", "socket", "state", "words"]);
}

#[test]
fn every_target_is_handed_to_the_fuzzer_under_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap();
    assert_eq!(programs.len(), fuzz::TARGETS.len());
    for ((target, _), program) in fuzz::TARGETS.iter().zip(programs) {
        assert_eq!(program["name"].as_str(), Some(*target));
        let text = fs::read_to_string(root.join(program["path"].as_str().unwrap())).unwrap();
        assert!(text.contains(&format!("tokend_fuzz::{target}::run(input)")), "{target}");
        assert!(root.join(format!("dictionaries/{target}.dict")).is_file(), "{target}");
    }
}

#[test]
fn every_access_token_that_any_answer_brings_is_fit_for_use_and_no_failure_shows_a_secret() {
    replay("answer");
}

#[test]
fn every_problem_of_a_configuration_has_a_place_within_it_and_shows_no_secret() {
    replay("config");
}

#[test]
fn patience_is_believed_up_to_an_hour_and_of_a_redirect_only_the_host_is_kept() {
    replay("headers");
}

#[test]
fn the_moments_of_any_schedule_come_one_after_the_other_whenever_it_is_asked() {
    replay("schedule");
}

#[test]
fn no_bytes_on_the_socket_get_a_stranger_a_token_or_anybody_an_expired_one() {
    replay("socket");
}

#[test]
fn what_can_be_read_from_a_row_of_the_state_is_written_and_read_the_same() {
    replay("state");
}

#[test]
fn what_can_be_read_of_a_word_can_be_written_and_read_again() {
    replay("words");
}
