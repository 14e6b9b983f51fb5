//! The line to `control` through the gateway: a question with its number, and the answer that names it.

use anyhow::{Context, Result};
use gateway::link::page::{Answered, Asked, LONGEST, PageAnswer, PageAsk};
use std::{
    cell::RefCell,
    collections::HashMap,
    os::{fd::AsFd as _, unix::net::UnixDatagram as StdDatagram},
    rc::Rc,
    time::Duration,
};
use tokio::{net::UnixDatagram, sync::oneshot};

/// An answer may take so long: the provider is asked behind it.
const PATIENCE: Duration = Duration::from_secs(15);
/// Questions under way.
const AT_ONCE: usize = 256;

/// See the module.
#[derive(Clone)]
pub(super) struct Line(Rc<Inner>);

struct Inner {
    socket: UnixDatagram,
    waiting: RefCell<HashMap<u32, oneshot::Sender<PageAnswer>>>,
    last: RefCell<u32>,
}

impl Line {
    /// Takes standard input, and answers from here on.
    pub(super) fn open() -> Result<Self> {
        let socket = StdDatagram::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        socket.set_nonblocking(true).context("standard input is not the line to the gateway")?;
        let socket = UnixDatagram::from_std(socket)?;
        let line = Self(Rc::new(Inner { socket, waiting: RefCell::default(), last: RefCell::default() }));
        let theirs = line.clone();
        tokio::task::spawn_local(async move { theirs.hear().await });
        Ok(line)
    }

    async fn hear(self) {
        let mut buffer = vec![0; LONGEST];
        while let Ok(n) = self.0.socket.recv(&mut buffer).await {
            let read = buffer.get(..n).and_then(|b| postcard::from_bytes::<Answered>(b).ok());
            let Some(Answered { id, answer }) = read else { continue };
            let asker = self.0.waiting.borrow_mut().remove(&id);
            drop(asker.map(|a| a.send(answer)));
        }
    }

    /// Asks; `None` where nobody answers in time.
    pub(super) async fn ask(&self, ask: PageAsk) -> Option<PageAnswer> {
        let (tx, rx) = oneshot::channel();
        let id = {
            let mut last = self.0.last.borrow_mut();
            *last = last.wrapping_add(1);
            *last
        };
        {
            let mut waiting = self.0.waiting.borrow_mut();
            if waiting.len() >= AT_ONCE {
                return None;
            }
            waiting.insert(id, tx);
        }
        let said = postcard::to_stdvec(&Asked { id, ask }).ok()?;
        let answer = tokio::time::timeout(PATIENCE, async {
            self.0.socket.send(&said).await.ok()?;
            rx.await.ok()
        });
        let answer = answer.await.ok().flatten();
        self.0.waiting.borrow_mut().remove(&id);
        answer
    }
}
