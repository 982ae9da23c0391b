//! Asking servers that validate: AD is set in every question (RFC 6840 section 5.7), and an answer that has it is marked, record
//! by record, as proven. So an alias from one answer and its target from another count separately.

use std::net::IpAddr;
use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use hickory_resolver::config::ConnectionConfig;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsHandle, NetError};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::op::{DnsRequest, DnsResponse};
use hickory_resolver::{ConnectionProvider, PoolContext};

type Exchange = <TokioRuntimeProvider as ConnectionProvider>::Conn;
type Answers = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
type Connecting = Pin<Box<dyn Future<Output = Result<Trusting, NetError>> + Send>>;

/// Makes connections to servers whose word counts.
#[derive(Clone, Default)]
pub(super) struct TrustingProvider(TokioRuntimeProvider);

impl ConnectionProvider for TrustingProvider {
    type Conn = Trusting;
    type FutureConn = Connecting;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        ip: IpAddr,
        config: &ConnectionConfig,
        cx: &PoolContext,
    ) -> Result<Connecting, NetError> {
        let connecting = self.0.new_connection(ip, config, cx)?;
        Ok(Box::pin(async move { connecting.await.map(Trusting) }))
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.0
    }
}

/// A connection to such a server.
#[derive(Clone)]
pub(super) struct Trusting(Exchange);

impl DnsHandle for Trusting {
    type Response = Answers;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, mut request: DnsRequest) -> Answers {
        request.metadata.authentic_data = true;
        Box::pin(self.0.send(request).map(|answer| answer.map(mark)))
    }
}

fn mark(mut response: DnsResponse) -> DnsResponse {
    let proof = if response.metadata.authentic_data { Proof::Secure } else { Proof::Insecure };
    for record in &mut response.answers {
        record.proof = proof;
    }
    response
}
