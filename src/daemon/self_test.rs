//! Test calls of our own: out through the carrier, and back as anybody's would come.

use std::time::Duration;

use crate::core::keeper::TestCall;
use crate::io::journal::Journal;
use crate::io::keeper::{KeeperHandle, TestCaller};
use crate::phone::{self, CallOptions, Over, Sound};
use crate::wire::codec::g711::Law;

/// Between two looks whether the call has come back.
const LOOK: Duration = Duration::from_millis(100);
/// The journal may be so far behind the call.
const BEHIND: Duration = Duration::from_secs(3);

/// Places test calls as a phone would.
pub(super) fn caller(journal: Journal) -> TestCaller {
    Box::new(move |test, keeper| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let (placed, status) = place(&test, &keeper).await;
            // A call that came back is in the journal soon after.
            let _ = tokio::time::timeout(if placed { BEHIND } else { LOOK }, back(&keeper)).await;
            keeper.test_done(&journal, placed, status);
        });
    })
}

/// Whether the call went out, and the final status that it got.
async fn place(test: &TestCall, keeper: &KeeperHandle) -> (bool, Option<u16>) {
    let to = match tokio::net::lookup_host(&test.to).await.map(|mut found| found.next()) {
        Ok(Some(to)) => to,
        Ok(None) | Err(_) => {
            tracing::warn!(to = test.to, "self_test: the carrier has no address");
            return (false, None);
        }
    };
    let options = CallOptions {
        number: test.number.to_string(),
        to,
        over: Over::Udp,
        from: test.from.to_string(),
        sound: Sound::CALLER,
        record: None,
        talk: Duration::from_secs(1),
        ring_max: test.timeout,
        laws: vec![Law::A, Law::Mu],
    };
    match phone::call(&options, back(keeper), |_| {}).await {
        Ok(report) => (true, Some(report.status)),
        Err(error) => {
            tracing::warn!(%error, "self_test: no call could be placed");
            (false, None)
        }
    }
}

async fn back(keeper: &KeeperHandle) {
    while !keeper.test_is_back() {
        tokio::time::sleep(LOOK).await;
    }
}
