//! A router node that follows the lease feed of an allocator node.

use std::time::Duration;

use crate::node::{Node, holds};

#[test]
fn the_router_works_on_without_its_allocator() {
    let mut allocator = Node::started("");
    let feed = format!("[lease_feed]\nurl = \"http://{}/v1/feed/leases\"\nstale_after = \"2s\"\n", allocator.http_at());
    let mut router = Node::started(&feed);
    router.answering();
    let is_stale = |node: &Node| node.metric("leaseline_lease_feed_stale");
    holds("the first snapshot", || is_stale(&router) == Some(0.0));

    let lease = allocator.lease("visitor-a");
    let number = lease["number"].as_str().unwrap().to_owned();
    let attributed = |router: &Node, number: &str, count: usize| {
        let report = router.report(router.call(number, Duration::from_millis(300)));
        assert!(report.answered, "{report:?}");
        router.wait_for_events("call.ended", count).pop().unwrap()["attribution"].clone()
    };
    holds("the lease arrives", || {
        let revision = router.metric("leaseline_lease_feed_revision");
        revision.is_some() && revision == allocator.metric("leaseline_lease_feed_revision")
    });
    let found = attributed(&router, &number, 1);
    assert_eq!((&found["kind"], &found["visitor_id"]), (&"visitor".into(), &"visitor-a".into()), "{found}");
    assert_eq!(found["lease_id"], lease["lease_id"]);

    allocator.child.as_mut().unwrap().kill().unwrap();
    allocator.wait_for_end();
    holds("the table is marked stale", || is_stale(&router) == Some(1.0));
    let found = attributed(&router, &number, 2);
    assert_eq!((&found["kind"], &found["visitor_id"]), (&"visitor".into(), &"visitor-a".into()), "{found}");

    allocator.start();
    holds("the feed is followed again", || is_stale(&router) == Some(0.0));
    let second = allocator.lease("visitor-b");
    let number = second["number"].as_str().unwrap().to_owned();
    assert_ne!(second["number"], lease["number"], "the first visitor keeps the number");
    holds("the new lease arrives", || {
        router.metric("leaseline_lease_feed_revision") == allocator.metric("leaseline_lease_feed_revision")
    });
    let found = attributed(&router, &number, 3);
    assert_eq!(found["visitor_id"], "visitor-b", "{found}");
    router.stop();
    allocator.stop();
}
