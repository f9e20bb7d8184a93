//! Limits to the rate of transfers: of a session, and of all sessions together.

use super::deflate;
use super::desk::Work;
use super::session::{Interpreter, Step, Turn};
use super::transfer::{BYTES_A_POLL, Outcome};
use crate::budget::Budget;
use crate::service::{Action, Data};
use crate::storage::Storage;
use crate::stream::Status;
use crate::time::Instant;

/// What may be moved at `rate` bytes a second: an eighth of a second's worth at once.
pub(super) fn budget(rate: u64) -> Budget {
    Budget::new(rate.max(1), (rate / 8).max(1))
}

impl<S: Storage, const N: usize> Interpreter<'_, '_, S, N> {
    /// Bytes that the transfer may move now, or until when it is held up.
    pub(super) fn allowance(&mut self, turn: &mut Turn<'_, S>) -> Result<usize, Instant> {
        let mut allowance =
            if self.session.codec.is_some() { deflate::BYTES_A_POLL } else { BYTES_A_POLL };
        let is_limited = self.session.budget.is_some() || turn.server.budget.is_some();
        let Work::Transfer(transfer) = &mut self.desk.work else { return Ok(0) };
        if !is_limited || !transfer.is_moving() {
            // Nothing moves in the same poll in which that begins.
            return Ok(if is_limited { 0 } else { allowance });
        }
        if turn.now < transfer.held_until {
            return Err(transfer.held_until);
        }
        let budgets = [&mut self.session.budget, &mut turn.server.budget];
        for (budget, place) in budgets.into_iter().zip(&mut transfer.places) {
            let Some(budget) = budget else { continue };
            let share =
                budget.turn(turn.now, place).inspect_err(|until| transfer.held_until = *until)?;
            allowance = allowance.min(usize::try_from(share).unwrap_or(usize::MAX));
        }
        Ok(allowance)
    }

    /// Counts what has moved.
    pub(super) fn charge(&mut self, bytes: u64, turn: &mut Turn<'_, S>) {
        for budget in [&mut self.session.budget, &mut turn.server.budget].into_iter().flatten() {
            budget.take(bytes);
        }
    }

    /// The transfer waits for its turn, if it still has its connection.
    pub(super) fn hold_up(&mut self, until: Instant, turn: &mut Turn<'_, S>) -> Step {
        match &turn.data {
            Data::Open(stream) if stream.status() != Status::Broken => {
                Step::Leave(Action::Wait(Some(until)))
            }
            _ => self.transfer_over(Outcome::Broken, turn),
        }
    }
}
