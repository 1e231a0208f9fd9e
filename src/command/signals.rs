//! SIGTERM and SIGINT: the first asks to stop, the second stops at once. SIGHUP and SIGUSR1: what a
//! daemon is asked to do.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_tokio::Signals;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::daemon::commands::Commands;

/// The exit status of a program that a second signal ended at once: 128 and SIGINT's number.
const STOPPED_AT_ONCE: i32 = 130;

/// Stops listening when it is dropped.
#[derive(Debug)]
pub struct SignalTask(JoinHandle<()>);

impl Drop for SignalTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Cancels the token at the first SIGTERM or SIGINT. The second one ends the program even when
/// nothing else moves any more.
///
/// # Errors
/// The system refuses the listening.
pub fn cancel_on_signal(cancel: CancellationToken) -> io::Result<SignalTask> {
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first signal finds the flag down, raises it, and so arms the second.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            STOPPED_AT_ONCE,
            Arc::clone(&told),
        )?;
        signal_hook::flag::register(signal, Arc::clone(&told))?;
    }
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    Ok(SignalTask(tokio::spawn(async move {
        if signals.next().await.is_some() {
            cancel.cancel();
        }
    })))
}

/// SIGHUP and SIGUSR1, heard from now on and not yet passed on to anybody.
pub struct ControlSignals(Signals);

/// Hears SIGHUP and SIGUSR1, which would end the program otherwise.
///
/// # Errors
/// The system refuses the listening.
pub fn control_signals() -> io::Result<ControlSignals> {
    Ok(ControlSignals(Signals::new([SIGHUP, SIGUSR1])?))
}

impl ControlSignals {
    /// Passes them on: SIGHUP reloads the configuration, SIGUSR1 triggers every job that is not
    /// paused.
    #[must_use]
    pub fn pass_on(mut self, orders: Commands) -> SignalTask {
        SignalTask(tokio::spawn(async move {
            while let Some(signal) = self.0.next().await {
                match signal {
                    SIGHUP => orders.reload().await,
                    _ => orders.trigger_all().await,
                }
            }
        }))
    }
}
