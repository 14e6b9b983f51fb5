//! All shards, as the main thread sees them: orders in, answers and news out.

use super::ring::{Bell as _, Kit, Os, Waker};
use super::shard_thread::{Answer, Inbox, Io, News, ORDERS, Order, Ticket, Upward};
use crate::time;
use pgw_policy::batch::ShardId;
use pgw_policy::command::{ShardCommand, ShardReply};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Urgent commands that are under way together; fewer than the ring has room for.
const TOGETHER: usize = 256;

/// One shard, from outside.
pub struct Post<K: Kit = Os> {
    /// The rings into it.
    pub inbox: Inbox<K>,
    /// Its sockets' counters.
    pub io: Arc<Io>,
    /// Orders that found no room yet.
    backlog: VecDeque<Order>,
    under_way: usize,
}

/// All shards.
pub struct Shards<K: Kit = Os> {
    posts: Vec<Post<K>>,
    up: Upward<K>,
    waker: Arc<Waker<K>>,
    /// Answers that came while the main thread waited for others.
    set_aside: VecDeque<Answer>,
    last_ticket: u64,
}

/// The answers to urgent commands, one list per command, with the shards that gave them.
pub type Answers = Vec<Vec<(ShardId, ShardReply)>>;

impl<K: Kit> Shards<K> {
    /// `waker` wakes the main thread.
    pub fn new(inboxes: Vec<(Inbox<K>, Arc<Io>)>, up: Upward<K>, waker: Arc<Waker<K>>) -> Self {
        let post = |(inbox, io)| Post { inbox, io, backlog: VecDeque::new(), under_way: 0 };
        Self {
            posts: inboxes.into_iter().map(post).collect(),
            up,
            waker,
            set_aside: VecDeque::new(),
            last_ticket: 0,
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.posts.len()
    }

    /// Of a shard's sockets.
    pub fn io(&self, shard: ShardId) -> Option<&Io> {
        self.posts.get(usize::from(shard.0)).map(|p| &*p.io)
    }

    /// A ticket of the main thread's own.
    pub fn ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// Gives an order to one shard, in order with those before it.
    pub fn order(&mut self, shard: ShardId, order: Order) {
        if let Some(post) = self.posts.get_mut(usize::from(shard.0)) {
            post.backlog.push_back(order);
            post.press_on();
        }
    }

    /// Gives the same command to all shards; each answers with the returned ticket.
    pub fn order_all(&mut self, command: &ShardCommand) -> u64 {
        let n = self.ticket();
        for shard in 0..self.posts.len() {
            self.order(ShardId(shard as u8), Order { ticket: Ticket::Main(n), command: command.clone() });
        }
        n
    }

    /// Gives urgent commands to all shards ahead of everything else and waits until all have answered, or for
    /// `patience` without progress. The answers are in the order of the commands.
    pub fn ask_all_now(&mut self, commands: &[ShardCommand], patience: Duration) -> Answers {
        let mut answers = Answers::with_capacity(commands.len());
        for some in commands.chunks(TOGETHER) {
            let first = self.last_ticket + 1;
            self.last_ticket += some.len() as u64;
            for (n, command) in some.iter().enumerate() {
                for post in &self.posts {
                    let ticket = Ticket::Main(first + n as u64);
                    // A shard that has stopped answering has a full ring; it is then missing among the answers.
                    let _ = post.inbox.urgent.push(Order { ticket, command: command.clone() });
                }
            }
            self.gather(first, some.len(), patience, &mut answers);
        }
        answers
    }

    /// Waits until every shard has done what it was ordered before this, or for `patience` without progress. How many
    /// have.
    pub fn settle(&mut self, patience: Duration) -> u32 {
        let ticket = self.order_all(&ShardCommand::Status);
        let mut answers = Answers::new();
        self.gather(ticket, 1, patience, &mut answers);
        let shards: Vec<ShardId> = answers.iter().flatten().map(|(shard, _)| *shard).collect();
        shards.iter().for_each(|shard| self.answered(*shard));
        shards.len() as u32
    }

    fn gather(&mut self, first: u64, commands: usize, patience: Duration, into: &mut Answers) {
        let mut got: Answers = vec![Vec::with_capacity(self.posts.len()); commands];
        let mut missing = commands * self.posts.len();
        let mut give_up = time::mono().0.saturating_add(patience.as_nanos() as u64);
        while missing > 0 {
            let Some(answer) = self.up.answers.pop() else {
                let now = time::mono().0;
                if now >= give_up {
                    break;
                }
                let (answers, left) = (&self.up.answers, Duration::from_nanos(give_up - now));
                self.waker.sleep(|| !answers.is_empty(), |bell| bell.wait(left));
                continue;
            };
            let ours = match answer.ticket {
                Ticket::Main(n) => n.checked_sub(first).and_then(|n| got.get_mut(n as usize)),
                Ticket::N4(_) => None,
            };
            match ours {
                Some(list) => {
                    list.push((answer.shard, answer.reply));
                    missing -= 1;
                    give_up = time::mono().0.saturating_add(patience.as_nanos() as u64);
                }
                None => {
                    // Orders of the backlog move up, or the one that is waited for might never be reached.
                    self.answered(answer.shard);
                    self.set_aside.push_back(answer);
                }
            }
        }
        into.extend(got);
    }

    /// The next answer to an order.
    pub fn next_answer(&mut self) -> Option<Answer> {
        if let Some(answer) = self.set_aside.pop_front() {
            return Some(answer);
        }
        let answer = self.up.answers.pop()?;
        self.answered(answer.shard);
        Some(answer)
    }

    /// An answer of this shard has left the ring: there is room for another order.
    fn answered(&mut self, shard: ShardId) {
        if let Some(post) = self.posts.get_mut(usize::from(shard.0)) {
            post.under_way = post.under_way.saturating_sub(1);
            post.press_on();
        }
    }

    /// The next thing that a shard tells unasked.
    pub fn next_news(&mut self) -> Option<News> {
        self.up.news.pop()
    }

    /// Sleeps until a shard says something, unless one has or `also` finds work; `wait` may also end for other
    /// reasons.
    pub fn sleep(&self, also: impl FnOnce() -> bool, wait: impl FnOnce(&K::Bell)) {
        let work = || {
            also() || !self.up.answers.is_empty() || !self.up.news.is_empty() || !self.set_aside.is_empty()
        };
        self.waker.sleep(work, wait);
    }
}

impl<K: Kit> Post<K> {
    /// Moves orders from the backlog into the ring. Not more than the answers' ring has room for.
    fn press_on(&mut self) {
        while self.under_way < ORDERS {
            let Some(order) = self.backlog.pop_front() else { return };
            if let Err(order) = self.inbox.orders.push(order) {
                self.backlog.push_front(order);
                return;
            }
            self.under_way += 1;
        }
    }
}
