//! The recording's own format; see fixtures/express/README.md.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub(crate) struct Sequence {
    pub(crate) case: String,
    pub(crate) options: Options,
    pub(crate) steps: Vec<Step>,
    pub(crate) expect: Vec<Expect>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Options {
    pub(crate) secret: Vec<String>,
    #[serde(default = "yes")]
    pub(crate) resave: bool,
    #[serde(default = "yes")]
    pub(crate) save_uninitialized: bool,
    #[serde(default)]
    pub(crate) rolling: bool,
    #[serde(default)]
    pub(crate) unset: Option<String>,
    #[serde(default)]
    pub(crate) cookie: Value,
    #[serde(default)]
    pub(crate) proxy: Option<bool>,
    #[serde(default)]
    pub(crate) name: Option<String>,
}

fn yes() -> bool {
    true
}

impl Options {
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("connect.sid")
    }

    pub(crate) fn cookie_path(&self) -> &str {
        self.cookie["path"].as_str().unwrap_or("/")
    }

    pub(crate) fn unset_destroys(&self) -> bool {
        self.unset.as_deref() == Some("destroy")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    #[serde(default)]
    pub(crate) advance: u64,
    pub(crate) path: String,
    pub(crate) forwarded_proto: Option<String>,
    pub(crate) ops: Vec<Op>,
}

/// `[name, argument, argument]`, as many as the operation takes.
#[derive(Clone, Deserialize)]
pub(crate) struct Op(pub(crate) Vec<Value>);

impl Op {
    pub(crate) fn name(&self) -> &str {
        self.0[0].as_str().unwrap()
    }

    pub(crate) fn key(&self) -> &str {
        self.0[1].as_str().unwrap()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Expect {
    pub(crate) sent: Option<String>,
    pub(crate) set_cookie: Option<String>,
    pub(crate) outputs: Vec<Value>,
    /// Records by id.
    pub(crate) store: BTreeMap<String, String>,
    pub(crate) now: i64,
}
