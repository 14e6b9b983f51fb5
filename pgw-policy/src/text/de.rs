//! Reads a part of the tree as one of the model's own types, and says at which of its fields that failed.

use super::tree::{Key, Node, Value};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor, value::StrDeserializer,
};
use std::{fmt, ops::Range};

/// Why a part could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The nearest part; `None` where that is the whole of what was read.
    pub(super) span: Option<Range<usize>>,
    /// The fields and places on the way, the innermost first.
    pub(super) way: Vec<Step>,
    pub(super) why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Field(String),
    Item(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// In the words of the type that was to be read.
    Says(String),
    Missing(&'static str),
    Unknown {
        name: String,
        known: &'static [&'static str],
    },
}

impl Fault {
    fn new(why: Why) -> Self {
        Self { span: None, way: Vec::new(), why }
    }

    fn at(mut self, span: &Range<usize>) -> Self {
        self.span.get_or_insert_with(|| span.clone());
        self
    }

    fn through(mut self, step: Step) -> Self {
        self.way.push(step);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.why)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(msg: T) -> Self {
        Self::new(Why::Says(msg.to_string()))
    }
    fn invalid_type(_: Unexpected<'_>, exp: &dyn Expected) -> Self {
        Self::custom(format_args!("this should be {exp}"))
    }
    fn invalid_value(unexp: Unexpected<'_>, exp: &dyn Expected) -> Self {
        Self::custom(format_args!("{unexp} is not {exp}"))
    }
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("{variant:?} is none of {}", expected.join(", ")))
    }
    fn missing_field(field: &'static str) -> Self {
        Self::new(Why::Missing(field))
    }
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Why::Unknown { name: field.to_owned(), known: expected })
    }
}

/// The type's fields, in its own order.
pub(super) fn fields_of<'de, T: serde::Deserialize<'de>>() -> &'static [&'static str] {
    const STRANGE: &str = "?";
    static NONE: &[&str] = &[];
    let key = Key { name: STRANGE.to_owned(), span: 0..0 };
    let table = Node::new(Value::Table(vec![(key, Node::new(Value::Null))]));
    match T::deserialize(Of(&table)) {
        Err(Fault { why: Why::Unknown { known, .. }, .. }) => known,
        _ => NONE,
    }
}

/// RFC 3339, as milliseconds.
pub(super) fn time(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|t| t.as_millisecond())
}

/// Reads a part of the tree.
#[derive(Clone, Copy)]
pub(super) struct Of<'n>(pub(super) &'n Node);

impl<'de> Deserializer<'de> for Of<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Fault> {
        let read = match &self.0.value {
            Value::Null => v.visit_unit(),
            Value::Bool(b) => v.visit_bool(*b),
            Value::Int(i) => v.visit_i64(*i),
            Value::Float => Err(Fault::invalid_type(Unexpected::Other("a number with a fraction"), &v)),
            Value::Text(t) => v.visit_str(t),
            Value::List(items) => v.visit_seq(Items(items.iter().enumerate())),
            Value::Table(fields) => v.visit_map(Fields { left: fields.iter(), value: None }),
        };
        read.map_err(|e| e.at(&self.0.span))
    }

    /// A moment is milliseconds to the model, and RFC 3339 to people.
    fn deserialize_i64<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Fault> {
        match self.0.text().map(time) {
            Some(Some(ms)) => v.visit_i64(ms),
            Some(None) => Err(Fault::custom("this should be a number, or a time like 2027-01-31T09:00:00Z")
                .at(&self.0.span)),
            None => self.deserialize_any(v),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Fault> {
        match self.0.value {
            Value::Null => v.visit_none(),
            _ => v.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, v: V) -> Result<V::Value, Fault> {
        v.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        v: V,
    ) -> Result<V::Value, Fault> {
        let text = self.0.text().ok_or_else(|| Fault::custom("this should be a text").at(&self.0.span))?;
        let word: StrDeserializer<'_, Fault> = text.into_deserializer();
        v.visit_enum(word).map_err(|e| e.at(&self.0.span))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Items<'n>(std::iter::Enumerate<std::slice::Iter<'n, Node>>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((at, node)) = self.0.next() else { return Ok(None) };
        seed.deserialize(Of(node)).map(Some).map_err(|e| e.at(&node.span).through(Step::Item(at)))
    }
}

struct Fields<'n> {
    left: std::slice::Iter<'n, (Key, Node)>,
    value: Option<&'n (Key, Node)>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.value = self.left.next();
        let Some((key, _)) = self.value else { return Ok(None) };
        let name: StrDeserializer<'_, Fault> = key.name.as_str().into_deserializer();
        let named = |e: Fault| e.at(&key.span).through(Step::Field(key.name.clone()));
        seed.deserialize(name).map(Some).map_err(named)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, node)) = self.value.take() else { return Err(Fault::custom("no value")) };
        seed.deserialize(Of(node)).map_err(|e| e.at(&node.span).through(Step::Field(key.name.clone())))
    }
}
