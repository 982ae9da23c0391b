//! Routing: from a recipient to where it goes, by the route table and the directory.
//! Unknown recipients are refused here, so that they are never bounced later.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;

use super::{RouteTable, Via};
use crate::engine::Shared;
use crate::message::{ChannelId, EnhancedStatus, Mailbox, NextHop, Reply};
use crate::seam::{Resolution, Target};
use crate::settings::Settings;

/// One way a recipient's mail takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The output channel or agent.
    pub channel: ChannelId,
    /// The next hop in its words; for an agent the domain.
    pub hop: NextHop,
    /// The address there.
    pub mailbox: Mailbox,
    /// What stood behind the `+` of a subaddress, for agents.
    pub detail: Option<String>,
    /// Whether it is an agent of ours.
    pub agent: bool,
}

/// Where a recipient's mail goes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The ways; never empty.
    pub ways: Vec<Way>,
    /// Why, step by step, for people.
    pub reason: String,
    /// Whether the address is one of ours, so that anybody may write to it.
    pub local: bool,
}

/// How many aliases and forwards in a row are followed.
const DEPTH: usize = 16;

/// The pseudo-channel of recipients that could not be routed yet: the queue routes them again when due.
pub(crate) const UNROUTED: &str = "route";

/// Routes `mailbox`.
pub(crate) async fn route(shared: &Shared, settings: &Settings, mailbox: &Mailbox) -> Result<Route, Reply> {
    let mut walk = Walk { shared, settings, ways: Vec::new(), seen: HashSet::new(), reason: Vec::new() };
    let local = walk.follow(mailbox.clone(), 0).await?;
    match walk.ways.is_empty() {
        true => Err(Reply::defer(3, 5, "the address leads nowhere now; try again later")
            .because("aliases lead back to themselves")),
        false => Ok(Route { ways: walk.ways, reason: walk.reason.join("; "), local }),
    }
}

struct Walk<'a> {
    shared: &'a Shared,
    settings: &'a Settings,
    ways: Vec<Way>,
    seen: HashSet<String>,
    reason: Vec<String>,
}

impl Walk<'_> {
    /// Follows one address; says whether it is one of ours.
    fn follow(
        &mut self,
        mailbox: Mailbox,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<bool, Reply>> + Send + '_>> {
        Box::pin(async move {
            if depth > DEPTH || self.seen.len() > self.settings.limits.expansion {
                return Err(Reply::new(
                    451,
                    EnhancedStatus::new(4, 4, 6),
                    "the address leads to too many others; try again later",
                )
                .because(format!(
                    "more than {DEPTH} steps or {} addresses",
                    self.settings.limits.expansion
                )));
            }
            if !self.seen.insert(mailbox.folded()) {
                return Ok(true);
            }
            let resolution = self.shared.directory.resolve(&mailbox).await;
            match resolution.map_err(|e| {
                Reply::defer(3, 0, "the directory does not answer; try again later").because(e.to_string())
            })? {
                Resolution::Foreign => self.foreign(mailbox).map(|()| false),
                Resolution::Unknown => {
                    Err(Reply::refuse(1, 1, format!("there is no mailbox {mailbox} here; check the address")))
                }
                Resolution::Refused(reply) => Err(reply),
                Resolution::Targets(targets) => self.targets(mailbox, targets, depth).await.map(|()| true),
            }
        })
    }

    async fn targets(&mut self, mailbox: Mailbox, targets: Vec<Target>, depth: usize) -> Result<(), Reply> {
        for target in targets {
            match target {
                Target::Forward(next) => {
                    self.reason.push(format!("{mailbox} is forwarded to {next}"));
                    self.follow(next, depth + 1).await?;
                }
                Target::Channel { channel, hop, mailbox: there } => {
                    self.reason.push(format!("{mailbox} is an address of channel {channel}"));
                    self.leave(there, &Via::Channel { channel, hop: Some(hop) })?;
                }
                Target::Agent { agent, mailbox: account, detail } => {
                    self.own(&mailbox, agent, account, detail)?
                }
            }
        }
        Ok(())
    }

    /// One of ours: to its agent, unless a route names its domain.
    fn own(
        &mut self,
        asked: &Mailbox,
        agent: ChannelId,
        account: Mailbox,
        detail: Option<String>,
    ) -> Result<(), Reply> {
        let routes: &RouteTable = &self.settings.routes;
        match routes.named(account.domain()) {
            Some((pattern, via)) if *via != Via::Local => {
                self.reason.push(format!("{account} is local; route {pattern} says {}", describe(via)));
                self.leave(account, &via.clone())
            }
            _ => {
                self.reason.push(match account == *asked {
                    true => format!("{account} is an account"),
                    false => format!("{asked} belongs to {account}"),
                });
                let hop = NextHop::new(account.domain().as_str());
                self.add(Way { channel: agent, hop, mailbox: account, detail, agent: true });
                Ok(())
            }
        }
    }

    fn foreign(&mut self, mailbox: Mailbox) -> Result<(), Reply> {
        match self.settings.routes.at(mailbox.domain()) {
            Some((pattern, via)) => {
                self.reason.push(format!("{} matches route {pattern}: {}", mailbox.domain(), describe(via)));
                self.leave(mailbox, &via.clone())
            }
            None => Err(Reply::refuse(
                4,
                4,
                format!("there is no route to {}; check the domain", mailbox.domain()),
            )),
        }
    }

    fn leave(&mut self, mailbox: Mailbox, via: &Via) -> Result<(), Reply> {
        match via {
            Via::Refuse(reply) => Err(reply.clone()),
            Via::Local => Err(Reply::refuse(
                1,
                2,
                format!("{} is not a domain of this system; check the address", mailbox.domain()),
            )),
            Via::Channel { channel, hop } => {
                let Some(output) = self.shared.outputs.get(channel) else {
                    return Err(Reply::defer(3, 5, "the route is not usable now; try again later")
                        .because(format!("no output channel {channel}")));
                };
                let hop = hop.clone().unwrap_or_else(|| output.next_hop(&mailbox));
                self.add(Way { channel: channel.clone(), hop, mailbox, detail: None, agent: false });
                Ok(())
            }
        }
    }

    fn add(&mut self, way: Way) {
        if !self.ways.contains(&way) {
            self.ways.push(way);
        }
    }
}

fn describe(via: &Via) -> String {
    match via {
        Via::Local => "local".into(),
        Via::Refuse(reply) => format!("refuse with {reply}"),
        Via::Channel { channel, hop: Some(hop) } => format!("{channel} to {hop}"),
        Via::Channel { channel, hop: None } => format!("{channel} by the domain"),
    }
}
