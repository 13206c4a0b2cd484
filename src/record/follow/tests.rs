//! What is held, what is found, what is held then.

use std::time::Duration;

use crate::fixtures::*;
use crate::record::follow::*;

const HOUR: Duration = Duration::from_hours(1);
const TOKEN: Durability = Durability::Token;
const NOTHING: Durability = Durability::None;

fn nothing_known(slot: &Slot) -> Entry {
    Entry::new(slot.identity.clone())
}

/// The generation held, and its expiry.
fn held(entry: &Entry) -> Option<(u64, Timestamp)> {
    entry.access_token.as_ref().map(|held| (held.generation.0, held.expires_at))
}

/// Why nothing newer comes.
fn trouble(entry: &Entry) -> String {
    match &entry.standing {
        Standing::Good => String::new(),
        Standing::Failing(retry) => retry.failure.to_string(),
    }
}

#[test]
fn an_access_token_is_taken_with_the_number_and_expiry_of_its_issuer() {
    let slot = following_slot("accounts");
    let mut entry = nothing_known(&slot);
    assert_eq!(look(&slot, &mut entry, Ok(found(41, at(-100), HOUR)), at(0)), TOKEN);
    assert_eq!((held(&entry), entry.generation), (Some((41, at(3500))), Generation(41)));
    assert_eq!(look(&slot, &mut entry, Ok(found(43, at(3400), HOUR)), at(3450)), TOKEN);
    assert_eq!(held(&entry), Some((43, at(7000))), "numbers may be missing between");
    assert!(entry.issues.is_empty() && entry.intention.is_none(), "nothing was issued to us");
}

#[test]
fn the_same_again_changes_nothing_but_what_the_issuer_knows_better() {
    let slot = following_slot("accounts");
    let mut entry = nothing_known(&slot);
    look(&slot, &mut entry, Ok(found(7, at(0), HOUR)), at(0));
    deliver(&slot, &mut entry, "accounts", at(1));
    assert_eq!(look(&slot, &mut entry, Ok(found(7, at(0), HOUR)), at(300)), NOTHING);
    assert!(!entry.receipts[&sink_of("accounts")].restate);
    let sooner = found(7, at(0), Duration::from_mins(30));
    assert_eq!(look(&slot, &mut entry, Ok(sooner), at(600)), TOKEN);
    assert_eq!(held(&entry), Some((7, at(1800))));
    assert!(entry.receipts[&sink_of("accounts")].restate, "and the sinks are told");
}

#[test]
fn a_generation_never_goes_back_and_a_person_is_told() {
    let slot = following_slot("accounts");
    let mut entry = nothing_known(&slot);
    look(&slot, &mut entry, Ok(found(7, at(0), HOUR)), at(0));
    assert_eq!(look(&slot, &mut entry, Ok(found(6, at(10), HOUR)), at(300)), NOTHING);
    assert_eq!((held(&entry), trouble(&entry).as_str()), (Some((7, at(3600))), ""));
    let words = "/issuer/accounts holds generation 6, and 7 was held here already: it is not taken; if the issuer \
                 began anew, give the token another name here, or write its state back there";
    assert_eq!(entry.warning.as_deref(), Some(words));
    look(&slot, &mut entry, Ok(found(6, at(10), HOUR)), at(3605));
    assert_eq!((trouble(&entry).as_str(), &entry.warning), (words, &None), "also when ours has expired");
    look(&slot, &mut entry, Ok(found(8, at(3600), HOUR)), at(3610));
    assert_eq!((held(&entry), trouble(&entry).as_str()), (Some((8, at(7200))), ""));
}

#[test]
fn another_access_token_of_the_same_number_is_left_alone() {
    let slot = following_slot("accounts");
    let mut entry = nothing_known(&slot);
    look(&slot, &mut entry, Ok(found(7, at(0), HOUR)), at(0));
    let mut other = found(7, at(0), 2 * HOUR);
    other.issued.secret = crate::secret::Secret::new("another".into());
    assert_eq!(look(&slot, &mut entry, Ok(other), at(300)), NOTHING);
    assert_eq!(held(&entry), Some((7, at(3600))));
    assert!(entry.warning.unwrap().contains("do two tokends write there?"));
}

#[test]
fn what_has_expired_is_never_taken_and_the_issuer_is_late() {
    let slot = following_slot("accounts");
    let mut entry = nothing_known(&slot);
    assert_eq!(look(&slot, &mut entry, Ok(found(7, at(-3600), HOUR)), at(0)), NOTHING);
    assert_eq!(held(&entry), None);
    let late = format!(
        "the issuer is late: /issuer/accounts holds generation 7, which expired at {}; look at `tokend status` on the \
         host that writes there",
        at(0)
    );
    assert_eq!(trouble(&entry), late);
    assert_eq!(entry.looked.unwrap().found, Some((Generation(7), at(0))));
}

#[test]
fn it_is_late_from_half_of_the_lead_on_and_well_again_with_the_next() {
    let slot = following_slot("accounts");
    let mut entry = nothing_known(&slot);
    for (moment, is_late) in [(0, false), (3569, false), (3570, true), (3590, true), (3605, true)] {
        look(&slot, &mut entry, Ok(found(7, at(0), HOUR)), at(moment));
        assert_eq!(trouble(&entry).starts_with("the issuer is late: "), is_late, "at {moment}");
    }
    let Standing::Failing(retry) = &entry.standing else { panic!("{:?}", entry.standing) };
    assert_eq!((retry.since, retry.attempts.unreachable), (at(3570), 3));
    look(&slot, &mut entry, Ok(found(8, at(3606), HOUR)), at(3607));
    assert_eq!(trouble(&entry), "");
}

#[test]
fn a_place_that_cannot_be_read_takes_nothing_from_anyone_and_is_tried_again() {
    let slot = following_slot("accounts");
    let mut entry = nothing_known(&slot);
    look(&slot, &mut entry, Ok(found(7, at(0), HOUR)), at(0));
    let junk = || Failure::Malformed("/issuer/accounts: it is no JSON object".into());
    assert_eq!(look(&slot, &mut entry, Err(junk()), at(300)), NOTHING);
    assert_eq!(
        (held(&entry), trouble(&entry).as_str()),
        (Some((7, at(3600))), "/issuer/accounts: it is no JSON object")
    );
    assert!(entry.issues.is_empty(), "nothing was possibly issued");
    assert_eq!(entry.looked.unwrap().found, None);
    look_at_once(&mut entry, at(300));
    assert_eq!(crate::plan::next_issue(&slot, &entry, at(300)).0, Timestamp::EPOCH);
}

#[test]
fn who_follows_numbers_nothing_anew_in_a_sink_where_another_tokend_is_ahead() {
    let slot = following_slot("accounts");
    let mut entry = nothing_known(&slot);
    look(&slot, &mut entry, Ok(found(7, at(0), HOUR)), at(0));
    for (expires_at, again) in [(at(-1), at(310)), (at(60), at(60)), (at(9000), at(310))] {
        let sink = sink_of("accounts");
        let result = crate::job::JobResult::Overtaken { sink: sink.clone(), generation: Generation(9), expires_at };
        assert_eq!(crate::record::record(&slot, &mut entry, result, at(10)), NOTHING);
        assert_eq!((held(&entry), entry.generation), (Some((7, at(3600))), Generation(7)));
        assert_eq!(entry.receipts[&sink].retry.as_ref().unwrap().not_before, again);
    }
}
