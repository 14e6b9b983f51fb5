//! What is told of SMFs and their associations: each change at once, unless there are so many of them that whoever listens
//! could not follow. Then the last one is told, once a second.

use super::{N4, N4Output};
use std::net::IpAddr;
use types::{Mono, Now, SmfState};

/// So many changes in a row are told at once.
const AT_ONCE: u8 = 8;
/// And one more after so many milliseconds.
const PAUSE_MS: u64 = 1_000;

/// How it stands with one SMF.
pub(super) struct News {
    /// So many may be told at once.
    left: u8,
    /// When one more may be.
    next: Mono,
    /// What has not been told.
    due: Option<SmfState>,
}

impl News {
    /// What may be told by now.
    fn take(&mut self, now: Mono) -> Option<SmfState> {
        while self.left < AT_ONCE && self.next <= now {
            self.left += 1;
            self.next = self.next.plus_ms(PAUSE_MS);
        }
        if self.left == AT_ONCE {
            self.next = now.plus_ms(PAUSE_MS);
        }
        let state = self.due.take_if(|_| self.left > 0)?;
        self.left -= 1;
        Some(state)
    }
}

impl N4 {
    pub(super) fn tell_state(&mut self, smf: IpAddr, state: SmfState, now: Now) {
        let fresh = || News { left: AT_ONCE, next: now.mono, due: None };
        self.news.entry(smf).or_insert_with(fresh).due = Some(state);
        self.tell_news(now);
    }

    pub(super) fn next_news(&self) -> Option<Mono> {
        self.news.values().filter(|n| n.due.is_some()).map(|n| n.next).min()
    }

    pub(super) fn tell_news(&mut self, now: Now) {
        for (smf, news) in &mut self.news {
            if let Some(state) = news.take(now.mono) {
                self.out.push_back(N4Output::Smf { smf: *smf, state });
            }
        }
    }
}
