//! The console's forms: signing in, one's account, users, tokens, work on calls, exports, contacts, costs. All of it as plain
//! forms, as a browser without scripts sends them.

use super::*;
use crate::core::event::work::{LeadData, WorkEvent};
use crate::core::event::{AttributionKind, RecordingState, RecordingSummary, Session};
use crate::io::people::secret;

const PASSWORD: &str = "correct horse battery";
const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
const OWN: (&str, &str) = ("origin", "http://127.0.0.1:8080");

impl World {
    /// Sends a form, as a page of ours does.
    async fn form(&self, cookie: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.form_from(cookie, path, fields, &[OWN]).await
    }

    async fn form_from(&self, cookie: &str, path: &str, fields: &[(&str, &str)], more: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut headers = vec![("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
        headers.extend(more);
        if !cookie.is_empty() {
            headers.push(("cookie", cookie));
        }
        self.ask("POST", path, &headers, body).await
    }

    pub(super) async fn open_page(&self, cookie: &str, path: &str) -> String {
        let answer = self.ask("GET", path, &[("accept", "text/html"), ("cookie", cookie)], Body::empty()).await;
        assert_eq!(answer.status, 200, "{path}: {}", text(&answer));
        text(&answer)
    }

    /// A call with a recording that can be heard.
    fn heard_call(&self, minute: u64) -> CallId {
        let mut data = call_data(minute, Some(Outcome::Answered));
        data.recording = Some(RecordingSummary {
            state: RecordingState::Complete,
            path: Some(format!("recordings/2026/11/21/{}.wav", data.call_id)),
            duration_ms: 28_000,
            ..RecordingSummary::default()
        });
        let id = data.call_id;
        self.tell(EventBody::CallEnded(Box::new(data)), &id.to_string());
        id
    }

    fn lead(&self, lead_id: &str, phone: Option<&str>, email: Option<&str>, consent: bool) {
        let session = Session { utm: [("source".to_owned(), "google".to_owned())].into(), ..Session::default() };
        let data = LeadData {
            lead_id: lead_id.into(),
            kind: "form".into(),
            company: "acme".into(),
            site: "acme-site".into(),
            visitor_id: None,
            phone: phone.map(str::to_owned),
            email: email.map(str::to_owned),
            name: Some("=1+1 Ann Smith".into()),
            consent,
            session: Arc::new(session),
            fields: Default::default(),
        };
        self.tell(EventBody::Work(Box::new(WorkEvent::LeadReceived(Box::new(data)))), "lead");
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
}

/// What stands in a hidden field of a page.
fn hidden(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    page.split(&mark).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
}

/// What stands in the element that is shown once.
fn secret_of(page: &str, id: &str) -> String {
    let rest = page.split(&format!("id=\"{id}\"")).nth(1).and_then(|rest| rest.split_once('>')).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split('<').next()).unwrap_or_default().replace("&amp;", "&")
}

#[tokio::test]
async fn one_signs_in_by_name_with_a_plain_form_and_comes_back_to_where_one_was() {
    let world = world(Some(TOKEN));
    world.person("anna", &["agent@acme"]);
    let page =
        world.ask("GET", "/sign-in?next=%2Fcalls%3Flabel%3Dgood", &[("accept", "text/html")], Body::empty()).await;
    assert!(
        text(&page).contains("action=\"/sign-in\"") && !text(&page).contains("name=\"code\""),
        "asked only of who has it"
    );
    let next = hidden(&text(&page), "next");
    let fields = |password: &'static str| [("user", "anna"), ("password", password), ("next", "/calls?label=good")];
    assert_eq!(next, "/calls?label=good");
    let wrong = world.form("", "/sign-in", &fields("wrong")).await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (422, ""));
    assert!(text(&wrong).contains("role=\"alert\"") && text(&wrong).contains("Name or password is wrong"));
    assert!(text(&wrong).contains("value=\"anna\"") && !text(&wrong).contains("value=\"wrong\""));
    let good = world.form("", "/sign-in", &fields(PASSWORD)).await;
    assert_eq!((good.status, good.header("location")), (303, "/calls?label=good"));
    let session = cookie(&good);
    assert!(world.open_page(&session, "/calls").await.contains("action=\"/sign-out\""));
    let out = world.form(&session, "/sign-out", &[]).await;
    assert_eq!((out.status, out.header("location")), (303, "/sign-in"));
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(world.as_user(&session, "GET", "/v1/calls", Body::empty()).await.status, 401, "out on the server, too");
}

#[tokio::test]
async fn a_next_that_leaves_the_site_leads_to_the_first_page() {
    let world = world(Some(TOKEN));
    world.person("anna", &["agent@acme"]);
    for next in [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=1",
        "",
    ] {
        let fields = [("user", "anna"), ("password", PASSWORD), ("next", next)];
        let answer = world.form("", "/sign-in", &fields).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/"), "{next:?}");
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 1);
        let asked: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let page = world.ask("GET", &format!("/sign-in?next={asked}"), &[], Body::empty()).await;
        assert_eq!(hidden(&text(&page), "next"), "/");
    }
}

/// A session that was laid under a browser before is worth nothing after the sign-in, and nobody chooses an id.
#[tokio::test]
async fn a_form_that_signs_in_begins_a_new_session_and_ends_the_one_before() {
    let world = world(Some(TOKEN));
    world.person("anna", &["agent@acme"]);
    let fields = [("user", "anna"), ("password", PASSWORD)];
    let first = cookie(&world.form("", "/sign-in", &fields).await);
    let second = cookie(&world.form(&first, "/sign-in", &fields).await);
    assert_ne!(first, second);
    assert_eq!(world.as_user(&first, "GET", "/v1/calls", Body::empty()).await.status, 401);
    let chosen = format!("leaseline_session={}", "A".repeat(43));
    let third = cookie(&world.form(&chosen, "/sign-in", &fields).await);
    assert!(!third.is_empty() && third != chosen);
    assert_eq!(world.as_user(&chosen, "GET", "/v1/calls", Body::empty()).await.status, 401);
}

#[tokio::test]
async fn a_code_is_asked_for_in_a_second_step_and_only_of_who_has_an_authenticator() {
    let world = world(Some(TOKEN));
    world.person("anna", &["agent@acme"]);
    let fields = [("user", "anna"), ("password", PASSWORD), ("next", "/missed")];
    let session = cookie(&world.form("", "/sign-in", &fields).await);
    let offered = world.form(&session, "/account/totp", &[("offer", "1")]).await;
    assert_eq!((offered.status, offered.header("location")), (303, "/account#totp"));
    let page = world.open_page(&session, "/account").await;
    assert!(page.contains("class=\"qr\"") && page.contains("<svg"), "a picture to scan");
    let shown = secret_of(&page, "totp-secret");
    let code = |offset: i64| secret::tests::code(&shown, clock::wall().seconds().checked_add_signed(offset).unwrap());
    let bad = world.form(&session, "/account/totp/confirm", &[("code", "000000")]).await;
    assert!(bad.status == 422 && text(&bad).contains("class=\"qr\""), "the same secret is still there");
    let on = world.form(&session, "/account/totp/confirm", &[("code", &code(0))]).await;
    let codes: Vec<String> = secret_of(&text(&on), "codes").lines().map(str::to_owned).collect();
    assert_eq!((on.status, codes.len()), (200, 10));
    assert!(!world.open_page(&session, "/account").await.contains(&codes[0]), "shown once");

    let asked = world.form("", "/sign-in", &fields).await;
    assert_eq!((asked.status, asked.header("set-cookie")), (200, ""), "half way is not in");
    let ticket = hidden(&text(&asked), "ticket");
    assert!(ticket.len() == 43 && !text(&asked).contains(PASSWORD), "the password is not sent back");
    let half = format!("leaseline_session={ticket}");
    assert_eq!(world.as_user(&half, "GET", "/v1/calls", Body::empty()).await.status, 401, "a ticket is no session");
    let step = |code: &str| [("ticket", ticket.clone()), ("code", code.to_owned()), ("next", "/missed".to_owned())];
    async fn send(world: &World, step: [(&str, String); 3]) -> Answer {
        let fields: Vec<(&str, &str)> = step.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.form("", "/sign-in", &fields).await
    }
    let wrong = send(&world, step("123 456")).await;
    assert!(wrong.status == 422 && text(&wrong).contains("This code is wrong"), "{}", text(&wrong));
    let good = send(&world, step(&codes[3])).await;
    assert_eq!((good.status, good.header("location")), (303, "/missed"), "a recovery code does, too");
    let again = send(&world, step(&codes[4])).await;
    assert!(again.status == 422 && text(&again).contains("Begin again"), "a ticket is for once");
    assert!(!cookie(&good).is_empty());
    let off = world.form(&cookie(&good), "/account/totp/off", &[("password", "wrong")]).await;
    assert_eq!(off.status, 422);
    let off = world.form(&cookie(&good), "/account/totp/off", &[("password", PASSWORD)]).await;
    assert_eq!((off.status, off.header("location")), (303, "/account?done=totp-off"));
    assert_eq!(world.form("", "/sign-in", &fields).await.status, 303, "the password is enough again");
}

#[tokio::test]
async fn too_many_attempts_are_told_with_the_seconds_to_wait() {
    let world = world(Some(TOKEN));
    world.person("anna", &["agent@acme"]);
    let mut last = world.form("", "/sign-in", &[("user", "anna"), ("password", "wrong")]).await;
    for _ in 0..limits::SIGN_IN_PER_NAME.0 {
        last = world.form("", "/sign-in", &[("user", "anna"), ("password", "wrong")]).await;
    }
    assert_eq!(last.status, 429);
    let seconds: u64 = last.header("retry-after").parse().unwrap();
    assert!(seconds >= 1 && text(&last).contains(&format!("Wait {seconds} second")), "{}", text(&last));
    // With a token one is only as patient as one's address must be.
    let token = world.form("", "/sign-in", &[("token", TOKEN)]).await;
    assert_eq!(token.status, 303);
    let mut wrong = world.form("", "/sign-in", &[("token", "wrong")]).await;
    assert!(text(&wrong).contains("This is not the token"));
    for _ in 0..limits::SIGN_IN_PER_ADDRESS.0 {
        wrong = world.form("", "/sign-in", &[("token", "wrong")]).await;
    }
    assert_eq!(wrong.status, 429);
}

#[tokio::test]
async fn a_node_with_nothing_but_a_token_is_signed_in_to_by_it() {
    let world = world(Some(TOKEN));
    let page = text(&world.get("/sign-in").await);
    assert!(page.contains("name=\"token\"") && !page.contains("name=\"password\""));
    let good = world.form("", "/sign-in", &[("token", TOKEN), ("next", "/pools")]).await;
    assert_eq!((good.status, good.header("location")), (303, "/pools"));
    assert!(world.open_page(&cookie(&good), "/account").await.contains("no password to change"));
}

/// I13: forms of other sites do nothing, whatever cookie travels with them.
#[tokio::test]
async fn i13_forms_of_other_sites_change_nothing() {
    let world = world(Some(TOKEN));
    let owner = world.user("olga", &["owner@*"]);
    let call = world.call(1, Some(Outcome::Answered));
    let before = world.state.journal.last_seq();
    let evil: [&[(&str, &str)]; 4] =
        [&[("origin", "https://evil.example")], &[("origin", "null")], &[("sec-fetch-site", "cross-site")], &[]];
    let paths = super::super::console::routes();
    for route in paths.iter().filter(|route| route.methods.contains(&"POST") && route.path != "/preferences") {
        let path = route.path.replace("{id}", &call.to_string());
        let fields =
            [("label", "spam"), ("text", "x"), ("name", "eve"), ("scope:calls", "1"), ("end", "all"), ("user", "eve")];
        for more in evil {
            // Of an open page a request without any mark is a program's.
            if route.access == Access::Open && !more.iter().any(|(name, _)| *name == "origin") {
                continue;
            }
            let answer = world.form_from(&owner, &path, &fields, more).await;
            assert!(matches!(answer.status, 401 | 403), "{path} with {more:?}: {}", answer.status);
        }
    }
    assert_eq!(world.state.journal.last_seq(), before, "nothing was written down");
    assert_eq!(world.as_user(&owner, "GET", "/v1/calls", Body::empty()).await.status, 200, "and the session lasts");
}

#[tokio::test]
async fn ones_own_password_and_sessions_are_changed_on_the_account_page() {
    let world = world(Some(TOKEN));
    world.person("anna", &["agent@acme", "marketer@other"]);
    let fields = [("user", "anna"), ("password", PASSWORD)];
    let (one, two) =
        (cookie(&world.form("", "/sign-in", &fields).await), cookie(&world.form("", "/sign-in", &fields).await));
    let page = world.open_page(&one, "/account").await;
    assert!(
        page.contains("Agent") && page.contains("Marketer") && page.contains("127.0.0.1") && page.contains("this one")
    );
    let other = page.split("name=\"end\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(world.form(&one, "/account/sessions", &[("end", &other)]).await.status, 303);
    assert_eq!(world.as_user(&two, "GET", "/v1/calls", Body::empty()).await.status, 401, "the other one is over");
    let change = |new: &'static str, again: &'static str| [("current", PASSWORD), ("new", new), ("again", again)];
    let differ = world.form(&one, "/account/password", &change("another long one", "another long two")).await;
    assert!(differ.status == 422 && text(&differ).contains("two different ways"));
    assert_eq!(world.form(&one, "/account/password", &change("anna-anna", "anna-anna")).await.status, 422);
    let good = world.form(&one, "/account/password", &change("another long one", "another long one")).await;
    assert_eq!((good.status, good.header("location")), (303, "/account?done=password"));
    assert_eq!(world.as_user(&one, "GET", "/v1/calls", Body::empty()).await.status, 401, "under another id");
    let now = cookie(&good);
    assert!(world.open_page(&now, "/account?done=password").await.contains("The password is changed"));
    let everywhere = world.form(&now, "/account/sessions", &[("end", "all")]).await;
    assert_eq!(everywhere.header("location"), "/sign-in");
    assert_eq!(world.as_user(&now, "GET", "/v1/calls", Body::empty()).await.status, 401);
}

#[tokio::test]
async fn the_first_owner_comes_through_the_page_of_the_link() {
    let world = world(None);
    let link = world.state.people.first_link().unwrap().unwrap();
    let page = text(&world.ask("GET", "/setup", &[("accept-language", "ru")], Body::empty()).await);
    assert!(
        page.contains("<html lang=\"ru\"") && page.contains("Придумайте пароль") && page.contains("action=\"/setup\"")
    );
    let weak = world.form("", "/setup", &[("link", &link), ("user", "olga"), ("password", "short")]).await;
    assert!(weak.status == 422 && hidden(&text(&weak), "link") == link, "the link is not lost");
    let unknown = world.form("", "/setup", &[("link", "x"), ("user", "olga"), ("password", PASSWORD)]).await;
    assert!(unknown.status == 422 && text(&unknown).contains("never was one"));
    // Without a script the whole address is pasted.
    let pasted = format!("http://127.0.0.1:8080/setup#{link}");
    let made = world.form("", "/setup", &[("link", &pasted), ("user", "olga"), ("password", PASSWORD)]).await;
    assert_eq!((made.status, made.header("location")), (303, "/"));
    assert!(world.open_page(&cookie(&made), "/users").await.contains("olga"));
}

#[tokio::test]
async fn users_are_added_changed_and_helped_back_in_on_their_page() {
    let world = world(Some(TOKEN));
    let (owner, admin) = (world.user("olga", &["owner@*"]), world.user("adam", &["admin@acme"]));
    let page = world.open_page(&admin, "/users").await;
    assert!(
        page.contains("grant:agent@acme") && !page.contains("grant:agent@*") && !page.contains("grant:agent@other")
    );
    assert!(!page.contains("olga"), "who may more is not shown");
    assert!(world.open_page(&owner, "/users").await.contains("grant:owner@*"));
    let fields = [("name", "ben"), ("grant:agent@acme", "1"), ("grant:marketer@acme", "1")];
    let added = world.form(&admin, "/users", &fields).await;
    let link = secret_of(&text(&added), "link");
    assert!(link.starts_with("http://127.0.0.1:8080/setup#"), "{link}");
    let taken = world.form(&admin, "/users", &fields).await;
    assert!(taken.status == 422 && text(&taken).contains("This name is taken"));
    assert!(text(&taken).contains("name=\"grant:agent@acme\" value=\"1\" checked"), "what was ticked stays");
    let more = world.form(&admin, "/users", &[("name", "eve"), ("grant:agent@other", "1")]).await;
    assert!(more.status == 422 && text(&more).contains("rights that they do not have"));
    let in_first = world.form("", "/setup", &[("link", &link), ("password", PASSWORD)]).await;
    let ben = cookie(&in_first);
    let act = |action: &'static str| [("user", "ben"), ("action", action)];
    let roles =
        world.form(&admin, "/users/change", &[("user", "ben"), ("action", "roles"), ("grant:auditor@acme", "1")]).await;
    assert_eq!(roles.header("location"), "/users?user=ben&done=roles");
    assert!(
        world.open_page(&admin, "/users?user=ben").await.contains("name=\"grant:auditor@acme\" value=\"1\" checked")
    );
    assert_eq!(world.form(&ben, "/users", &[("name", "x")]).await.status, 403, "who may not, does not");
    assert_eq!(world.form(&admin, "/users/change", &act("sign_out")).await.status, 303);
    assert_eq!(world.as_user(&ben, "GET", "/v1/calls", Body::empty()).await.status, 401);
    let reset = world.form(&admin, "/users/change", &act("reset")).await;
    assert!(secret_of(&text(&reset), "link").contains("/setup#"));
    assert_eq!(world.form(&admin, "/users/change", &act("disable")).await.status, 303);
    assert!(world.open_page(&admin, "/users").await.contains("disabled"));
    assert_eq!(world.form(&admin, "/users/change", &act("remove")).await.status, 400, "only when one is sure");
    let gone = world.form(&admin, "/users/change", &[("user", "ben"), ("action", "remove"), ("sure", "1")]).await;
    assert_eq!(gone.header("location"), "/users?done=user-remove");
    assert!(!world.open_page(&admin, "/users").await.contains(">ben<"));
    let last = world.form(&owner, "/users/change", &[("user", "olga"), ("action", "disable")]).await;
    assert!(last.status == 422 && text(&last).contains("Somebody must stay an owner"));
}

#[tokio::test]
async fn a_token_is_made_shown_once_and_revoked_on_its_page() {
    let world = world(Some(TOKEN));
    let admin = world.user("adam", &["admin@acme"]);
    let page = world.open_page(&admin, "/tokens").await;
    assert!(page.contains("scope:calls") && page.contains("company:acme") && !page.contains("company:other"));
    let fields = [("name", "crm"), ("scope:calls", "1"), ("company:acme", "1"), ("expires", "2099-12-31")];
    let made = world.form(&admin, "/tokens", &fields).await;
    let token = secret_of(&text(&made), "token");
    assert!(token.starts_with("lsl_"), "{}", text(&made));
    let bearer = format!("Bearer {token}");
    assert_eq!(world.ask("GET", "/v1/calls", &[("authorization", &bearer)], Body::empty()).await.status, 200);
    let page = world.open_page(&admin, "/tokens").await;
    assert!(page.contains("31 Dec 2099") && !page.contains(&token), "shown once");
    for (fields, why) in [
        (&[("name", "a"), ("company:acme", "1")][..], "filled in"),
        (&[("name", "a"), ("scope:calls", "1")], "rights that they do not have"),
        (&[("name", "a"), ("scope:calls", "1"), ("company:acme", "1"), ("expires", "2020-01-01")], "a day to come"),
    ] {
        let bad = world.form(&admin, "/tokens", fields).await;
        assert!(bad.status == 422 && text(&bad).contains(why), "{why}: {}", text(&bad));
    }
    let id = hidden(&page, "id");
    assert_eq!(world.form(&admin, "/tokens/revoke", &[("id", &id)]).await.status, 303);
    assert_eq!(world.ask("GET", "/v1/calls", &[("authorization", &bearer)], Body::empty()).await.status, 401);
}

/// C7 and C8 on the card: a label of the dictionary, a comment at a place in the talk, a score; each with its right only.
#[tokio::test]
async fn c07_c08_a_call_is_labelled_commented_and_scored_on_its_card() {
    let world = world(Some(TOKEN));
    let id = world.heard_call(1);
    let (anna, ben) = (world.user("anna", &["agent@acme"]), world.user("ben", &["agent@acme"]));
    let card = format!("/calls/{id}");
    let page = world.open_page(&anna, &card).await;
    for form in ["label", "comments", "value", "score", "consent"] {
        assert!(page.contains(&format!("action=\"{card}/{form}\"")), "{form}");
    }
    let set = world.form(&anna, &format!("{card}/label"), &[("label", "warm")]).await;
    assert_eq!((set.status, set.header("location")), (303, &*format!("{card}?done=label#work")));
    assert!(world.open_page(&anna, &card).await.contains("value=\"warm\" aria-pressed=\"true\""));
    let unknown = world.form(&anna, &format!("{card}/label"), &[("label", EVIL)]).await;
    assert_eq!(unknown.status, 422);
    assert!(text(&unknown).contains("not in the company") && !text(&unknown).contains("<img src=x"));
    assert_eq!(world.form(&anna, &format!("{card}/label"), &[("label", "")]).await.status, 303);
    let labelled = world.told("call.labelled");
    assert_eq!(
        (&labelled[0]["label"], &labelled[1]["label"], &labelled[1]["by"]),
        (&json!("warm"), &Value::Null, &json!("anna"))
    );

    let said = world.form(&anna, &format!("{card}/comments"), &[("text", EVIL), ("at", "1:02.5")]).await;
    assert_eq!(said.status, 303);
    assert_eq!(world.told("call.commented")[0]["at_ms"], 62_500);
    let page = world.open_page(&anna, &card).await;
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert") && !page.contains("<img src=x"));
    assert!(page.contains("data-seek=\"62500\"") && page.contains(&format!("/v1/calls/{id}/recording#t=62.5")));
    let wrong = world.form(&anna, &format!("{card}/comments"), &[("text", "x"), ("at", "soon")]).await;
    assert_eq!(wrong.status, 422);
    let comment = hidden(&page, "comment");
    let not_mine = world.form(&ben, &format!("{card}/comments/remove"), &[("comment", &comment)]).await;
    assert_eq!(not_mine.status, 422, "only who wrote it");
    assert!(!world.open_page(&ben, &card).await.contains("comments/remove"));
    assert_eq!(world.form(&anna, &format!("{card}/comments/remove"), &[("comment", &comment)]).await.status, 303);

    let scored = world.form(&anna, &format!("{card}/score"), &[("card:overall", "80"), ("agent", "carol")]).await;
    assert_eq!(scored.status, 303, "{}", text(&scored));
    assert!(world.open_page(&anna, &card).await.contains("<strong>80</strong> / 100"));
    assert_eq!(world.form(&anna, &format!("{card}/score"), &[("card:overall", "101")]).await.status, 422);

    let auditor = world.user("otto", &["auditor@acme"]);
    let page = world.open_page(&auditor, &card).await;
    assert!(!page.contains("method=\"post\" action=\"/calls/"), "no form without its right");
    assert!(!page.contains("<audio") && !page.contains("+4479000000"), "who hears nobody and sees no numbers");
    assert_eq!(world.form(&auditor, &format!("{card}/label"), &[("label", "warm")]).await.status, 403);
    let other = world.user("oscar", &["agent@other"]);
    assert_eq!(world.form(&other, &format!("{card}/label"), &[("label", "warm")]).await.status, 404);
}

#[tokio::test]
async fn a_deal_and_a_call_back_are_written_down_on_the_card_and_lead_back() {
    let world = world(Some(TOKEN));
    let id = world.call(1, Some(Outcome::NoAnswer));
    let anna = world.user("anna", &["agent@acme"]);
    let card = format!("/calls/{id}");
    let deal = [("amount", "1 200,50"), ("currency", "gbp"), ("stage", "won"), ("deal_id", "D-1")];
    assert_eq!(world.form(&anna, &format!("{card}/value"), &deal).await.status, 303);
    let told = &world.told("call.valued")[0];
    assert_eq!((&told["value"], &told["currency"], &told["stage"]), (&json!(120_050), &json!("GBP"), &json!("won")));
    let page = world.open_page(&anna, &card).await;
    assert!(page.contains("1,200.50\u{a0}GBP") && page.contains("value=\"1200.50\"") && page.contains("won"), "{page}");
    for bad in ["-1", "1.234", "many"] {
        assert_eq!(world.form(&anna, &format!("{card}/value"), &[("amount", bad)]).await.status, 422, "{bad}");
    }
    assert!(page.contains("called-back"));
    let back = world
        .form(&anna, &format!("{card}/called-back"), &[("done", "true"), ("back", "/missed?since=2026-11-01")])
        .await;
    assert_eq!((back.status, back.header("location")), (303, "/missed?since=2026-11-01"));
    let away =
        world.form(&anna, &format!("{card}/called-back"), &[("done", "false"), ("back", "//evil.example")]).await;
    assert_eq!(away.header("location"), "/");
    let told: Vec<Value> = world.told("call.called_back").iter().map(|event| event["done"].clone()).collect();
    assert_eq!(told, [json!(true), json!(false)]);
}

/// C11: contacts with their first source and a consent flag, as a list and as a file; whoever opted out is not in the file.
#[tokio::test]
async fn c11_the_customer_base_is_listed_and_exported_with_consent_only() {
    let world = world(Some(TOKEN));
    for minute in 1..=3 {
        world.call(minute, Some(Outcome::Answered));
    }
    let mut named = call_data(1, Some(Outcome::Answered));
    named.call_id = CallId(named.call_id.0 + 77);
    named.attribution.kind = AttributionKind::Static;
    let id = named.call_id.to_string();
    world.tell(EventBody::CallEnded(Box::new(named)), &id);
    world.lead("l-1", Some("+447900000002"), Some("ann@acme.example"), true);
    world.lead("l-2", None, Some("Only@mail.example"), true);
    world.lead("l-3", None, Some("only@mail.example"), false);
    let agent = world.user("anna", &["agent@acme"]);
    let say = |phone: &str, consent: bool| json!({ "company": "acme", "phone": phone, "consent": consent }).to_string();
    world.as_user(&agent, "PUT", "/v1/contacts/consent", say("+447900000001", true)).await;
    world.as_user(&agent, "PUT", "/v1/contacts/consent", say("+447900000003", false)).await;
    let admin = world.user("adam", &["admin@acme"]);
    let list = async |query: &str| world.as_user(&admin, "GET", &format!("/v1/contacts{query}"), Body::empty()).await;
    let all = list("").await.json();
    let contacts = all["contacts"].as_array().unwrap();
    assert_eq!((contacts.len(), &all["next_cursor"]), (4, &Value::Null), "{all}");
    let by = |phone: &str| contacts.iter().find(|one| one["phone"] == *phone).unwrap();
    assert_eq!((&by("+447900000001")["calls"], &by("+447900000001")["consent"]), (&json!(2), &json!(true)));
    let ann = by("+447900000002");
    assert_eq!((&ann["email"], &ann["leads"], &ann["consent"]), (&json!("ann@acme.example"), &json!(1), &json!(true)));
    assert_eq!(by("+447900000003")["consent"], false);
    let only = contacts.iter().find(|one| one["phone"].is_null()).unwrap();
    assert_eq!(
        (&only["email"], &only["leads"], &only["source"]),
        (&json!("only@mail.example"), &json!(2), &json!("google"))
    );
    // Page by page nobody is lost and nobody comes twice.
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = list(&format!("?limit=1{cursor}")).await.json();
        seen.extend(page["contacts"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, *contacts);
    for (query, count) in [
        ("?consent=given", 3),
        ("?consent=refused", 1),
        ("?consent=unknown", 0),
        ("?q=ann", 2),
        ("?q=0000003", 1),
        ("?q=100%25", 0),
        ("?source=Google", 1),
        ("?company=other", 0),
    ] {
        assert_eq!(list(query).await.json()["contacts"].as_array().unwrap().len(), count, "{query}");
    }
    for bad in ["?consent=maybe", "?cursor=x", "?limit=0", "?format=pdf", "?x=1", "?format=csv&consent=refused"] {
        assert_eq!(list(bad).await.status, 400, "{bad}");
    }
    let file = list("?format=csv").await;
    let csv = text(&file);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    assert!(
        csv.contains("\r\nacme,+447900000001,")
            && csv.contains("ann@acme.example")
            && csv.contains("only@mail.example"),
        "{csv}"
    );
    assert!(!csv.contains("+447900000003"), "whoever opted out is not called: {csv}");
    let told = world.told("report.exported");
    assert_eq!((&told[0]["report"], &told[0]["rows"], &told[0]["by"]), (&json!("contacts"), &json!(3), &json!("adam")));

    // Who works without numbers finds nobody by one, and takes none out.
    let marketer = world.user("mia", &["marketer@acme"]);
    let masked = world.as_user(&marketer, "GET", "/v1/contacts?format=csv", Body::empty()).await;
    assert!(
        masked.status == 200 && !text(&masked).contains("+4479000000") && !text(&masked).contains("Smith"),
        "{}",
        text(&masked)
    );
    let json = text(&world.as_user(&marketer, "GET", "/v1/contacts", Body::empty()).await);
    assert!(!json.contains("+4479000000") && !json.contains("Smith") && !json.contains("ann@"), "{json}");
    assert_eq!(world.as_user(&marketer, "GET", "/v1/contacts?q=0000001", Body::empty()).await.code(), "numbers_hidden");
    let page = world.open_page(&marketer, "/contacts?q=0000001").await;
    assert!(!page.contains("+4479000000") && !page.contains("Smith") && !page.contains("/contacts/consent"));
    assert_eq!(world.as_user(&agent, "GET", "/v1/contacts?format=csv", Body::empty()).await.code(), "not_allowed");
    let other = world.user("oscar", &["admin@other"]);
    assert_eq!(world.as_user(&other, "GET", "/v1/contacts", Body::empty()).await.json()["contacts"], json!([]));
    assert_eq!(text(&world.as_user(&other, "GET", "/v1/contacts?format=csv", Body::empty()).await).lines().count(), 1);
}

/// I11: nothing that a form sent is a formula in the file.
#[tokio::test]
async fn i11_no_cell_of_the_contacts_file_is_a_formula() {
    let world = world(Some(TOKEN));
    world.lead("l-1", Some("+447900000002"), Some("@SUM(A1)@x.example"), true);
    let admin = world.user("adam", &["admin@acme"]);
    let file = text(&world.as_user(&admin, "GET", "/v1/contacts?format=csv", Body::empty()).await);
    let mut reader = csv::Reader::from_reader(file.as_bytes());
    for cell in reader.records().next().unwrap().unwrap().iter() {
        let is_number = cell.strip_prefix('+').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
        assert!(is_number || !cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
    assert!(
        file.contains("'=1+1 Ann Smith") && file.contains("'@SUM(A1)@x.example") && file.contains(",+447900000002,")
    );
}

#[tokio::test]
async fn c11_consent_is_set_from_the_list_and_from_the_card() {
    let world = world(Some(TOKEN));
    let id = world.call(1, Some(Outcome::Answered));
    let anna = world.user("anna", &["agent@acme"]);
    let page = world.open_page(&anna, "/contacts?consent=unknown").await;
    assert!(page.contains("+447900000001") && page.contains("action=\"/contacts/consent\""));
    let back = hidden(&page, "back");
    let fields = [("company", "acme"), ("phone", "+447900000001"), ("consent", "true"), ("back", back.as_str())];
    let set = world.form(&anna, "/contacts/consent", &fields).await;
    assert_eq!((set.status, set.header("location")), (303, "/contacts?consent=unknown"));
    let card = format!("/calls/{id}");
    assert!(world.open_page(&anna, &card).await.contains("agreed"));
    assert_eq!(world.form(&anna, &format!("{card}/consent"), &[("consent", "false")]).await.status, 303);
    assert!(world.open_page(&anna, &card).await.contains("opted out"));
    let told: Vec<Value> = world.told("contact.consented").iter().map(|event| event["consent"].clone()).collect();
    assert_eq!(told, [json!(true), json!(false)]);
    assert_eq!(
        world
            .form(&anna, "/contacts/consent", &[("company", "acme"), ("phone", "x"), ("consent", "true")])
            .await
            .status,
        422
    );
}

/// R2: costs from a form, pasted or as a file: every wrong line is named, nothing is half done, and what came is shown.
#[tokio::test]
async fn r02_costs_are_checked_line_by_line_and_imported_from_the_console() {
    let world = world(Some(TOKEN));
    let mia = world.user("mia", &["marketer@acme"]);
    let good = "day;source;amount;clicks\n2026-11-01;google;12,50;10\n2026-11-02;yandex;3;\n";
    let send = |text: &'static str, go: &'static str| [("company", "acme"), ("text", text), ("go", go)];
    let bad = "day,source,amount\n2026-11-01,google,5\n2026-13-01,google,5\n2026-11-01,,5\n2026-11-01,google,5.123\n";
    // A browser ends the lines of a form with two characters.
    let sent = bad.replace('\n', "\r\n");
    let refused = world.form(&mia, "/costs", &[("company", "acme"), ("text", &sent), ("go", "import")]).await;
    let page = text(&refused);
    assert_eq!(refused.status, 422);
    for part in [
        "Line 3:",
        "the day must look like",
        "Line 4:",
        "source must not be empty",
        "Line 5:",
        "two decimals",
        "2026-13-01",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("Line 2:"));
    let checked = world.form(&mia, "/costs", &send(good, "check")).await;
    assert!(
        text(&checked).contains("2 rows are good: 2026-11-01 – 2026-11-02")
            && text(&checked).contains("12.50\u{a0}EUR"),
        "{}",
        text(&checked)
    );
    assert_eq!(world.told("cost.imported").len(), 0, "a check imports nothing");
    // A file, as a browser sends it.
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"company\"\r\n\r\nacme\r\n--b\r\nContent-Disposition: form-data; \
         name=\"go\"\r\n\r\nimport\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"c.csv\"\r\nContent-Type: \
         text/csv\r\n\r\n{good}\r\n--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n\r\n--b--\r\n"
    );
    let headers = [("cookie", mia.as_str()), OWN, ("content-type", "multipart/form-data; boundary=b")];
    let imported = world.ask("POST", "/costs", &headers, body).await;
    assert_eq!(imported.status, 303, "{}", text(&imported));
    let told = world.told("cost.imported");
    assert_eq!((&told[0]["rows"][0]["cost"], &told[0]["by"]), (&json!(1_250), &json!("mia")));
    let location = imported.header("location").to_owned();
    let page = world.open_page(&mia, &location).await;
    assert!(
        page.contains("The costs are imported") && page.contains("15.50\u{a0}EUR") && page.contains("mia"),
        "{page}"
    );
    let empty = world.form(&mia, "/costs", &send(" \n", "import")).await;
    assert!(empty.status == 422 && text(&empty).contains("Choose a file"));
    let theirs = world.form(&mia, "/costs", &[("company", "other"), ("text", good), ("go", "import")]).await;
    assert_eq!(theirs.status, 422);
    assert!(text(&theirs).contains("There is no such company"));
    let agent = world.user("anna", &["agent@acme"]);
    assert_eq!(world.form(&agent, "/costs", &send(good, "import")).await.status, 403);
}

/// R5: what was sent is listed by state, failed deliveries are tried again, and a dry run shows what would be sent.
#[tokio::test]
async fn r05_exports_are_listed_replayed_and_rehearsed() {
    let export = "[[export]]\nname = \"crm\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/hook\"\n\
                  secret = \"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"\n";
    let world = world_of(&format!("{CONFIG}{export}"), Some(TOKEN), None, mpsc::unbounded_channel().0);
    let (config, call) = (world.state.config.load_full(), world.call(1, Some(Outcome::Answered)));
    let failed: Vec<String> = world.state.exports.apply(config).await.iter().map(ToString::to_string).collect();
    assert_eq!(failed, Vec::<String>::new());
    let owner = world.user("olga", &["owner@*"]);
    let page = world.open_page(&owner, "/exports").await;
    for part in [">crm<", "Accepted", "Linked", "Rejected", "Events behind", "/exports/log?name=crm"] {
        assert!(page.contains(part), "{part}");
    }
    let log = world.open_page(&owner, "/exports/log?name=crm&state=dead").await;
    assert!(log.contains("Nothing of this kind was sent") && log.contains("action=\"/exports/dry-run\""));
    let none = world.form(&owner, "/exports/replay", &[("name", "crm")]).await;
    assert_eq!(none.header("location"), "/exports/log?name=crm&done=replay-none");
    assert_eq!(world.form(&owner, "/exports/replay", &[("name", "nobody")]).await.status, 404);
    let dry = world.form(&owner, "/exports/dry-run", &[("name", "crm"), ("limit", "20"), ("confidence", "0")]).await;
    assert_eq!(dry.status, 200, "{}", text(&dry));
    assert!(text(&dry).contains("Nothing was sent.") && text(&dry).contains("looked at"), "{}", text(&dry));
    assert_eq!(world.form(&owner, "/exports/dry-run", &[("name", "crm"), ("confidence", "500")]).await.status, 400);
    let auditor = world.user("otto", &["auditor@*"]);
    let page = world.open_page(&auditor, "/exports/log?name=crm").await;
    assert!(!page.contains("/exports/replay") && !page.contains("/exports/dry-run"), "reads and does nothing");
    assert_eq!(world.form(&auditor, "/exports/replay", &[("name", "crm")]).await.status, 403);
    assert!(world.open_page(&owner, &format!("/calls/{call}")).await.contains("id=\"sent\""));
    world.state.exports.shutdown(Duration::ZERO).await;
}
