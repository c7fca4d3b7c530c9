//! One server, connected to whenever somebody asks it something.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use smallvec::SmallVec;
use tokio::sync::watch;

use super::commands::{self, Wanted};
use super::live::Live;
use super::opener::Opener;
use super::scripts::spelled_out;

/// Requests that are given up one after the other for so long have met a server that hangs.
const SUSPICIOUS: Duration = Duration::from_secs(1);

/// What goes to a server in one write.
#[derive(Debug)]
pub(super) enum Packet<'k> {
    /// What loads the record of this key: the most frequent one, made where it is written.
    Load(&'k [u8], Wanted),
    One(Cmd),
    Several(Pipeline),
}

impl From<Cmd> for Packet<'_> {
    fn from(command: Cmd) -> Self {
        Self::One(command)
    }
}

impl From<Pipeline> for Packet<'_> {
    fn from(pipeline: Pipeline) -> Self {
        Self::Several(pipeline)
    }
}

/// What a server says to a packet. Most often it is one thing.
pub(super) type Answers = SmallVec<[Value; 1]>;

/// Whether a packet may go twice, if a connection broke before the answer came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Repeat {
    /// Asking once more changes nothing.
    Harmless,
    /// A second time it would meet what the first time did.
    Never,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) error: RedisError,
    /// It was sent, the server may have done it, and doing it twice is not the same.
    pub(super) perhaps_done: bool,
}

impl Unanswered {
    fn before_it_was_sent(error: RedisError) -> Self {
        Self { error, perhaps_done: false }
    }
}

const NO_SCRIPT: ErrorKind = ErrorKind::Server(ServerErrorKind::NoScript);

/// A server, and the connection to it that all requests share.
///
/// What is asked while it is not connected waits for one attempt to connect, and fails
/// with it. A connection that broke, or does not answer any more, is replaced at the
/// next request. Dropping a request's future leaves the connection in order: its answer
/// is read and thrown away.
#[derive(Clone)]
pub(super) struct Link(Arc<Inner>);

struct Inner {
    opener: Opener,
    state: Mutex<State>,
    /// Whether there is a doubt, for those who were answered and can remove it.
    is_doubted: AtomicBool,
    /// Since when requests are given up, and none is answered.
    doubt: Mutex<Option<Instant>>,
}

enum State {
    Closed,
    Open(Live),
    Opening(Opening),
}

type Opening = watch::Receiver<Option<RedisResult<Live>>>;

impl Link {
    pub(super) fn new(opener: Opener) -> Self {
        Self(Arc::new(Inner {
            opener,
            state: Mutex::new(State::Closed),
            is_doubted: AtomicBool::new(false),
            doubt: Mutex::new(None),
        }))
    }

    /// Sends `packet` and returns the answers, of which the first is no error.
    pub(super) async fn ask(&self, packet: &Packet<'_>, repeat: Repeat) -> RedisResult<Answers> {
        self.try_ask(packet, repeat).await.map_err(|unanswered| unanswered.error)
    }

    pub(super) async fn try_ask(
        &self,
        packet: &Packet<'_>,
        repeat: Repeat,
    ) -> Result<Answers, Unanswered> {
        match self.ask_as_is(packet, repeat).await {
            Err(unanswered) if unanswered.error.kind() == NO_SCRIPT => match packet.spelled_out() {
                // Boxed, as it is rare and would double what every request carries.
                Some(packet) => Box::pin(self.ask_as_is(&packet, repeat)).await,
                None => Err(unanswered),
            },
            answer => answer,
        }
    }

    async fn ask_as_is(&self, packet: &Packet<'_>, repeat: Repeat) -> Result<Answers, Unanswered> {
        let mut tries = 0;
        loop {
            tries += 1;
            let live = self.connection().await.map_err(Unanswered::before_it_was_sent)?;
            let mut watch = Watch { link: self, live: &live, since: Some(Instant::now()) };
            let answer = live.send(packet).await.and_then(first_is_no_error);
            watch.since = None;
            self.trust();
            match answer {
                Ok(answers) => return Ok(answers),
                Err(error) => {
                    let breaks = breaks(&error);
                    if breaks {
                        self.drop_connection(&live);
                    }
                    let harmless = repeat == Repeat::Harmless;
                    if harmless && error.is_connection_dropped() && tries == 1 {
                        continue;
                    }
                    let refused = matches!(error.kind(), ErrorKind::Server(_));
                    return Err(Unanswered { error, perhaps_done: !harmless && !refused });
                }
            }
        }
    }

    /// Returns the connection, opening it first if need be.
    async fn connection(&self) -> RedisResult<Live> {
        loop {
            let mut opening = match self.open_or_opening() {
                Ok(live) => return Ok(live),
                Err(opening) => opening,
            };
            // Boxed, as it is rare and every request would carry it.
            let opened = Box::pin(opening.wait_for(Option::is_some)).await;
            let opened = opened.map(|opened| opened.clone());
            match opened {
                Ok(Some(opened)) => return opened,
                // The runtime that opened it has ended: this one begins again.
                _ => self.give_up(&opening),
            }
        }
    }

    fn open_or_opening(&self) -> Result<Live, Opening> {
        let mut state = self.state();
        match &*state {
            State::Open(live) if !live.is_closed() => Ok(live.clone()),
            State::Opening(opening) => Err(opening.clone()),
            State::Closed | State::Open(_) => {
                let (opened, opening) = watch::channel(None);
                *state = State::Opening(opening.clone());
                // In a task of its own, as the request that began it may be given up.
                tokio::spawn(self.clone().open(opened));
                Err(opening)
            }
        }
    }

    async fn open(self, opened: watch::Sender<Option<RedisResult<Live>>>) {
        let outcome = self.0.opener.open().await;
        self.trust();
        let mut state = self.state();
        *state = match &outcome {
            Ok(live) => State::Open(live.clone()),
            Err(_) => State::Closed,
        };
        drop(state);
        opened.send_replace(Some(outcome));
    }

    fn give_up(&self, given_up: &Opening) {
        let mut state = self.state();
        if matches!(&*state, State::Opening(opening) if opening.same_channel(given_up)) {
            *state = State::Closed;
        }
    }

    fn drop_connection(&self, broken: &Live) {
        let mut state = self.state();
        if matches!(&*state, State::Open(live) if live.is_same(broken)) {
            *state = State::Closed;
        }
    }

    /// Notes that a request was given up that was sent at `since`, and returns for how long
    /// that has been going on.
    fn doubt(&self, since: Instant) -> Duration {
        let first = *self.lock_doubt().get_or_insert(since);
        self.0.is_doubted.store(true, Ordering::Relaxed);
        first.elapsed()
    }

    /// Takes a connection for sound, as it was answered.
    fn trust(&self) {
        if self.0.is_doubted.load(Ordering::Relaxed) {
            self.0.is_doubted.store(false, Ordering::Relaxed);
            *self.lock_doubt() = None;
        }
    }

    fn lock_doubt(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.0.opener).finish()
    }
}

/// Sees a request that is given up: a server that hangs keeps its connections open, and
/// another may have taken its place meanwhile.
struct Watch<'l> {
    link: &'l Link,
    live: &'l Live,
    since: Option<Instant>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if self.since.is_some_and(|since| self.link.doubt(since) > SUSPICIOUS) {
            self.link.drop_connection(self.live);
        }
    }
}

impl Packet<'_> {
    /// Returns the packet for a node that is about to get the key and does not have it yet.
    /// It may not know our scripts either, and gets their sources: this is rare.
    pub(super) fn asking(&self) -> Self {
        let mut asking = Pipeline::new();
        let mut add = |command: &Cmd| {
            let command = spelled_out(command).unwrap_or_else(|| command.clone());
            asking.add_command(redis::cmd("ASKING")).add_command(command);
        };
        match self {
            Self::Load(key, wanted) => {
                commands::load(key, *wanted).for_each(|command| add(&command));
            }
            Self::One(command) => add(command),
            Self::Several(pipeline) => pipeline.cmd_iter().for_each(add),
        }
        Self::Several(asking)
    }

    fn spelled_out(&self) -> Option<Self> {
        match self {
            Self::Load(..) => None,
            Self::One(command) => spelled_out(command).map(Self::One),
            Self::Several(pipeline) => {
                let mut spelled = Pipeline::with_capacity(pipeline.len());
                let mut scripts = 0;
                for command in pipeline.cmd_iter() {
                    let call = spelled_out(command);
                    scripts += usize::from(call.is_some());
                    spelled.add_command(call.unwrap_or_else(|| command.clone()));
                }
                (scripts > 0).then_some(Self::Several(spelled))
            }
        }
    }
}

/// Returns the answers to what [`Packet::asking`] was made of.
pub(super) fn after_asking(answers: Answers) -> RedisResult<Answers> {
    first_is_no_error(answers.into_iter().skip(1).step_by(2).collect())
}

fn first_is_no_error(mut answers: Answers) -> RedisResult<Answers> {
    if let Some(first) = answers.first_mut()
        && matches!(first, Value::ServerError(_))
    {
        std::mem::replace(first, Value::Nil).extract_error()?;
    }
    Ok(answers)
}

/// Tells whether the next request should go over another connection.
fn breaks(error: &RedisError) -> bool {
    let demoted = ErrorKind::Server(ServerErrorKind::ReadOnly);
    error.is_unrecoverable_error() || error.is_timeout() || error.kind() == demoted
}
