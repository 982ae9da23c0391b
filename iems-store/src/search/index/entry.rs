//! A message as the library takes it in.

use tantivy::schema::Field;
use tantivy::schema::document::{Document, ReferenceValue, ReferenceValueLeaf, Value};
use tokio::sync::OwnedSemaphorePermit;

use super::super::TELLING;
use super::schema::Fields;

/// What is taken in of a message.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) fields: Fields,
    pub(super) email: u64,
    pub(super) mark: u64,
    pub(super) whole: bool,
    /// Triples, one behind the other.
    pub(super) body: Box<[u8]>,
    pub(super) header: Box<[u8]>,
    /// Its part of what may wait for the library's thread, given back when that is done with it.
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

/// One value of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    Number(u64),
    Triple(&'a [u8]),
}

impl<'a> Value<'a> for Cell<'a> {
    type ArrayIter = std::iter::Empty<Self>;
    type ObjectIter = std::iter::Empty<(&'a str, Self)>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        ReferenceValue::Leaf(match self {
            Self::Number(number) => ReferenceValueLeaf::U64(*number),
            Self::Triple(octets) => ReferenceValueLeaf::Bytes(octets),
        })
    }
}

impl Document for Entry {
    type Value<'a> = Cell<'a>;
    type FieldsValuesIter<'a> = Box<dyn Iterator<Item = (Field, Cell<'a>)> + 'a>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        let Fields { email, mark, whole, body, header } = self.fields;
        let numbers = [(email, self.email), (mark, self.mark), (whole, u64::from(self.whole))];
        let bodies = self.body.chunks_exact(TELLING).map(move |three| (body, Cell::Triple(three)));
        let headers = self.header.chunks_exact(TELLING).map(move |three| (header, Cell::Triple(three)));
        let numbers = numbers.into_iter().map(|(field, number)| (field, Cell::Number(number)));
        Box::new(numbers.chain(bodies).chain(headers))
    }
}
