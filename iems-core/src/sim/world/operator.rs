//! The operator: orders about messages and hops, and other settings, by chance.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{World, trace};
use crate::message::{ChannelId, Domain, Mailbox, NextHop};
use crate::queue::{Entry, Extent, Filter, HopName, Order};
use crate::report::What;
use crate::seam::Clock;

impl World {
    /// Does one thing.
    pub(super) async fn operator(&mut self) {
        match self.dice.below(12) {
            0 | 1 => self.order(Order::Retry).await,
            2 => self.order(Order::Hold).await,
            3 => self.release_some().await,
            4 if self.dice.chance(600) => self.end_some(Order::Purge).await,
            5 if self.dice.chance(600) => self.end_some(Order::Bounce(None)).await,
            6 => self.pause().await,
            7 => self.resume().await,
            8 => self.reroute().await,
            9 | 10 => self.redirect().await,
            _ => self.change_settings(),
        }
    }

    /// All of the queue, or what concerns one place or one sender.
    fn some_filter(&self) -> Filter {
        let mut filter = Filter::default();
        match self.dice.below(3) {
            0 => filter.domain = self.some_place().parse::<Domain>().ok(),
            1 => filter.sender = Some(format!("s{}@here.example", self.dice.below(3))),
            _ => {}
        }
        filter
    }

    fn some_place(&self) -> String {
        format!("far{}.example", self.dice.below(self.plan.places))
    }

    /// An order that ends nothing.
    async fn order(&mut self, order: Order) {
        let filter = self.some_filter();
        self.carry_out(order, &filter).await;
    }

    /// What is held waits again, and what is to go later may go now.
    async fn release_some(&mut self) {
        let (filter, began) = (self.some_filter(), self.clock.elapsed());
        let meant = self.bare.list(&filter, usize::MAX).await.unwrap_or_default();
        self.ledger.let_go(&meant);
        self.carry_out(Order::Release, &filter).await;
        let meant = self.bare.list(&filter, usize::MAX).await.unwrap_or_default();
        self.ledger.let_go(&meant);
        if self.clock.elapsed() > began {
            self.ledger.all_meant(|way| way.early = true);
        }
    }

    /// What waits for one place goes through another from now on.
    async fn reroute(&mut self) {
        let (place, other, began) = (self.some_place(), self.some_place(), self.clock.elapsed());
        let filter = Filter { domain: place.parse::<Domain>().ok(), ..Filter::default() };
        let meant = self.bare.list(&filter, usize::MAX).await.unwrap_or_default();
        self.ledger.rerouted(&meant);
        self.carry_out(Order::Via(ChannelId::new("far"), NextHop::new(&other)), &filter).await;
        let meant = self.bare.list(&filter, usize::MAX).await.unwrap_or_default();
        self.ledger.rerouted(&meant);
        if self.clock.elapsed() > began {
            self.ledger.all_meant(|way| way.rerouted = true);
        }
    }

    /// What waits of one letter for one place goes to somebody else.
    async fn redirect(&mut self) {
        let all = self.bare.list(&Filter::default(), usize::MAX).await.unwrap_or_default();
        let is_letter = |entry: &&Entry| {
            let way = entry.recipients.first().and_then(|to| self.ledger.known(entry.id, to));
            way.is_some_and(|way| !way.copy && self.ledger.id_of(way) == Some(entry.id) && !way.is_local())
        };
        let letters: Vec<&Entry> = all.iter().filter(is_letter).collect();
        if letters.is_empty() {
            return;
        }
        let entry = (*self.dice.pick(&letters)).clone();
        self.redirects += 1;
        let to = format!("r{}@{}", self.redirects, self.some_place());
        let (Ok(mailbox), Some(first)) = (to.parse::<Mailbox>(), entry.recipients.first()) else { return };
        let Some((_, domain)) = first.rsplit_once('@') else { return };
        let filter = Filter { id: Some(entry.id), domain: domain.parse().ok(), ..Filter::default() };
        self.carry_out(Order::Redirect(mailbox), &filter).await;
        // What is durable counts, whatever was answered.
        let Ok(Some(story)) = self.bare.explain(entry.id).await else { return };
        for event in &story.events {
            let What::Redirected { mailboxes, to: other, message } = &event.what else { continue };
            let number = self.ledger.numbers.get(&entry.id).copied();
            if let (true, Some(number), Some(first), Ok(id)) =
                (other.to_string() == to, number, mailboxes.first(), message.parse())
            {
                self.ledger.redirected(number, &first.to_string(), id, &to);
                trace!(self, "letter {number} goes as {id} to {to}");
            }
        }
    }

    async fn carry_out(&mut self, order: Order, filter: &Filter) {
        let Some(host) = self.some_host() else { return };
        let done = host.engine.queue().carry_out(&order, filter, &Extent::default()).await;
        self.disturb();
        match done {
            Ok(done) => trace!(self, "the operator says {} to {} groups", order.name(), done.changed),
            Err(error) => trace!(self, "the operator cannot {}: {error}", order.name()),
        }
    }

    /// An order that ends what it is about.
    async fn end_some(&mut self, order: Order) {
        let filter = self.some_filter();
        let Some(host) = self.some_host() else { return };
        let (queue, began) = (host.engine.queue(), self.clock.elapsed());
        let meant = self.bare.list(&filter, usize::MAX).await.unwrap_or_default();
        self.ledger.dismissed(&meant);
        let done = queue.carry_out(&order, &filter, &Extent::default()).await;
        let meant = self.bare.list(&filter, usize::MAX).await.unwrap_or_default();
        self.ledger.dismissed(&meant);
        if self.clock.elapsed() > began {
            self.ledger.perhaps_dismissed(); // what came in between may have been meant too
        }
        match done {
            Ok(done) => trace!(self, "the operator says {} to {} groups", order.name(), done.changed),
            Err(error) => trace!(self, "the operator cannot {}: {error}", order.name()),
        }
    }

    async fn pause(&mut self) {
        let place = self.some_place();
        let Some(host) = self.some_host() else { return };
        let done = host.engine.queue().pause(Some(&hop_of(&place)), "by chance").await;
        self.disturb();
        trace!(self, "the operator stops {place}: {done:?}");
        self.paused.insert(place); // also if it is not known whether it took effect
    }

    async fn resume(&mut self) {
        let Some(place) = self.paused.first().cloned() else { return };
        let Some(host) = self.some_host() else { return };
        let done = host.engine.queue().resume(Some(&hop_of(&place))).await;
        self.disturb();
        trace!(self, "the operator lets {place} go on: {done:?}");
        if done.is_ok() {
            self.paused.remove(&place);
        }
    }

    /// Nothing is stopped or held any more, as soon as storage lets it be so.
    pub(super) async fn let_all_go(&mut self) {
        for place in std::mem::take(&mut self.paused) {
            let Some(host) = self.some_host() else { return };
            if host.engine.queue().resume(Some(&hop_of(&place))).await.is_err() {
                self.paused.insert(place);
            }
        }
        self.ledger.all_meant(|way| way.early = true);
        let Some(host) = self.some_host() else { return };
        let _ = host.engine.queue().carry_out(&Order::Release, &Filter::default(), &Extent::default()).await;
        self.disturb();
    }

    fn change_settings(&mut self) {
        let peer = &mut self.settings.peers.default;
        peer.concurrency = 1 + self.dice.below(4) as usize;
        peer.link_idle = Duration::from_millis(self.dice.below(5000));
        peer.messages_per_link = *self.dice.pick(&[1, 3, 1000]);
        self.bounds.0 = self.bounds.0.max(peer.concurrency);
        self.settings.concurrency = *self.dice.pick(&[3, 10, 200]);
        self.bounds.1 = self.bounds.1.max(self.settings.concurrency);
        self.disturb();
        let (per_hop, in_all) = (self.settings.peers.default.concurrency, self.settings.concurrency);
        trace!(self, "settings: {per_hop} links to a hop, {in_all} in all");
        self.hosts.iter().flatten().for_each(|host| host.engine.replace(self.settings.clone()));
    }
}

/// Places that an operator stopped, or may have.
pub(super) type Paused = BTreeSet<String>;

fn hop_of(place: &str) -> HopName {
    HopName { channel: ChannelId::new("far"), hop: NextHop::new(place) }
}
