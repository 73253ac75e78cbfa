//! JSON objects, field by field. What `json!` makes of an object is five times the code, and there are many that only
//! people read.

use serde_json::{Map, Value};

/// An object with these fields, of whatever a [`Value`] is made from.
macro_rules! object {
    ($($name:literal: $value:expr),* $(,)?) => {{
        let mut fields = $crate::object::Fields::default();
        $(fields.put($name, $value);)*
        fields.done()
    }};
}
pub(crate) use object;

/// An object that grows.
#[derive(Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Not inline: one call a field is all that it takes.
    #[inline(never)]
    pub(crate) fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(crate) fn done(self) -> Value {
        Value::Object(self.0)
    }
}
