//! How many links a site may have at a time: few at first, more while all goes well, half as many after trouble.
//!
//! The rule is that of TCP (RFC 5681 section 3.1): doubling until the first trouble, then one more a round; trouble counts
//! once a round, as what was under way when it began tells nothing new. Pure.

/// A window on the links of one site.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    width: f32,
    /// Up to here it doubles.
    threshold: f32,
    most: usize,
    /// Results that began before the last trouble.
    stale: u32,
}

impl Window {
    pub(crate) fn new(initial: usize, most: usize) -> Self {
        let most = most.max(1);
        Self { width: initial.clamp(1, most) as f32, threshold: f32::INFINITY, most, stale: 0 }
    }

    /// Links that may be open now.
    pub(crate) fn links(&self) -> usize {
        (self.width as usize).clamp(1, self.most)
    }

    /// A message went through while `in_use` links were busy. A window that is not used up does not grow.
    pub(crate) fn success(&mut self, in_use: usize) {
        self.stale = self.stale.saturating_sub(1);
        if in_use >= self.links() {
            let step = if self.width < self.threshold { 1.0 } else { 1.0 / self.width };
            self.width = (self.width + step).min(self.most as f32);
        }
    }

    /// The site refused a link, lost one, or asked for rest.
    pub(crate) fn trouble(&mut self) {
        if self.stale > 0 {
            self.stale -= 1;
            return;
        }
        self.stale = self.links() as u32 - 1;
        self.width = (self.width / 2.0).max(1.0);
        self.threshold = self.width;
    }

    /// The site is gone: it begins again with one link.
    pub(crate) fn fall(&mut self) {
        (self.width, self.threshold, self.stale) = (1.0, f32::INFINITY, 0);
    }

    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// The administrator changed the most.
    pub(crate) fn bound(&mut self, most: usize) {
        self.most = most.max(1);
        self.width = self.width.min(self.most as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_doubles_until_trouble_and_then_grows_by_one_a_round() {
        let mut window = Window::new(2, 64);
        let round = |window: &mut Window| (0..window.links()).for_each(|_| window.success(window.links()));
        round(&mut window);
        assert_eq!(window.links(), 4);
        round(&mut window);
        assert_eq!(window.links(), 8);
        (0..8).for_each(|_| window.trouble());
        assert_eq!(window.links(), 4, "one round of trouble counts once");
        round(&mut window);
        round(&mut window);
        assert!((5..=6).contains(&window.links()));
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut window = Window::new(5, 20);
        (0..100).for_each(|_| window.success(1));
        assert_eq!(window.links(), 5);
    }

    proptest! {
        #[test]
        fn it_stays_between_one_and_the_most(steps in proptest::collection::vec(any::<(bool, u8)>(), 0..400), most in 0_usize..50) {
            let mut window = Window::new(5, most);
            for (good, in_use) in steps {
                if good { window.success(in_use.into()) } else { window.trouble() }
                prop_assert!((1..=most.max(1)).contains(&window.links()));
            }
        }
    }
}
