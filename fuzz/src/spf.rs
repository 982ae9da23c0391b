//! SPF: whatever a domain publishes, an evaluation ends, within its bounds, and says nothing that breaks a line.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use iems_core::seam::{Answer, Mx, ResolveError, Resolver};
use iems_filters::spf::{Query, check_host};

pub(crate) const SEEDS: &[&[u8]] = &[
    b"v=spf1 a mx/24 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all",
    b"v=spf1 include:a.example exists:%{ir}.%{v}.%{d2} ?all exp=why.example",
    b"v=spf1 a:%{l1r-}.%{o}//64 ptr:%{p} redirect=%{d}",
    b"v=spf1 mx:%{S}.example exp=%{h} unknown=%{i} ~all",
    b"%{c} is not %{r} since %{t}%_%-%%",
];

/// More questions than ten terms, their exchangers and names can ask.
const QUESTIONS: usize = 2000;

/// A DNS that has the same text under every name.
struct Everywhere {
    text: String,
    asked: AtomicUsize,
}

impl Everywhere {
    fn answer<T>(&self, records: Vec<T>) -> Result<Answer<T>, ResolveError> {
        assert!(self.asked.fetch_add(1, Ordering::Relaxed) < QUESTIONS, "it asks for ever");
        Ok(Answer { records, secure: false, ttl: Duration::ZERO })
    }
}

#[async_trait]
impl Resolver for Everywhere {
    async fn mx(&self, _: &str) -> Result<Answer<Mx>, ResolveError> {
        let host = |preference| Mx { preference, host: "mail.example".into() };
        self.answer((0..10).map(host).collect())
    }

    async fn addresses(&self, name: &str) -> Result<Answer<IpAddr>, ResolveError> {
        assert!(name.len() <= 253 && name.is_ascii(), "{name:?} is no name");
        self.answer(vec![IpAddr::from([198, 51, 100, 1])])
    }

    async fn txt(&self, name: &str) -> Result<Answer<String>, ResolveError> {
        assert!(name.len() <= 253 && name.is_ascii(), "{name:?} is no name");
        self.answer(vec![self.text.clone()])
    }

    async fn names(&self, _: IpAddr) -> Result<Answer<String>, ResolveError> {
        self.answer((0..20).map(|n| format!("h{n}.example")).collect())
    }
}

pub(crate) fn run(octets: &[u8]) {
    let dns = Everywhere { text: String::from_utf8_lossy(octets).into_owned(), asked: AtomicUsize::new(0) };
    let query = Query {
        ip: IpAddr::from([192, 0, 2, 7]),
        domain: "far.example",
        sender: "bob-x.y@far.example",
        helo: "mail.far.example",
        receiver: "mx.our.example",
        seconds: 1,
    };
    let check = pin!(check_host(&dns, &query));
    // This DNS never lets anybody wait.
    let Poll::Ready(outcome) = check.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits for nothing")
    };
    let words = outcome.explanation.unwrap_or_default();
    assert!(words.len() <= 500 && words.bytes().all(|b| (b' '..=b'~').contains(&b)), "{words:?}");
}
