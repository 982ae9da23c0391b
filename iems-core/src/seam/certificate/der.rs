//! Just enough of DER (ITU-T X.690) to look into a certificate (RFC 5280 section 4.1). What does not fit is `None`.

/// Elements one behind the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The tag and the content of the next element.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match usize::from(*first) {
            short @ 0..=0x7f => (short, rest),
            long @ 0x81..=0x83 => {
                let (octets, rest) = rest.split_at_checked(long & 0x7f)?;
                (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The content of the next element, which has to have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The same, as elements.
    pub(super) fn within(&mut self, tag: u8) -> Option<Self> {
        self.expect(tag).map(Self)
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Reader::next(self)
    }
}

/// A string of a name or an alternative name, fit to be shown: no control characters, not long.
pub(super) fn text(tag: u8, content: &[u8]) -> String {
    let wide = |octets: &[u8]| u32::from(octets[0]) << 8 | u32::from(octets[1]);
    let shown = |c: char| if c.is_control() || c == '\u{fffd}' { '?' } else { c };
    let all: String = match tag {
        // BMPString.
        0x1e => content.chunks_exact(2).map(|two| char::from_u32(wide(two)).unwrap_or('?')).collect(),
        _ => String::from_utf8_lossy(content).into_owned(),
    };
    all.chars().map(shown).take(255).collect()
}
