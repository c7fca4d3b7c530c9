//! What takes several steps on the server and must be one. Each answers 0 if there is no
//! session, 1 if it is not the one that is meant, and 2 if it is done.

use std::sync::LazyLock;

use redis::{Arg, Cmd};

/// A script, and the name that the server gives it once it knows it.
#[derive(Debug)]
pub(super) struct Script {
    source: &'static str,
    sha: String,
}

impl Script {
    fn new(source: &'static str) -> Self {
        Self { source, sha: redis::Script::new(source).get_hash().to_owned() }
    }

    pub(super) fn call(&self, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.sha).arg(keys.len()).arg(keys).arg(arguments);
        call
    }
}

/// Saves if the record is still the known one. A record is its own version, so that
/// Node's blind `SET` counts as a change too.
pub(super) static SAVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local now = redis.call('GET', KEYS[1])
if not now then return 0 end
if now ~= ARGV[1] then return 1 end
if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
else redis.call('DEL', KEYS[1]) end
return 2",
    )
});

pub(super) static TOUCH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local now = redis.call('GET', KEYS[1])
if not now then return 0 end
if now == ARGV[1] then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return 1",
    )
});

pub(super) static ROTATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local now = redis.call('GET', KEYS[1])
if not now then return 0 end
if now ~= ARGV[1] or redis.call('EXISTS', KEYS[2]) == 1 then return 1 end
redis.call('DEL', KEYS[1])
if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3]) end
return 2",
    )
});

/// Removes the session if it is still the known one, for [`super::rotation`].
pub(super) static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local now = redis.call('GET', KEYS[1])
if not now then return 0 end
if now ~= ARGV[1] then return 1 end
redis.call('DEL', KEYS[1])
return 2",
    )
});

/// Lets a reservation become the session; a second time it finds that done.
pub(super) static FINISH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local now = redis.call('GET', KEYS[1])
if now == ARGV[2] then return 2 end
if now ~= ARGV[1] then return 0 end
if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
else redis.call('DEL', KEYS[1]) end
return 2",
    )
});

pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0",
    )
});

/// Returns the call of a script with its source instead of its name, for a server that
/// does not know it yet.
pub(super) fn spelled_out(call: &Cmd) -> Option<Cmd> {
    let mut arguments = call.args_iter();
    let (Some(Arg::Simple(b"EVALSHA")), Some(Arg::Simple(sha))) =
        (arguments.next(), arguments.next())
    else {
        return None;
    };
    let scripts = [&SAVE, &TOUCH, &ROTATE, &TAKE, &FINISH, &RELEASE];
    let script = scripts.into_iter().find(|script| script.sha.as_bytes() == sha)?;
    let mut call = redis::cmd("EVAL");
    call.arg(script.source);
    for argument in arguments {
        if let Arg::Simple(bytes) = argument {
            call.arg(bytes);
        }
    }
    Some(call)
}
