//! Starting, stopping, and walking to the provider by way of another server.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use linkspan_simulator::browser::{Browser, Decision};
use linkspan_simulator::{Fault, Settings, Simulator};

use crate::{authorize_url, good_authorize, query, start, url, value};

fn address(simulator: &Simulator) -> SocketAddr {
    let found = simulator.base_url().socket_addrs(|| None);
    found.expect("an address")[0]
}

#[tokio::test]
async fn a_stop_frees_the_port_and_leaves_the_journal_readable() {
    let simulator = start().await;
    let (address, control) = (address(&simulator), simulator.control());
    let front = Browser::new().open(simulator.base_url().as_str()).await;
    assert_eq!(front.expect("the front page").status, 200);
    simulator.stop().await;
    assert!(TcpStream::connect(address).is_err());
    TcpListener::bind(address).expect("the port is free again");
    assert_eq!(control.requests().len(), 1);
}

#[test]
fn a_drop_stops_it_from_any_runtime() {
    for runtime in [
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build(),
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build(),
    ] {
        let runtime = runtime.expect("a runtime");
        let simulator = runtime.block_on(start());
        let address = address(&simulator);
        drop(runtime);
        assert!(
            TcpStream::connect(address).is_ok(),
            "it outlives the runtime"
        );
        drop(simulator);
        assert!(TcpStream::connect(address).is_err());
    }
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let settings = Settings {
        bind: taken.local_addr().expect("its address"),
        ..Settings::default()
    };
    assert!(Simulator::start(settings).await.is_err());
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_before_it_is_sent() {
    let simulator = start().await;
    let mut stream = TcpStream::connect(address(&simulator)).expect("a connection");
    let head = "POST /api/echo HTTP/1.1\r\nhost: demo\r\nconnection: close\r\n";
    write!(stream, "{head}content-length: 99999999\r\n\r\n").expect("a request");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("a status line");
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(simulator.control().refusals().len(), 1);
}

#[tokio::test]
async fn the_browser_follows_redirects_to_the_provider_and_keeps_cookies() {
    let (provider, product) = (start().await, start().await);
    let control = product.control();
    // The product's side of a flow: a cookie, then off to the provider.
    control.fail_next(Fault::Status {
        path: "/connect".into(),
        status: 302,
        headers: vec![
            (
                "location".into(),
                authorize_url(&provider, &callback_at(&product)),
            ),
            ("set-cookie".into(), "flow=abc; Path=/; HttpOnly".into()),
        ],
        body: String::new(),
    });
    control.fail_next(Fault::Status {
        path: "/callback".into(),
        status: 200,
        headers: Vec::new(),
        body: "connected".into(),
    });
    let mut browser = Browser::new();
    let user = Settings::default().user;
    let start = url(&product, "connect");
    let location = browser.authorize(&start, &user, Decision::Allow).await;
    let location = location.expect("a redirect to the product");
    assert_ne!(value(&query(&location), "code"), "");

    let page = browser.open(&location).await.expect("the callback page");
    assert_eq!((page.status, page.body.as_str()), (200, "connected"));
    let requests = control.requests();
    let callback = requests.last().expect("the callback request");
    assert_eq!(callback.header("cookie"), Some("flow=abc"));
    assert_eq!(provider.control().refusals(), []);
}

fn callback_at(product: &Simulator) -> crate::Fields {
    let mut fields = good_authorize();
    let target = fields.iter_mut().find(|(name, _)| *name == "redirect_uri");
    target.expect("the field").1 = url(product, "callback");
    fields
}
