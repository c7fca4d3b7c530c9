//! An open connection, and how requests share it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};
use smallvec::smallvec;
use tokio::sync::oneshot;

use super::commands;
use super::link::{Answers, Packet};

/// An open connection.
///
/// Whoever finds it idle writes at once. What is asked while answers are under way waits
/// until the runtime has nothing else to do, and leaves in one write: at that load the
/// system call costs more than the rest of the request.
#[derive(Clone)]
pub(super) struct Live(Arc<Inner>);

struct Inner {
    connection: MultiplexedConnection,
    /// Set once the other side has hung up, as far as the protocol lets us know.
    closed: Arc<AtomicBool>,
    traffic: Mutex<Traffic>,
}

#[derive(Default)]
struct Traffic {
    /// Writes whose answers are not all there.
    under_way: usize,
    /// The last write was for several: so will the next one be.
    is_crowded: bool,
    next: Batch,
}

/// What leaves in one write.
#[derive(Default)]
struct Batch {
    commands: Pipeline,
    askers: Vec<Asker>,
}

/// Somebody who waits for the answers to so many commands.
struct Asker {
    commands: usize,
    answers: oneshot::Sender<RedisResult<Answers>>,
}

/// How a packet leaves.
enum Departure<'l> {
    Now(UnderWay<'l>),
    Together(oneshot::Receiver<RedisResult<Answers>>),
}

impl Live {
    pub(super) fn new(connection: MultiplexedConnection, closed: Arc<AtomicBool>) -> Self {
        Self(Arc::new(Inner { connection, closed, traffic: Mutex::default() }))
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Relaxed)
    }

    pub(super) async fn ask_one(&self, command: &Cmd) -> RedisResult<Value> {
        self.0.connection.clone().send_packed_command(command).await?.extract_error()
    }

    pub(super) async fn send(&self, packet: &Packet<'_>) -> RedisResult<Answers> {
        match self.departure(packet) {
            // Boxed, so that those who wait for others do not carry what the driver takes.
            Departure::Now(_under_way) => Box::pin(self.write(packet)).await,
            // The runtime that was to write it has ended.
            Departure::Together(answers) => answers
                .await
                .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::BrokenPipe).into())),
        }
    }

    fn departure(&self, packet: &Packet<'_>) -> Departure<'_> {
        let mut traffic = self.traffic();
        if traffic.under_way == 0 && !traffic.is_crowded || packet.waits() {
            traffic.under_way += 1;
            return Departure::Now(UnderWay(self));
        }
        let (answers, receiver) = oneshot::channel();
        let commands = packet.add_to(&mut traffic.next.commands);
        traffic.next.askers.push(Asker { commands, answers });
        if traffic.next.askers.len() == 1 {
            // In a task of its own, as the request that began it may be given up.
            tokio::spawn(self.clone().write_together());
        }
        Departure::Together(receiver)
    }

    async fn write_together(self) {
        let gathering = Gathering(Some(self));
        // Whoever else can ask by now does.
        tokio::task::yield_now().await;
        let Some(live) = gathering.end() else { return };
        let (batch, under_way) = live.next_batch();
        let count = batch.commands.len();
        let answers =
            live.0.connection.clone().send_packed_commands(&batch.commands, 0, count).await;
        drop(under_way);
        batch.tell(answers);
    }

    fn next_batch(&self) -> (Batch, UnderWay<'_>) {
        let mut traffic = self.traffic();
        traffic.under_way += 1;
        let askers = traffic.next.askers.len();
        traffic.is_crowded = askers > 1;
        (std::mem::replace(&mut traffic.next, Batch::with_room_for(askers)), UnderWay(self))
    }

    async fn write(&self, packet: &Packet<'_>) -> RedisResult<Answers> {
        let mut connection = self.0.connection.clone();
        match packet {
            Packet::Load(..) => {
                let mut load = Pipeline::with_capacity(2);
                let count = packet.add_to(&mut load);
                connection.send_packed_commands(&load, 0, count).await.map(Into::into)
            }
            Packet::One(command) => {
                connection.send_packed_command(command).await.map(|answer| smallvec![answer])
            }
            Packet::Several(pipeline) => {
                connection.send_packed_commands(pipeline, 0, pipeline.len()).await.map(Into::into)
            }
        }
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.0.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// The next batch is often as large as the last one.
    fn with_room_for(askers: usize) -> Self {
        Self { commands: Pipeline::with_capacity(askers), askers: Vec::with_capacity(askers) }
    }

    /// Gives everybody the answers to what they asked. Who has gone needs none.
    fn tell(self, answers: RedisResult<Vec<Value>>) {
        let mut answers = answers.map(Vec::into_iter);
        for asker in self.askers {
            let own = match &mut answers {
                Ok(answers) => Ok(answers.take(asker.commands).collect()),
                Err(error) => Err(error.clone()),
            };
            let _ = asker.answers.send(own);
        }
    }
}

/// Waits for those who will share the next write. If the runtime ends meanwhile they
/// are told, and the next ones begin anew.
struct Gathering(Option<Live>);

impl Gathering {
    fn end(mut self) -> Option<Live> {
        self.0.take()
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        if let Some(live) = &self.0 {
            let given_up = {
                let mut traffic = live.traffic();
                traffic.is_crowded = false;
                std::mem::take(&mut traffic.next)
            };
            drop(given_up);
        }
    }
}

/// A write whose answers have not come.
struct UnderWay<'l>(&'l Live);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.traffic().under_way -= 1;
    }
}

impl Packet<'_> {
    /// Tells whether the server holds its answers back, and those behind them.
    fn waits(&self) -> bool {
        match self {
            Self::Load(..) | Self::One(_) => false,
            Self::Several(pipeline) => pipeline.cmd_iter().any(|command| {
                matches!(command.args_iter().next(), Some(redis::Arg::Simple(b"WAIT")))
            }),
        }
    }

    /// Adds its commands to others, and returns how many they are.
    fn add_to(&self, pipeline: &mut Pipeline) -> usize {
        match self {
            Self::Load(key, wanted) => commands::load(key, *wanted)
                .map(|command| {
                    pipeline.add_command(command);
                })
                .count(),
            Self::One(command) => {
                pipeline.add_command(command.clone());
                1
            }
            Self::Several(several) => {
                several.cmd_iter().for_each(|command| {
                    pipeline.add_command(command.clone());
                });
                several.len()
            }
        }
    }
}
