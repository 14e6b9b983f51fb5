//! A policy file as a tree whose every part knows where it stands, and the same tree of what came as JSON.

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use std::{collections::BTreeSet, fmt, ops::Range};
use toml::de::{DeTable, DeValue};

/// A part of the file, with the octets that it stands at (0..0 where it did not come from a file).
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// JSON's null: as if it did not stand there.
    Null,
    Bool(bool),
    Int(i64),
    /// A number with a fraction: no field has one.
    Float,
    Text(String),
    List(Vec<Node>),
    Table(Vec<(Key, Node)>),
}

/// The name of a field, with where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

impl Node {
    pub(super) fn new(value: Value) -> Self {
        Self { span: 0..0, value }
    }

    /// The tree of a table.
    pub(super) fn of_table(table: &DeTable<'_>, span: Range<usize>) -> Self {
        let mut fields: Vec<(Key, Self)> = table
            .iter()
            .map(|(k, v)| {
                let key = Key { name: k.get_ref().to_string(), span: k.span() };
                (key, Self::of_value(v.get_ref(), v.span()))
            })
            .collect();
        fields.sort_by_key(|(k, _)| k.span.start);
        Self { span, value: Value::Table(fields) }
    }

    fn of_value(v: &DeValue<'_>, span: Range<usize>) -> Self {
        let value = match v {
            DeValue::String(s) => Value::Text(s.to_string()),
            DeValue::Integer(i) => {
                i64::from_str_radix(i.as_str(), i.radix()).map_or(Value::Float, Value::Int)
            }
            DeValue::Float(_) => Value::Float,
            DeValue::Boolean(b) => Value::Bool(*b),
            // What takes a time reads its text.
            DeValue::Datetime(t) => Value::Text(t.to_string()),
            DeValue::Array(a) => {
                Value::List(a.iter().map(|v| Self::of_value(v.get_ref(), v.span())).collect())
            }
            DeValue::Table(t) => return Self::of_table(t, span),
        };
        Self { span, value }
    }

    pub(super) fn fields(&self) -> &[(Key, Self)] {
        match &self.value {
            Value::Table(fields) => fields,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(t) => Some(t),
            _ => None,
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        self.fields().iter().find(|(k, _)| k.name == name).map(|(_, v)| v)
    }

    /// The text of the field of this name.
    pub(super) fn name_of(&self, field: &str) -> Option<&str> {
        self.field(field).and_then(Self::text)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a policy")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Node, E> {
        Ok(Node::new(Value::Bool(v)))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Node, E> {
        Ok(Node::new(Value::Int(v)))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Node, E> {
        Ok(Node::new(i64::try_from(v).map_or(Value::Float, Value::Int)))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::new(Value::Float))
    }
    fn visit_str<E>(self, v: &str) -> Result<Node, E> {
        Ok(Node::new(Value::Text(v.to_owned())))
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::new(Value::Null))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::new(Value::List(items)))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let (mut fields, mut names): (Vec<(Key, Node)>, BTreeSet<String>) = Default::default();
        while let Some((name, value)) = map.next_entry::<String, Node>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("{name} stands there twice")));
            }
            if value.value != Value::Null {
                fields.push((Key { name, span: 0..0 }, value));
            }
        }
        Ok(Node::new(Value::Table(fields)))
    }
}
