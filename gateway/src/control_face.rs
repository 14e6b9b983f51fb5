//! `control.sock`: where `control` and local commands speak to the gateway. Never waits for anybody.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use super::sys::Wait;
use crate::link::frame::{self, Decoder, GREETING};
use crate::link::{FromGateway, LinkError, Role, ToGateway, check_peer};
use crate::time;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use tracing::{info, warn};
use types::Mono;

/// Connections at once.
const CONNECTIONS: usize = 16;
/// Octets that may wait for a peer that does not read, before it is given up.
const WAITING: usize = 64 << 20;
/// Octets that may wait before flow records are held back.
const EASY: usize = 1 << 20;
/// Octets read from one connection before the others have their turn.
const A_TURN: usize = 4 << 20;

/// Which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionId(u64);

/// A message, and who said it when.
#[derive(Debug)]
pub struct Heard {
    /// To answer there.
    pub from: ConnectionId,
    /// What they are.
    pub role: Role,
    /// When it was read.
    pub at: Mono,
    /// What they said.
    pub message: ToGateway,
}

/// The listener and its connections.
#[derive(Debug)]
pub struct Face {
    listener: UnixListener,
    connections: Vec<Connection>,
    last: u64,
    /// Links that ended before they had said who they are.
    strangers: u64,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    stream: UnixStream,
    greeting: Vec<u8>,
    role: Option<Role>,
    decoder: Decoder,
    out: Vec<u8>,
    sent: usize,
}

impl Face {
    /// Listens at `path`, mode 0600. A socket that nobody serves any more is replaced.
    ///
    /// # Errors
    /// Where another gateway serves it, or the directory cannot be written.
    pub fn open(path: &Path) -> Result<Self> {
        let place = path.display();
        if fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket()) {
            if UnixStream::connect(path).is_ok() {
                bail!("another gateway serves {place}; end that one first");
            }
            fs::remove_file(path).with_context(|| format!("the old socket {place} cannot be removed"))?;
        }
        let listener = UnixListener::bind(path).with_context(|| format!("cannot listen at {place}"))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, connections: Vec::new(), last: 0, strangers: 0 })
    }

    /// What to wait for.
    pub fn waits(&self) -> impl Iterator<Item = Wait<'_>> {
        std::iter::once(Wait::read(&self.listener)).chain(self.connections.iter().map(|c| {
            let mut wait = Wait::read(&c.stream);
            wait.write = c.sent < c.out.len();
            wait
        }))
    }

    /// Takes new connections, and everything that was said, in order per connection.
    pub fn hear(&mut self) -> Vec<Heard> {
        self.accept();
        let mut heard = Vec::new();
        let strangers = &mut self.strangers;
        self.connections.retain_mut(|c| match c.read(&mut heard) {
            Ok(()) => true,
            Err(e) => {
                tell_end(c.role, &e, strangers);
                false
            }
        });
        for said in &heard {
            if let (ToGateway::Hello { .. }, Role::Control { .. }) = (&said.message, said.role) {
                // A newer control replaces an older one, which is dead or about to be.
                let other =
                    |c: &Connection| matches!(c.role, Some(Role::Control { .. })) && c.id != said.from;
                self.connections.retain(|c| !other(c));
            }
        }
        heard
    }

    /// Says something to one connection; nothing if it is gone.
    pub fn say(&mut self, to: ConnectionId, message: &FromGateway) {
        if let Some(c) = self.connections.iter_mut().find(|c| c.id == to) {
            c.say(message);
        }
    }

    /// Says something to `control`. False if it is not there.
    pub fn say_to_control(&mut self, message: &FromGateway) -> bool {
        let control = self.connections.iter_mut().find(|c| matches!(c.role, Some(Role::Control { .. })));
        control.map(|c| c.say(message)).is_some()
    }

    /// True if `control` is there and reads what it is told.
    pub fn control_reads(&self) -> bool {
        self.connections
            .iter()
            .any(|c| matches!(c.role, Some(Role::Control { .. })) && c.out.len() - c.sent < EASY)
    }

    /// Writes what waits, as far as the peers take it.
    pub fn flush(&mut self) {
        let strangers = &mut self.strangers;
        self.connections.retain_mut(|c| match c.flush() {
            Ok(()) => true,
            Err(e) => {
                tell_end(c.role, &e, strangers);
                false
            }
        });
    }

    fn accept(&mut self) {
        // An error is "nobody there", or a peer that left again.
        while let Ok((stream, _)) = self.listener.accept() {
            if let Err(e) = check_peer(&stream) {
                warn!("a connection to the gateway was refused: {e}");
                continue;
            }
            if self.connections.len() >= CONNECTIONS || stream.set_nonblocking(true).is_err() {
                warn!("a connection to the gateway was refused: there are {CONNECTIONS} already");
                continue;
            }
            self.last += 1;
            self.connections.push(Connection {
                id: ConnectionId(self.last),
                stream,
                greeting: Vec::new(),
                role: None,
                decoder: Decoder::new(),
                out: GREETING.to_vec(),
                sent: 0,
            });
        }
    }
}

/// A line about the end of a link. Who has not said who it is may come as often as it likes: of those only some.
fn tell_end(role: Option<Role>, why: &LinkError, strangers: &mut u64) {
    if role.is_none() {
        *strangers += 1;
        if !super::worth_telling(*strangers) {
            return;
        }
    }
    let of_strangers = role.is_none().then_some(*strangers);
    match why {
        LinkError::Closed => info!(?role, of_strangers, "a link to the gateway was closed by its other end"),
        why => warn!(?role, of_strangers, "a link to the gateway is given up: {why}"),
    }
}

impl Connection {
    fn read(&mut self, heard: &mut Vec<Heard>) -> Result<(), LinkError> {
        let mut buffer = [0; 64 * 1024];
        let mut total = 0;
        while total < A_TURN {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(n) => {
                    total += n;
                    self.take(buffer.get(..n).unwrap_or_default(), heard)?;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], heard: &mut Vec<Heard>) -> Result<(), LinkError> {
        let missing = GREETING.len() - self.greeting.len();
        let (greeting, frames) = bytes.split_at(missing.min(bytes.len()));
        if missing > 0 {
            self.greeting.extend_from_slice(greeting);
            if self.greeting.len() == GREETING.len() {
                frame::check_greeting(&self.greeting)?;
            }
        }
        self.decoder.push(frames);
        let at = time::mono();
        while let Some(message) = self.decoder.message()? {
            let role = match (&message, self.role) {
                (ToGateway::Hello { role }, None) => *self.role.insert(*role),
                (ToGateway::Hello { .. }, Some(_)) => return Err(LinkError::Unexpected("a second hello")),
                (_, Some(role)) => role,
                (_, None) => return Err(LinkError::Unexpected("its first frame is no hello")),
            };
            if role == Role::Local && !local_may(&message) {
                return Err(LinkError::Unexpected("a local command may only cut and ask"));
            }
            heard.push(Heard { from: self.id, role, at, message });
        }
        Ok(())
    }

    fn say(&mut self, message: &FromGateway) {
        // What is longer than the link carries cannot be said; nothing that the gateway says comes near.
        if let Err(e) = frame::encode(message, &mut self.out) {
            warn!("something could not be told: {e}");
        }
    }

    fn flush(&mut self) -> Result<(), LinkError> {
        while let Some(rest) = self.out.get(self.sent..).filter(|r| !r.is_empty()) {
            match self.stream.write(rest) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return if rest.len() > WAITING { Err(LinkError::TooLong(rest.len())) } else { Ok(()) };
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }
}

fn local_may(message: &ToGateway) -> bool {
    matches!(
        message,
        ToGateway::Hello { .. }
            | ToGateway::Cut { .. }
            | ToGateway::CutAll { .. }
            | ToGateway::CutImei { on: true, .. }
            | ToGateway::Status { .. }
            | ToGateway::Trace { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{self, SimTrace};
    use types::{SimState, Utc};

    fn face() -> (Face, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        (Face::open(&dir.path().join("control.sock")).unwrap(), dir)
    }

    fn client(dir: &tempfile::TempDir, messages: &[ToGateway]) -> UnixStream {
        let mut stream = UnixStream::connect(dir.path().join("control.sock")).unwrap();
        let mut bytes = GREETING.to_vec();
        messages.iter().for_each(|m| frame::encode(m, &mut bytes).unwrap());
        stream.write_all(&bytes).unwrap();
        stream
    }

    fn hello(role: Role) -> ToGateway {
        ToGateway::Hello { role }
    }

    const CONTROL: Role = Role::Control { control_id: 1 };

    /// What is read until the other end closes; `None` if it does not.
    fn closed(mut stream: UnixStream) -> Option<Vec<u8>> {
        let mut got = Vec::new();
        stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        // A reset is an end, too: the gateway left what we said unread.
        match stream.read_to_end(&mut got) {
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => None,
            _ => Some(got),
        }
    }

    #[test]
    fn a_hello_comes_first_and_answers_go_back_to_who_asked() {
        let (mut face, dir) = face();
        let mut a = client(&dir, &[hello(CONTROL), ToGateway::Status { id: 1 }]);
        let heard = face.hear();
        assert_eq!(heard.len(), 2);
        assert_eq!(heard[1].role, CONTROL);
        face.say(heard[1].from, &FromGateway::Trace { id: 1, trace: SimTrace::default() });
        assert!(face.say_to_control(&FromGateway::Alarm("look".into())));
        face.flush();
        let mut bytes = vec![0; 256];
        let n = a.read(&mut bytes).unwrap();
        let (greeting, frames) = bytes[..n].split_at(GREETING.len());
        assert_eq!(greeting, GREETING);
        let mut decoder = Decoder::new();
        decoder.push(frames);
        assert!(matches!(decoder.message().unwrap(), Some(FromGateway::Trace { id: 1, .. })));
        assert!(matches!(decoder.message().unwrap(), Some(FromGateway::Alarm(_))));
    }

    #[test]
    fn whoever_does_not_keep_to_the_rules_is_closed_and_nothing_of_it_is_done() {
        let (mut face, dir) = face();
        let uncut = ToGateway::Uncut {
            id: 1,
            imsi: "001010000000001".parse().unwrap(),
            actor: "me".into(),
            reason: "please".into(),
            at: Utc(1),
        };
        let bad = [
            client(&dir, &[ToGateway::Status { id: 1 }]),
            client(&dir, &[hello(Role::Local), uncut]),
            client(&dir, &[hello(Role::Local), ToGateway::N4(vec![1])]),
        ];
        let mut other_release = UnixStream::connect(dir.path().join("control.sock")).unwrap();
        other_release.write_all(b"SKLINK\x00\x63").unwrap();
        let heard = face.hear();
        assert!(heard.iter().all(|h| matches!(h.message, ToGateway::Hello { .. })), "{heard:?}");
        assert!(bad.into_iter().chain([other_release]).all(|s| closed(s).is_some()));
    }

    #[test]
    fn a_local_command_may_cut_while_control_is_there() {
        let (mut face, dir) = face();
        let control = client(&dir, &[hello(CONTROL)]);
        face.hear();
        let cut = ToGateway::Cut {
            id: 1,
            imsi: "001010000000001".parse().unwrap(),
            state: SimState::Lost,
            actor: "root".into(),
            reason: "now".into(),
            at: Utc(1),
        };
        let _local = client(&dir, &[hello(Role::Local), cut]);
        let heard = face.hear();
        assert!(matches!(heard[1].message, ToGateway::Cut { .. }) && heard[1].role == Role::Local);
        assert!(face.control_reads());
        assert_eq!(closed(control), None);
    }

    #[test]
    fn a_newer_control_takes_the_place_of_an_older_one() {
        let (mut face, dir) = face();
        let old = client(&dir, &[hello(CONTROL)]);
        face.hear();
        let new = client(&dir, &[hello(Role::Control { control_id: 2 })]);
        face.hear();
        assert!(closed(old).is_some());
        assert_eq!(closed(new), None);
    }

    #[test]
    fn a_peer_that_does_not_read_is_given_up_before_memory_is() {
        let (mut face, dir) = face();
        let _deaf = client(&dir, &[hello(CONTROL)]);
        face.hear();
        let big = FromGateway::N4(vec![0; 8 << 20]);
        for _ in 0..16 {
            face.say_to_control(&big);
            face.flush();
        }
        assert!(!face.say_to_control(&big));
    }

    #[test]
    fn an_abandoned_socket_is_replaced_and_a_served_one_is_not() {
        let (face, dir) = face();
        let path = dir.path().join("control.sock");
        assert!(Face::open(&path).unwrap_err().to_string().contains("another gateway"));
        drop(face);
        Face::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_asynchronous_end_and_this_one_understand_each_other() {
        let (mut face, dir) = face();
        let path = dir.path().join("control.sock");
        let client = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (mut sender, mut receiver, hello) = link::connect(&path, CONTROL).await.unwrap();
                assert_eq!(hello.shards, 3);
                sender.send(&ToGateway::N4(vec![7; 100_000])).await.unwrap();
                match receiver.recv().await.unwrap() {
                    FromGateway::N4(bytes) => bytes.len(),
                    other => panic!("{other:?}"),
                }
            })
        });
        let mut answered = false;
        while !answered {
            for said in face.hear() {
                match said.message {
                    ToGateway::Hello { .. } => {
                        let hello = link::GatewayHello {
                            gateway_id: 1,
                            recovery: 2,
                            sessions: Vec::new(),
                            revoked: Vec::new(),
                            journal: link::JournalHead::default(),
                            policy_generation: 0,
                            shards: 3,
                            quarantined: Vec::new(),
                            panicked: Vec::new(),
                            cut_devices: Vec::new(),
                            copies: Vec::new(),
                            foreign: Vec::new(),
                            smfs: Vec::new(),
                        };
                        face.say(said.from, &FromGateway::Hello(Box::new(hello)));
                    }
                    ToGateway::N4(bytes) => {
                        face.say(said.from, &FromGateway::N4(bytes));
                        answered = true;
                    }
                    other => panic!("{other:?}"),
                }
            }
            face.flush();
            std::thread::yield_now();
        }
        while !client.is_finished() {
            face.flush();
        }
        assert_eq!(client.join().unwrap(), 100_000);
    }
}
