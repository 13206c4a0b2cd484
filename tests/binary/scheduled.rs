//! `refresh.schedule`: fresh access tokens at the moments of a cron line.

use tokend::demo::standin::Vendor;

use crate::setup::{Setup, wait_until};

#[test]
fn a_token_is_refreshed_at_the_moments_of_its_schedule() {
    let setup = Setup::new();
    let every_second = "refresh = { schedule = \"* * * * * *\", timezone = \"Europe/Oslo\" }";
    setup.configure(&[
        setup.oauth2("own", ""),
        setup.token("scheduled", "own", every_second),
        setup.token("other", "own", ""),
    ]);
    let daemon = setup.run_ready();
    wait_until("two moments have passed", || daemon.slot("scheduled").generation.0 >= 3);
    wait_until("its file follows", || {
        let served = daemon.ask("GET", "/v1/tokens/scheduled", "Accept: text/plain\r\n");
        setup.read("tokens/scheduled") == Some(served.body)
    });
    assert_eq!(daemon.slot("other").generation.0, 1, "nobody else is asked for");
    assert!(setup.issued(Vendor::OAuth2) >= 4);
}

#[test]
fn a_moment_missed_while_it_was_down_is_made_up_and_the_plan_shows_the_next() {
    let setup = Setup::new();
    setup.configure(&[
        setup.oauth2("own", ""),
        setup.token("yearly", "own", "refresh = { schedule = \"0 0 0 1 1 *\" }"),
    ]);
    let plan = setup.tokend(&["plan", "--for", "366d", "--json"]).json();
    let refreshes = plan["slots"][0]["refreshes"].as_array().unwrap();
    assert!(refreshes.iter().any(|at| at.as_str().unwrap().contains("-01-01T00:00:00Z")), "{refreshes:?}");
    let daemon = setup.run_ready();
    daemon.stop();
    let daemon = setup.run_ready();
    assert_eq!((daemon.slot("yearly").generation.0, setup.issued(Vendor::OAuth2)), (1, 1), "nothing was missed");
}
