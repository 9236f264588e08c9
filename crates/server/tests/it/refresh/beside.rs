//! Slack gives two pairs of tokens, each good once: the first is stored before the
//! second is asked for.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use linkspan_simulator::SeenRequest;
use linkspan_simulator::strict::{Answer, Refused, Strict};
use linkspan_testkit::{Reply, TestApp, relocated};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

const PATH: &str = "/connections/";

/// A request for the person's tokens, which waits for its answer.
type Asked = oneshot::Sender<()>;

/// Slack's token endpoint: each refresh token works once.
fn slack(request: &SeenRequest, spent: &Mutex<BTreeSet<String>>) -> Result<Answer, Refused> {
    let form: Vec<_> = url::form_urlencoded::parse(&request.body).collect();
    let get = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, v)| &**v);
    let Some(token) = get("refresh_token") else {
        let person = json!({ "id": "U1", "access_token": "person-1",
            "refresh_token": "person-r-1", "expires_in": 43200, "token_type": "user" });
        return Ok(Answer::json(&json!({ "ok": true, "access_token": "bot-1",
            "refresh_token": "bot-r-1", "expires_in": 43200, "token_type": "bot",
            "authed_user": person })));
    };
    if !spent.lock().unwrap().insert(token.to_owned()) {
        return Err(Refused::request("the refresh token was spent before"));
    }
    let (who, number) = token.split_once("-r-").unwrap();
    let number = number.parse::<u32>().unwrap() + 1;
    let kind = if who == "bot" { "bot" } else { "user" };
    Ok(Answer::json(
        &json!({ "ok": true, "access_token": format!("{who}-{number}"),
        "refresh_token": format!("{who}-r-{number}"), "expires_in": 43200, "token_type": kind }),
    ))
}

/// Slack, and the requests for the person's tokens, each of which waits.
async fn start() -> (Strict, mpsc::UnboundedReceiver<Asked>) {
    let (asked, requests) = mpsc::unbounded_channel();
    let spent = Arc::new(Mutex::default());
    let strict = Strict::start(move |request| {
        let answer = slack(request, &spent);
        if String::from_utf8_lossy(&request.body).contains("person-r-") {
            let (go_on, wait) = oneshot::channel();
            asked.send(go_on).unwrap();
            let _ = tokio::task::block_in_place(|| wait.blocking_recv());
        }
        answer
    });
    (strict.await.unwrap(), requests)
}

async fn connect(app: &TestApp) -> String {
    let client = json!({ "type": "OAUTH2", "client_id": "i", "client_secret": "s" });
    let body = json!({ "unique_key": "slack", "provider": "slack", "credentials": client });
    assert_eq!(app.post("/integrations", body).await.status, 200);
    let start = app.begin("slack", &app.connect_session().await).await;
    let location: url::Url = start.header("location").unwrap().parse().unwrap();
    let mut pairs = location.query_pairs();
    let state = pairs.find(|(name, _)| name == "state").unwrap().1;
    let back = format!("http://x/oauth/callback?code=c&state={state}");
    let page = app.come_back(&back, start.header("set-cookie")).await;
    assert_eq!(page.status, 200, "{page:?}");
    let list = app.get("/connections").await.json();
    let id = list["connections"][0]["connection_id"].as_str();
    id.unwrap().to_owned()
}

fn tokens(reply: &Reply) -> [Value; 4] {
    let credentials = &reply.json()["credentials"];
    let person = &credentials["raw"]["authed_user"];
    [credentials, person]
        .map(|of| ["access_token", "refresh_token"].map(|name| of[name].clone()))
        .concat()
        .try_into()
        .unwrap()
}

#[derive(diesel::QueryableByName)]
struct Version {
    #[diesel(sql_type = BigInt)]
    version: i64,
}

async fn version(app: &TestApp, of: &str, id: &str) -> i64 {
    let mut conn = app.core.db.conn().await.unwrap();
    let query = format!(
        "SELECT {of}.credentials_version AS version FROM connections JOIN refresh_leases \
         ON connection = id WHERE connection_id = $1"
    );
    let query = diesel::sql_query(query).bind::<Text, _>(id);
    let found: Version = query.get_result(&mut conn).await.unwrap();
    found.version
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_pair_is_stored_before_the_second_is_asked_for() {
    let (strict, mut requests) = start().await;
    let folder = relocated(&["slack"], &strict.url());
    let setting = ("LINKSPAN_PROVIDERS_DIR", folder.path().to_str().unwrap());
    let app = TestApp::start_with(&[setting, ("LINKSPAN_CACHE_TTL_MS", "0")]).await;
    let id = connect(&app).await;
    let path = format!("{PATH}{id}?provider_config_key=slack");
    let forced = format!("{path}&force_refresh=true");
    let refresh = async { app.get(&forced).await };
    let looks = async {
        let go_on = requests.recv().await.unwrap();
        // Whoever looks now finds what a process that was killed here would leave.
        let now = tokens(&app.get(&path).await);
        assert_eq!(now, ["bot-2", "bot-r-2", "person-1", "person-r-1"]);
        let (stored, leased) = ("connections", "refresh_leases");
        let versions = (
            version(&app, stored, &id).await,
            version(&app, leased, &id).await,
        );
        assert_eq!(
            versions.0, versions.1,
            "it is repeated if it is left behind"
        );
        go_on.send(()).unwrap();
    };
    let (refreshed, ()) = tokio::join!(refresh, looks);
    let after = ["bot-2", "bot-r-2", "person-2", "person-r-2"];
    assert_eq!(tokens(&refreshed), after);
    assert_eq!(tokens(&app.get(&path).await), after);

    // What the person's request costs when it gets no answer is nothing else.
    let looks = async { drop(requests.recv().await.unwrap()) };
    let (refreshed, ()) = tokio::join!(async { app.get(&forced).await }, looks);
    assert_eq!(
        tokens(&refreshed),
        ["bot-3", "bot-r-3", "person-3", "person-r-3"]
    );
    assert_eq!(strict.refusals(), []);
}
