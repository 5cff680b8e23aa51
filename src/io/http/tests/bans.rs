//! The bans' two orders, with a signalling side that answers.

use super::*;
use crate::core::defence::Ban;

#[tokio::test]
async fn bans_are_listed_and_ended_with_the_token_only() {
    let (commands, mut orders) = mpsc::unbounded_channel();
    let world = world_asking(Some(TOKEN), None, commands);
    let ban = Ban {
        address: "198.18.0.1".parse().unwrap(),
        reason: "scanner".into(),
        until: Wall::parse_rfc3339("2026-11-21T11:00:00Z").unwrap(),
        messages: 12,
    };
    let answering = tokio::spawn(async move {
        let mut bans = vec![ban];
        while let Some(order) = orders.recv().await {
            match order {
                Command::Bans(answer) => drop(answer.send(bans.clone())),
                Command::Unban(address, answer) => {
                    let before = bans.len();
                    bans.retain(|ban| ban.address != address);
                    let _ = answer.send(bans.len() < before);
                }
                _ => {}
            }
        }
    });
    assert_eq!(world.ask("GET", "/v1/bans", &[], Body::empty()).await.status, 401);
    assert_eq!(world.ask("DELETE", "/v1/bans/198.18.0.1", &[], Body::empty()).await.status, 401);
    let bearer = format!("Bearer {TOKEN}");
    let token: &[(&str, &str)] = &[("authorization", &bearer)];
    let listed = world.ask("GET", "/v1/bans", token, Body::empty()).await.json();
    assert_eq!(
        listed,
        json!({"total": 1, "bans": [{"address": "198.18.0.1", "reason": "scanner",
            "until": "2026-11-21T11:00:00.000Z", "messages": 12}]})
    );
    assert_eq!(world.ask("DELETE", "/v1/bans/198.18.0.1", token, Body::empty()).await.status, 204);
    let gone = world.ask("DELETE", "/v1/bans/198.18.0.1", token, Body::empty()).await;
    assert_eq!((gone.status, gone.code().as_str()), (404, "unknown_ban"));
    let nonsense = world.ask("DELETE", "/v1/bans/everybody", token, Body::empty()).await;
    assert_eq!((nonsense.status, nonsense.code().as_str()), (404, "unknown_ban"));
    answering.abort();
    let _ = answering.await;
    assert_eq!(world.ask("GET", "/v1/bans", token, Body::empty()).await.code(), "signalling_stopped");
}
