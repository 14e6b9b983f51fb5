//! Asking a child process over its standard input and output: one JSON object a line, answers in any order.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::HashMap,
    future::Future,
    marker::PhantomData,
    os::fd::AsFd,
    process::Stdio,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::unix::pipe::{Receiver, Sender},
    process::{Child, ChildStdin, Command},
    sync::{mpsc, oneshot},
};

/// A question with its number.
#[derive(Serialize, Deserialize)]
struct Question<Q> {
    id: u64,
    ask: Q,
}

/// The answer to the question with this number, or why there is none.
#[derive(Serialize, Deserialize)]
struct Answer<A> {
    id: u64,
    answer: Result<A, String>,
}

type Waiting<A> = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<A, String>>>>>;

/// A child process that is asked `Q` and answers `A`. Dropping it ends it.
pub struct Asked<Q, A> {
    name: String,
    child: Child,
    stdin: tokio::sync::Mutex<(ChildStdin, u64)>,
    waiting: Waiting<A>,
    asks: PhantomData<fn(Q)>,
}

impl<Q: Serialize, A: DeserializeOwned + Send + 'static> Asked<Q, A> {
    /// Starts `command` and takes its pipes. `name` is for messages.
    pub fn start(name: &str, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
        let stdin = child.stdin.take().context("the child's standard input")?;
        let stdout = child.stdout.take().context("the child's standard output")?;
        let waiting = Waiting::default();
        let theirs: Waiting<A> = waiting.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(a) = serde_json::from_str::<Answer<A>>(&line) else { continue };
                let asked = theirs.lock().unwrap_or_else(PoisonError::into_inner).remove(&a.id);
                if let Some(tx) = asked {
                    drop(tx.send(a.answer));
                }
            }
            // Whoever still waits learns by the closed channel that the child is gone.
            theirs.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
        let stdin = tokio::sync::Mutex::new((stdin, 0));
        Ok(Self { name: name.to_owned(), child, stdin, waiting, asks: PhantomData })
    }

    /// Its process id.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().with_context(|| format!("{} has ended", self.name))
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&self, ask: Q) -> Result<A> {
        let (tx, rx) = oneshot::channel();
        {
            let mut pipe = self.stdin.lock().await;
            pipe.1 += 1;
            let id = pipe.1;
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, tx);
            let mut line = serde_json::to_vec(&Question { id, ask })?;
            line.push(b'\n');
            pipe.0.write_all(&line).await.with_context(|| format!("asking {}", self.name))?;
            pipe.0.flush().await?;
        }
        let answer = rx.await.with_context(|| format!("{} ended before it answered", self.name))?;
        answer.map_err(|why| anyhow::anyhow!("{}: {why}", self.name))
    }
}

/// The child's end: answers each question by `obey`, many at a time, until standard input ends. Runs inside a
/// `tokio::task::LocalSet`.
pub async fn answer<Q, A, F>(obey: impl Fn(Q) -> F + 'static) -> Result<()>
where
    Q: DeserializeOwned + 'static,
    A: Serialize + 'static,
    F: Future<Output = Result<A>> + 'static,
{
    // Both ends are pipes of our parent, so they are polled like sockets and no helper thread is needed.
    let mut out = Sender::from_owned_fd(std::io::stdout().as_fd().try_clone_to_owned()?)?;
    let stdin = Receiver::from_owned_fd(std::io::stdin().as_fd().try_clone_to_owned()?)?;
    let (tx, mut rx) = mpsc::unbounded_channel::<Answer<A>>();
    tokio::task::spawn_local(async move {
        while let Some(a) = rx.recv().await {
            let Ok(mut line) = serde_json::to_vec(&a) else { continue };
            line.push(b'\n');
            if out.write_all(&line).await.is_err() || out.flush().await.is_err() {
                return;
            }
        }
    });
    let obey = Rc::new(obey);
    let mut lines = BufReader::new(stdin).lines();
    while let Some(line) = lines.next_line().await? {
        let q: Question<Q> = serde_json::from_str(&line)?;
        let (obey, tx) = (obey.clone(), tx.clone());
        tokio::task::spawn_local(async move {
            let answer = obey(q.ask).await.map_err(|e| format!("{e:#}"));
            drop(tx.send(Answer { id: q.id, answer }));
        });
    }
    Ok(())
}
