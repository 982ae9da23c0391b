//! Trees of letters that answer each other. Numbers instead of pointers, loops instead of recursion: a chain of answers
//! may be as long as the mailbox.

use crate::imap::types::ThreadNode;

/// How far up a letter is looked for among those it would be put under.
const HIGH: usize = 1000;
/// How far that may be in the mean, besides what all have together.
const MEAN: usize = 32;
/// What all have together.
const ALL: usize = 1_000_000;

/// What a node costs until it is told, in octets: itself, its children, what is kept of it while threads are made, and
/// as it is told.
pub(super) const NODE: usize = 240;

/// A letter, or a place for one that is not here.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Its place among the letters.
    pub(super) letter: Option<usize>,
    /// What it answers.
    pub(super) parent: Option<usize>,
    /// What answers it; only after [`Forest::grow`].
    pub(super) children: Vec<usize>,
    /// How many there are.
    count: usize,
}

/// Trees. Until they are grown, nodes know only their parents.
#[derive(Debug, Default)]
pub(super) struct Forest(pub(super) Vec<Node>, Climbed);

/// How often it was looked up, and how far in all.
#[derive(Debug, Default)]
struct Climbed {
    times: usize,
    steps: usize,
}

impl Forest {
    /// A new node.
    pub(super) fn add(&mut self, letter: Option<usize>) -> usize {
        self.0.push(Node { letter, ..Node::default() });
        self.0.len() - 1
    }

    /// Whether `child` may be put under `parent`: there would be no ring. What takes too long to find out may not.
    pub(super) fn fits(&mut self, child: usize, parent: usize) -> bool {
        if child == parent {
            return false;
        }
        if self.0[child].count == 0 {
            return true;
        }
        self.1.times += 1;
        let left = ALL.saturating_add(self.1.times.saturating_mul(MEAN)).saturating_sub(self.1.steps);
        let mut at = parent;
        for _ in 0..HIGH.min(left) {
            self.1.steps += 1;
            match self.0[at].parent {
                Some(above) if above == child => return false,
                Some(above) => at = above,
                None => return true,
            }
        }
        false
    }

    /// How many steps up were made in all.
    #[cfg(test)]
    pub(super) fn climbed(&self) -> usize {
        self.1.steps
    }

    /// Puts `child` under `parent`, or nowhere, before the trees are grown.
    pub(super) fn put(&mut self, child: usize, parent: Option<usize>) {
        if let Some(old) = std::mem::replace(&mut self.0[child].parent, parent) {
            self.0[old].count -= 1;
        }
        if let Some(new) = parent {
            self.0[new].count += 1;
        }
    }

    /// Lets every parent know its children; the nodes without parents.
    pub(super) fn grow(&mut self) -> Vec<usize> {
        self.0.iter_mut().for_each(|node| node.children.clear());
        let mut roots = Vec::new();
        for child in 0..self.0.len() {
            match self.0[child].parent {
                Some(parent) => self.0[parent].children.push(child),
                None => roots.push(child),
            }
        }
        roots
    }

    /// Puts a root under a node, in trees that are grown.
    pub(super) fn graft(&mut self, root: usize, parent: usize) {
        self.0[root].parent = Some(parent);
        self.0[parent].children.push(root);
    }

    /// All nodes under `roots` and these, each behind its parent.
    pub(super) fn under(&self, roots: &[usize]) -> Vec<usize> {
        let mut all = roots.to_vec();
        let mut at = 0;
        while let Some(node) = all.get(at) {
            all.extend_from_slice(&self.0[*node].children);
            at += 1;
        }
        all
    }

    /// The trees as they are told.
    pub(super) fn told(&self, roots: &[usize], number: impl Fn(usize) -> u32) -> Vec<ThreadNode> {
        let mut told: Vec<Option<ThreadNode>> = Vec::new();
        told.resize_with(self.0.len(), || None);
        for node in self.under(roots).into_iter().rev() {
            let of = &self.0[node];
            let children = of.children.iter().filter_map(|child| told[*child].take()).collect();
            told[node] = Some(ThreadNode { number: of.letter.map(&number), children });
        }
        roots.iter().filter_map(|root| told[*root].take()).collect()
    }
}
