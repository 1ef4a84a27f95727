//! JSON documents that somebody else wrote, read as Go reads them: keys in any case.

use std::fmt;

use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::Fail;
use crate::fail::quote;

/// A document, and what it is called in messages.
#[derive(Debug)]
pub struct Document {
    /// Its name.
    pub name: String,
    /// What it says.
    pub value: Value,
    /// Its bytes as they are.
    pub bytes: Vec<u8>,
}

impl Document {
    /// serde_json ends at 128 levels, before the stack does.
    pub fn parse(name: String, bytes: Vec<u8>) -> Result<Self, Fail> {
        let Unique(value) = serde_json::from_slice(&bytes).map_err(|e| {
            let what = if e.is_data() { "" } else { "no JSON: " };
            Fail::cannot("read", &name, format!("{what}{e}"))
        })?;
        Ok(Self { name, value, bytes })
    }

    /// A failure of this document.
    pub fn fail(&self, reason: impl fmt::Display) -> Fail {
        Fail::cannot("read", &self.name, reason)
    }

    /// The object it is.
    pub fn object(&self) -> Result<Object<'_>, Fail> {
        let map = self.value.as_object();
        map.map(|map| Object { map, of: self }).ok_or_else(|| self.fail("not an object"))
    }
}

/// A value of which no object has a key twice: readers disagree about which one counts.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Keys).map(Self)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Unique(value)) = list.next_element()? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((key, Unique(value))) = object.next_entry::<String, _>()? {
            if all.contains_key(&key) {
                return Err(A::Error::custom(format!("it has {} twice", quote(key))));
            }
            all.insert(key, value);
        }
        Ok(Value::Object(all))
    }
}

/// An object in a document.
#[derive(Debug, Clone, Copy)]
pub struct Object<'d> {
    map: &'d Map<String, Value>,
    of: &'d Document,
}

impl<'d> Object<'d> {
    /// The value of a key in any case: Go's reader takes `config` for `Config`, and jib
    /// writes it so. Two spellings at once would leave the choice to the reader.
    pub fn get(&self, key: &str) -> Result<Option<&'d Value>, Fail> {
        let mut found = self.map.iter().filter(|(k, _)| k.eq_ignore_ascii_case(key));
        let first = found.next().map(|(_, value)| value);
        if found.next().is_some() {
            return Err(self.of.fail(format!("it has {} twice", quote(key))));
        }
        Ok(first.filter(|value| !value.is_null()))
    }

    /// A string.
    pub fn string(&self, key: &str) -> Result<Option<&'d str>, Fail> {
        let value = self.get(key)?;
        value.map(|v| v.as_str().ok_or_else(|| self.wrong(key))).transpose()
    }

    /// A string that must be there.
    pub fn wanted(&self, key: &str) -> Result<&'d str, Fail> {
        self.string(key)?.ok_or_else(|| self.wrong(key))
    }

    /// A number that must be there.
    pub fn number(&self, key: &str) -> Result<u64, Fail> {
        self.get(key)?.and_then(Value::as_u64).ok_or_else(|| self.wrong(key))
    }

    /// An object, if it is there.
    pub fn object(&self, key: &str) -> Result<Option<Self>, Fail> {
        let value = self.get(key)?;
        value.map(|v| self.inner(v).ok_or_else(|| self.wrong(key))).transpose()
    }

    /// A list, empty if it is not there.
    pub fn list(&self, key: &str) -> Result<&'d [Value], Fail> {
        match self.get(key)? {
            Some(Value::Array(list)) => Ok(list),
            None => Ok(&[]),
            Some(_) => Err(self.wrong(key)),
        }
    }

    /// A list of strings, empty if it is not there.
    pub fn strings(&self, key: &str) -> Result<Vec<&'d str>, Fail> {
        let list = self.list(key)?.iter();
        list.map(|v| v.as_str().ok_or_else(|| self.wrong(key))).collect()
    }

    /// A list of objects, empty if it is not there.
    pub fn objects(&self, key: &str) -> Result<Vec<Self>, Fail> {
        let list = self.list(key)?.iter();
        list.map(|v| self.inner(v).ok_or_else(|| self.wrong(key))).collect()
    }

    /// The object that a value inside this one is.
    pub fn inner(&self, value: &'d Value) -> Option<Self> {
        value.as_object().map(|map| Self { map, of: self.of })
    }

    /// Its keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &'d str> {
        self.map.keys().map(String::as_str)
    }

    /// Its keys and values, in their order.
    pub fn entries(&self) -> impl Iterator<Item = (&'d str, &'d Value)> {
        self.map.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// A failure about one key.
    pub fn wrong(&self, key: &str) -> Fail {
        self.of.fail(format!("{} is not what it should be", quote(key)))
    }

    /// The document it is in.
    pub fn document(&self) -> &'d Document {
        self.of
    }
}
