//! Where the bytes of a file go.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mmap_ahead_bench::checksum::Checksum;

use crate::plan::Answer;

/// How much the client takes at a time.
const PIECE: usize = 256 << 10;
/// How often the end of a round is looked for: nothing beside its length.
const LOOK_AGAIN: Duration = Duration::from_micros(50);

/// What takes the bytes.
pub(crate) enum Body {
    Sum(Checksum),
    Send(Client),
}

impl Body {
    pub(crate) fn of(answer: Answer) -> io::Result<Body> {
        match answer {
            Answer::Sum => Ok(Body::Sum(Checksum::default())),
            Answer::Send => Client::connect().map(Body::Send),
        }
    }

    /// Takes the bytes that lie at `offset` of a file.
    pub(crate) fn take(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Body::Sum(sum) => sum.add(offset, bytes),
            Body::Send(client) => client.send(bytes)?,
        }
        Ok(())
    }

    /// When all that was sent has arrived: what came of it since the last time, the same for the same
    /// bytes as far as this body looks at them.
    pub(crate) fn finish(&mut self) -> io::Result<u64> {
        match self {
            Body::Sum(sum) => Ok(std::mem::take(sum).value()),
            Body::Send(client) => client.finish(),
        }
    }
}

/// A client at a connection that stays open, as browsers and proxies keep it. It takes what comes as fast as
/// it can, on another core where there is one.
pub(crate) struct Client {
    connection: TcpStream,
    arrived: Arc<AtomicU64>,
    sent: u64,
    finished: u64,
    thread: JoinHandle<()>,
}

impl Client {
    fn connect() -> io::Result<Client> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let theirs = TcpStream::connect(listener.local_addr()?)?;
        let (connection, _) = listener.accept()?;
        let arrived = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&arrived);
        let thread = thread::spawn(move || take_all(theirs, &counted));
        Ok(Client { connection, arrived, sent: 0, finished: 0, thread })
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.connection.write_all(bytes)?;
        self.sent += bytes.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<u64> {
        while self.arrived.load(Ordering::Acquire) < self.sent {
            if self.thread.is_finished() {
                return Err(io::Error::other("the client is gone"));
            }
            thread::sleep(LOOK_AGAIN);
        }
        let before = std::mem::replace(&mut self.finished, self.sent);
        Ok(self.sent - before)
    }
}

fn take_all(mut connection: TcpStream, arrived: &AtomicU64) {
    let mut buffer = vec![0; PIECE];
    while let Ok(len @ 1..) = connection.read(&mut buffer) {
        arrived.fetch_add(len as u64, Ordering::Release);
    }
}
