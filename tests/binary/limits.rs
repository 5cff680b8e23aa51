//! Too few descriptors: calls are refused, nothing spins, and it recovers.

use std::time::Duration;

use crate::node::{NUMBER, Node, alone, holds};

#[test]
fn without_descriptors_calls_are_refused_and_then_taken_again() {
    let _alone = alone();
    let mut node = Node::new("");
    // Some forty are in use when it is idle; a call takes four and its recording one or two.
    node.wrapper = ["prlimit", "--nofile=64:64"].map(str::to_owned).to_vec();
    node.start();
    node.answering();
    let calls: Vec<_> = (0..24).map(|_| node.call(NUMBER, Duration::from_secs(60))).collect();
    let refused = |node: &Node| node.events_of("call.ended").iter().filter(|data| data["outcome"] == "failed").count();
    holds("every call is answered or refused", || {
        node.events_of("call.answered").len() + refused(&node) + node.events_of("call.refused").len() >= 24
    });
    let answered = node.events_of("call.answered").len();
    assert!(answered > 0 && answered < 24, "{answered} of 24 were taken");
    let mut statuses = std::collections::BTreeSet::new();
    for call in calls {
        let report = call.hang_up(&node);
        if !report.answered {
            statuses.insert(report.status);
        }
    }
    assert_eq!(statuses, std::collections::BTreeSet::from([503]));
    holds("all calls are over", || node.events_of("call.ended").len() + node.events_of("call.refused").len() >= 24);
    // Ports rest for five seconds, sockets do not.
    node.honest_call();
    node.stop();
    assert_eq!(node.verify().0, Some(0));
}
