//! What Express did in a step, worked out from the recording: which ids it
//! made, and which of its records Sessile does not keep on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use sessile::{Record, Secrets};

use crate::recording::{Expect, Options, Step};

pub(crate) type Records = BTreeMap<String, String>;

/// Follows Express through a sequence.
#[derive(Default)]
pub(crate) struct Express {
    /// Ids made so far; `genid` counts.
    pub(crate) ids: u64,
    records: Records,
    /// Records whose id no client ever heard of.
    orphans: BTreeSet<String>,
}

/// What the step was about.
pub(crate) struct Insight {
    /// The client's ticket named this living session.
    pub(crate) sent: Option<String>,
    /// The client's session was destroyed, and none took its place.
    pub(crate) left_without: bool,
    /// Express took the path for one the cookie covers; RFC 6265 does not.
    pub(crate) path_differs: bool,
    pub(crate) orphans: usize,
}

impl Express {
    pub(crate) fn follow(
        &mut self,
        options: &Options,
        secrets: &Secrets,
        step: &Step,
        expect: &Expect,
    ) -> Insight {
        let cookie_path = options.cookie_path();
        let covered = step.path.starts_with(cookie_path);
        let rest = step.path.strip_prefix(cookie_path).unwrap_or_default();
        let matches = rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/');
        let sent = ticket(options.name(), secrets, expect)
            .filter(|id| self.records.get(id).is_some_and(|text| is_alive(text, expect.now)));
        let mut insight =
            Insight { sent, left_without: false, path_differs: covered && !matches, orphans: 0 };
        if covered {
            self.follow_ops(options, step, expect, &mut insight);
        }
        self.records = expect.store.clone();
        insight
    }

    fn follow_ops(
        &mut self,
        options: &Options,
        step: &Step,
        expect: &Expect,
        insight: &mut Insight,
    ) {
        let mut current = insight.sent.clone().unwrap_or_else(|| self.next_id());
        let (mut saved, mut destroyed, mut gone) = (BTreeSet::new(), BTreeSet::new(), false);
        for op in &step.ops {
            match op.name() {
                "regenerate" => {
                    destroyed.insert(current);
                    current = self.next_id();
                }
                "save" => {
                    saved.insert(current.clone());
                }
                "destroy" => {
                    destroyed.insert(current.clone());
                    gone = true;
                }
                "unset" => {
                    if options.unset_destroys() {
                        destroyed.insert(current.clone());
                    }
                    gone = true;
                }
                _ => {}
            }
        }
        insight.left_without =
            gone && insight.sent.as_ref().is_some_and(|id| destroyed.contains(id));
        for id in expect.store.keys() {
            let is_new = !self.records.contains_key(id);
            if is_new && expect.set_cookie.is_none() && !saved.contains(id) {
                self.orphans.insert(id.clone());
                insight.orphans += 1;
            }
        }
    }

    fn next_id(&mut self) -> String {
        self.ids += 1;
        format!("sid-{}", self.ids)
    }

    /// The records Sessile should have: alive, and known to some client.
    pub(crate) fn expected_records(&self, now: i64) -> Records {
        let kept =
            |(id, text): &(&String, &String)| !self.orphans.contains(*id) && is_alive(text, now);
        self.records.iter().filter(kept).map(|(id, text)| (id.clone(), text.clone())).collect()
    }

    pub(crate) fn record(&self, id: &str) -> Option<&String> {
        self.records.get(id)
    }
}

fn ticket(name: &str, secrets: &Secrets, expect: &Expect) -> Option<String> {
    let header = expect.sent.as_deref()?;
    let (_, value) = sessile::parse_cookies(header).find(|(key, _)| *key == name)?;
    secrets.unsign(value.strip_prefix("s:")?).map(str::to_owned)
}

/// As Express's MemoryStore decides on every read.
fn is_alive(text: &str, now: i64) -> bool {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now).unwrap());
    Record::parse(text).unwrap().cookie().expires().is_none_or(|expires| expires > now)
}
