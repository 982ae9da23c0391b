//! The texts that one search looks for, and what an index knows of them.

use std::collections::HashMap;

use iems_store::mailbox::MessageInfo;
use iems_store::search::{KnownTexts, Needle, TELLING};

use super::Searched;

/// Texts that are looked for, each once.
#[derive(Debug, Default)]
pub(super) struct Needles {
    all: Vec<Needle>,
    places: HashMap<Needle, usize>,
    fields: usize,
}

impl Needles {
    /// The place of a text, which is added if it is new.
    pub(super) fn place(&mut self, needle: &Needle) -> usize {
        if let Some(place) = self.places.get(needle) {
            return *place;
        }
        self.all.push(needle.clone());
        self.places.insert(needle.clone(), self.all.len() - 1);
        self.all.len() - 1
    }

    /// The place of the next field that is asked of.
    pub(super) fn field(&mut self) -> usize {
        self.fields += 1;
        self.fields - 1
    }
}

/// Texts that are looked for, and what is known of them.
pub(super) struct Looked {
    needles: Vec<Needle>,
    known: Option<Box<dyn KnownTexts>>,
}

impl Looked {
    /// Asks the index, if there is one and it can tell anything.
    pub(super) async fn up(needles: Needles, searched: &Searched<'_>) -> Self {
        let needles = needles.all;
        let known = match searched.index {
            Some(index) if is_telling(&needles) => index.ask(searched.account, &needles).await,
            _ => None,
        };
        Self { needles, known }
    }

    pub(super) fn needles(&self) -> &[Needle] {
        &self.needles
    }

    /// Whether an index could have told anything.
    pub(super) fn is_telling(&self) -> bool {
        is_telling(&self.needles)
    }

    pub(super) fn holds(&self, message: &MessageInfo) -> bool {
        self.known.as_ref().is_some_and(|known| known.holds(message))
    }

    pub(super) fn rules_out(&self, nth: usize, message: &MessageInfo) -> bool {
        self.known.as_ref().is_some_and(|known| known.rules_out(nth, message))
    }
}

fn is_telling(needles: &[Needle]) -> bool {
    needles.iter().any(|needle| needle.text.len() >= TELLING)
}
