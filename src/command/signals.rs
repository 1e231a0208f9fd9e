//! Signal handling. SIGTERM and SIGINT: the first requests a stop, the second ends the program at
//! once. SIGHUP and SIGUSR1: commands to a daemon.

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

/// Exit status after a second signal: 128 plus SIGINT's number.
const STOPPED_AT_ONCE: i32 = 130;

/// Removes the handlers when dropped.
#[derive(Debug)]
pub struct SignalTask(JoinHandle<()>);

impl Drop for SignalTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Cancels the token at the first SIGTERM or SIGINT. The second one ends the program even if
/// everything else hangs.
///
/// # Errors
/// The system refuses to install the handlers.
pub fn cancel_on_signal(cancel: CancellationToken) -> io::Result<SignalTask> {
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first signal finds the flag unset, sets it, and so arms the second.
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

/// SIGHUP and SIGUSR1, received from now on and not yet passed on.
pub struct ControlSignals(Signals);

/// Installs handlers for SIGHUP and SIGUSR1, which would otherwise end the program.
///
/// # Errors
/// The system refuses to install the handlers.
pub fn control_signals() -> io::Result<ControlSignals> {
    Ok(ControlSignals(Signals::new([SIGHUP, SIGUSR1])?))
}

impl ControlSignals {
    /// Passes the signals on: SIGHUP reloads the configuration, SIGUSR1 triggers every job that is
    /// not paused.
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
