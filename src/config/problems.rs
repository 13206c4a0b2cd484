//! Collects everything that is wrong, and finds the word that was meant.

use crate::config::place::{At, Places};
use crate::problem::{Problem, in_one_line};

/// All problems found so far.
pub struct Problems<'a> {
    places: &'a Places<'a>,
    found: Vec<(At, String)>,
    seen: usize,
    partial: bool,
    vaults: Vec<String>,
}

impl<'a> Problems<'a> {
    /// None so far.
    pub fn new(places: &'a Places<'a>) -> Self {
        Self { places, found: Vec::new(), seen: 0, partial: false, vaults: Vec::new() }
    }

    /// From here on, what is missing may stand in a file that could not be understood.
    pub fn sources_are_partial(&mut self) {
        self.partial = true;
    }

    /// These are the names of Vault servers that something may refer to.
    pub fn know_vaults(&mut self, names: Vec<String>) {
        self.vaults = names;
    }

    /// The names of Vault servers that something may refer to.
    pub fn vaults(&self) -> &[String] {
        &self.vaults
    }

    /// `text` is wrong at `at`.
    pub fn add(&mut self, at: At, text: impl Into<String>) {
        self.seen += 1;
        self.found.push((at, text.into()));
    }

    /// The value of `key` is wrong. The name of a variable says its key already.
    pub fn add_value(&mut self, at: At, key: &str, text: &str) {
        match at {
            At::File { .. } => self.add(at, format!("{key}: {text}")),
            At::Variable(_) => self.add(at, text),
        }
    }

    /// Something is missing. Not told while a file could not be understood: it may stand there.
    pub fn add_missing(&mut self, at: At, text: impl Into<String>) {
        self.seen += 1;
        if !self.partial {
            self.found.push((at, text.into()));
        }
    }

    /// How many were seen, told or not: what was read between two equal counts is whole.
    pub fn count(&self) -> usize {
        self.seen
    }

    /// Where things stand.
    pub fn places(&self) -> &'a Places<'a> {
        self.places
    }

    /// All of them, in the order of the files, then of the variables.
    pub fn finish(mut self) -> Vec<Problem> {
        self.found.sort();
        self.found.dedup();
        let problem = |(at, text): (At, String)| Problem { place: self.places.find(at), text: in_one_line(&text) };
        self.found.into_iter().map(problem).collect()
    }
}

/// `word` in quotes, on one line and not too long.
pub fn shown(word: &str) -> String {
    if word.chars().count() <= 80 {
        return format!("{word:?}");
    }
    let beginning: String = word.chars().take(80).collect();
    format!("{beginning:?}…")
}

/// How many candidates are listed: there may be a provider for every token.
const LISTED: usize = 30;

/// The candidate that was probably meant by `word`: a few letters away, or the longer or shorter form.
pub fn near<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let word = alike(&word.chars().take(80).collect::<String>());
    let tolerance = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .filter_map(|candidate| Some((distance(&word, &alike(candidate), tolerance)?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn alike(text: &str) -> String {
    text.to_lowercase().replace('-', "_")
}

fn distance(word: &str, candidate: &str, tolerance: usize) -> Option<usize> {
    let (longer, shorter) = if word.len() > candidate.len() { (word, candidate) } else { (candidate, word) };
    if shorter.len() >= 4 && longer.starts_with(shorter) {
        return Some(tolerance.min(longer.len() - shorter.len()));
    }
    if longer.len() - shorter.len() > 4 * tolerance {
        return None;
    }
    Some(strsim::osa_distance(word, candidate)).filter(|distance| *distance <= tolerance)
}

/// How to go on after a word that is none of `candidates`: the one that was meant, or all.
pub fn one_of<'c>(word: &str, candidates: impl Iterator<Item = &'c str> + Clone) -> String {
    if let Some(meant) = near(word, candidates.clone()) {
        return format!("did you mean {meant:?}?");
    }
    let mut rest = candidates;
    let listed: Vec<_> = rest.by_ref().take(LISTED).collect();
    let more = if rest.next().is_some() { ", …" } else { "" };
    format!("choose one of {}{more}", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_far_ones_are_not() {
        let keys = ["scopes", "psu_context", "sinks", "provider"];
        let meant = |word| near(word, keys.into_iter());
        assert_eq!(meant("sopes"), Some("scopes"));
        assert_eq!(meant("psu-context"), Some("psu_context"));
        assert_eq!(meant("PROVIDER"), Some("provider"));
        assert_eq!(meant("sink"), Some("sinks"));
        assert_eq!(meant("provider_name"), Some("provider"));
        assert_eq!(meant("prov"), Some("provider"));
        assert_eq!(meant("colour"), None);
        assert_eq!(meant(""), None);
    }
}
