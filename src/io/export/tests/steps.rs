//! Killed at every step, and answered badly: what the destination counts is each call once.

use super::contracts::{Amocrm, Bitrix24, Callrail, Contract, Ga4, Google, Meta, Metrika, Webhook};
use super::*;

/// Kills the work at step 1, 2, 3, …, works on behind each, and compares what was counted.
async fn killed_everywhere<C: Contract + Default + 'static>(export: &str, count: usize) {
    let mut steps = 1;
    let mut once: Option<Vec<String>> = None;
    loop {
        let world: World<C> = World::new(&format!("{export}history = true\n"));
        for n in 1..=2 {
            world.ended(visitor_call(n));
        }
        let killed = matches!(world.work(Some(steps)).await, Err(Stopped::Tripped));
        world.work(None).await.unwrap();
        let (counted, refused) = (world.counted(), world.contract().refused().to_vec());
        assert_eq!(refused, Vec::<String>::new(), "step {steps}");
        assert_eq!(counted.len(), count, "killed at step {steps}: {counted:?}");
        let counts = world.store().counts().unwrap();
        assert_eq!((counts.sent, counts.pending), (2, 0), "step {steps}");
        assert_eq!(&counted, once.get_or_insert_with(|| counted.clone()), "step {steps}");
        // The journal knows of each; a repeat has the same id.
        let told: std::collections::BTreeSet<String> =
            world.told("export.sent").iter().map(|data| data["delivery_id"].to_string()).collect();
        assert_eq!(told.len(), 2, "step {steps}: {told:?}");
        if !killed {
            break;
        }
        steps += 1;
        assert!(steps < 200);
    }
    assert!(steps > 8, "the steps are there: {steps}");
}

#[tokio::test]
async fn i07_killed_at_every_step_a_webhook_has_each_call_once() {
    killed_everywhere::<Webhook>(WEBHOOK, 2).await;
}

#[tokio::test]
async fn i07_killed_at_every_step_analytics_counts_each_call_once() {
    killed_everywhere::<Ga4>(GA4, 2).await;
}

#[tokio::test]
async fn i07_killed_at_every_step_metrika_has_each_call_once() {
    killed_everywhere::<Metrika>(METRIKA, 2).await;
}

#[tokio::test]
async fn i07_killed_at_every_step_metrika_has_each_conversion_once() {
    killed_everywhere::<Metrika>(CONVERSIONS, 2).await;
}

#[tokio::test]
async fn i07_killed_at_every_step_what_reads_callrail_has_each_call_once() {
    killed_everywhere::<Callrail>(CALLRAIL, 2).await;
}

#[tokio::test]
async fn i07_killed_at_every_step_google_counts_each_call_once() {
    killed_everywhere::<Google>(GOOGLE, 2).await;
}

#[tokio::test]
async fn i07_killed_at_every_step_meta_counts_each_call_once() {
    killed_everywhere::<Meta>(META, 2).await;
}

#[tokio::test]
async fn i07_killed_at_every_step_bitrix24_has_each_call_once() {
    killed_everywhere::<Bitrix24>(BITRIX24, 2).await;
}

#[tokio::test]
async fn i07_killed_at_every_step_amocrm_has_each_call_and_each_deal_once() {
    killed_everywhere::<Amocrm>(AMOCRM, 4).await;
}

/// Faults of every kind at every request: in the end each call counts once.
async fn answered_badly<C: Contract + Default + 'static>(export: &str, count: usize) {
    for fault in [500, 429, 503, 0] {
        for place in 0..4 {
            let world: World<C> = World::new(&format!("{export}history = true\n"));
            world.ended(visitor_call(1));
            let mut work = 0;
            // The fault comes at the n-th request of the whole.
            world.faults.lock().unwrap().extend(std::iter::repeat_n(PASS, place).chain([fault]));
            while world.store().counts().map(|counts| counts.sent).unwrap() == 0 {
                world.work(None).await.unwrap();
                work += 1;
                assert!(work < 10, "{fault} at {place}");
            }
            assert_eq!(world.counted().len(), count, "{fault} at request {place}: {:?}", world.counted());
        }
    }
}

#[tokio::test]
async fn lost_and_failing_answers_repeat_nothing() {
    answered_badly::<Webhook>(WEBHOOK, 1).await;
    answered_badly::<Ga4>(GA4, 1).await;
    answered_badly::<Metrika>(METRIKA, 1).await;
    answered_badly::<Metrika>(CONVERSIONS, 1).await;
    answered_badly::<Callrail>(CALLRAIL, 1).await;
    answered_badly::<Google>(GOOGLE, 1).await;
    answered_badly::<Meta>(META, 1).await;
    answered_badly::<Bitrix24>(BITRIX24, 1).await;
    answered_badly::<Amocrm>(AMOCRM, 2).await;
}

/// In a list of faults: the contract answers.
pub(super) const PASS: u16 = 1;

#[tokio::test]
async fn a_bad_one_does_not_take_the_others_with_it() {
    let world: World<Meta> = World::new(&format!("{META}history = true\n"));
    world.ended(visitor_call(1));
    world.ended(visitor_call(2));
    // The whole request is refused once; then each goes alone.
    world.faults.lock().unwrap().push(400);
    world.work(None).await.unwrap();
    assert_eq!(world.counted().len(), 2);
    assert_eq!(world.store().counts().unwrap().sent, 2);
    // One alone that is refused is rejected, told, and can be replayed.
    world.ended(visitor_call(3));
    world.faults.lock().unwrap().push(400);
    world.work(None).await.unwrap();
    assert_eq!(world.store().counts().unwrap().rejected, 1);
    assert_eq!(world.told("export.rejected")[0]["status"], "status_400");
    assert_eq!(world.store().transaction(|pen| pen.revive(None, clock::wall())).unwrap(), 1);
    world.work(None).await.unwrap();
    assert_eq!(world.counted().len(), 3);
}

#[tokio::test]
async fn an_access_token_that_ended_early_is_renewed_once() {
    let world: World<Google> = World::new(&format!("{GOOGLE}history = true\n"));
    world.ended(visitor_call(1));
    world.work(None).await.unwrap();
    world.contract().tokens.expire();
    world.ended(visitor_call(2));
    world.work(None).await.unwrap();
    assert_eq!(world.counted().len(), 2);
    // Credentials that are bad are somebody's to mend: it waits and loses nothing.
    world.contract().tokens.refresh = "another".into();
    world.contract().tokens.expire();
    world.ended(visitor_call(3));
    world.work(None).await.unwrap();
    let log = world.store().log(None, None, None, 1).unwrap();
    assert_eq!((log[0].state.as_str(), log[0].status.as_deref()), ("pending", Some("token_status_400")));
}
