//! What blocks a job: a pause, failures, refused credentials, another program.

use std::{collections::BTreeSet, mem::discriminant};

use chrono::{DateTime, Utc};

use crate::model::{backoff::Backoff, pause::Pause, report::FailureKind};

/// What blocks a job; of each kind there is one at most.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<Block>);

#[derive(Debug)]
pub(super) enum Block {
    Paused(Pause),
    BackingOff {
        backoff: Backoff,
        /// Which kinds of failure were logged in this outage.
        logged: BTreeSet<FailureKind>,
    },
    /// It may not reach its servers until then, as it was found last.
    Locked(DateTime<Utc>),
    /// Another program runs it.
    Elsewhere(RunElsewhere),
}

/// Another program runs the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunElsewhere {
    pub(super) since: DateTime<Utc>,
    /// When it is tried again.
    pub(super) next_at: DateTime<Utc>,
    /// Whether it was logged that this lasts longer than any run may.
    pub(super) stuck: bool,
}

impl Blocks {
    /// Adds a block, in the place of the one of its kind.
    pub(super) fn add(&mut self, block: Block) {
        self.0
            .retain(|other| discriminant(other) != discriminant(&block));
        self.0.push(block);
    }

    pub(super) fn pause(&self) -> Option<&Pause> {
        self.0.iter().find_map(|block| match block {
            Block::Paused(pause) => Some(pause),
            Block::BackingOff { .. } | Block::Locked(_) | Block::Elsewhere(_) => None,
        })
    }

    pub(super) fn backoff(&self) -> Option<&Backoff> {
        self.0.iter().find_map(|block| match block {
            Block::BackingOff { backoff, .. } => Some(backoff),
            Block::Paused(_) | Block::Locked(_) | Block::Elsewhere(_) => None,
        })
    }

    pub(super) fn locked(&self) -> Option<DateTime<Utc>> {
        self.0.iter().find_map(|block| match block {
            Block::Locked(until) => Some(*until),
            Block::Paused(_) | Block::BackingOff { .. } | Block::Elsewhere(_) => None,
        })
    }

    pub(super) fn elsewhere(&self) -> Option<RunElsewhere> {
        self.0.iter().find_map(|block| match block {
            Block::Elsewhere(elsewhere) => Some(*elsewhere),
            Block::Paused(_) | Block::BackingOff { .. } | Block::Locked(_) => None,
        })
    }

    pub(super) fn take_pause(&mut self) -> Option<Pause> {
        let pause = self.pause().cloned();
        self.0.retain(|block| !matches!(block, Block::Paused(_)));
        pause
    }

    pub(super) fn take_backoff(&mut self) -> Option<(Backoff, BTreeSet<FailureKind>)> {
        let is_backoff = |block: &Block| matches!(block, Block::BackingOff { .. });
        let place = self.0.iter().position(is_backoff)?;
        match self.0.remove(place) {
            Block::BackingOff { backoff, logged } => Some((backoff, logged)),
            Block::Paused(_) | Block::Locked(_) | Block::Elsewhere(_) => None,
        }
    }

    pub(super) fn unlock(&mut self) {
        self.0.retain(|block| !matches!(block, Block::Locked(_)));
    }

    pub(super) fn ends_elsewhere(&mut self) {
        self.0.retain(|block| !matches!(block, Block::Elsewhere(_)));
    }
}

impl FromIterator<Block> for Blocks {
    fn from_iter<T: IntoIterator<Item = Block>>(blocks: T) -> Self {
        let mut all = Self::default();
        for block in blocks {
            all.add(block);
        }
        all
    }
}
