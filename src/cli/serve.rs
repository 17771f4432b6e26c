//! `avain serve`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::{App, Plan};
use crate::base::clock::SystemClock;
use crate::base::random::SystemRandom;
use crate::cli::Failure;
use crate::http::Service;
use crate::server::{self, Face, Listener};
use crate::settings::Settings;
use crate::store::options::EngineKind;
use crate::telemetry::{self, Format};

/// How long a stop waits for mails that are under way. What is cut off then is sent later.
const MAIL_DRAIN: Duration = Duration::from_secs(3);

/// Serves; on SIGHUP `read` gives the settings anew.
pub(super) fn serve(
    plan: Plan,
    read: impl Fn() -> Result<Settings, Failure>,
) -> Result<ExitCode, Failure> {
    let settings = plan.settings();
    let format = Format::parse(&settings.log.format).unwrap_or(Format::Json);
    telemetry::start(format, &settings.log.level);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if settings.server.workers > 0 {
        runtime.worker_threads(settings.server.workers);
    }
    let runtime = runtime.enable_all().build().map_err(Failure::fault)?;
    runtime.block_on(run(plan, read))
}

async fn run(
    plan: Plan,
    read: impl Fn() -> Result<Settings, Failure>,
) -> Result<ExitCode, Failure> {
    let settings = plan.settings().clone();
    for warning in plan.warnings() {
        tracing::warn!("{warning}");
    }
    // Before anything else is done: a stop during the start must be heard too.
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::fault)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::fault)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(Failure::fault)?;

    let _alone = alone(&plan)?;
    let app = App::start(plan, Arc::new(SystemClock), Arc::new(SystemRandom::new())).await?;
    let (stop, stopping) = watch::channel(false);
    let mut faces = Vec::new();
    for listen in &settings.server.listen.0 {
        faces.push((Face::Public, listen.clone()));
    }
    if let Some(listen) = &settings.server.operations.0 {
        faces.push((Face::Operations, listen.clone()));
    }
    let mut open = Vec::new();
    for (face, listen) in faces {
        let listener = Listener::open(&listen, app.connections.unix_mode).await;
        open.push((face, listen, listener.map_err(Failure::Fault)?));
    }
    let mut public = JoinSet::new();
    let mut operations = JoinSet::new();
    for (face, listen, listener) in open {
        tracing::info!(%listen, ?face, "listening");
        let service = Arc::clone(&app.service);
        let serving = server::serve(service, listener, face, app.connections, stopping.clone());
        match face {
            Face::Public => public.spawn(serving),
            Face::Operations => operations.spawn(serving),
        };
    }
    let heard = tokio::spawn(Arc::clone(&app.background).hear(app.feed, stopping.clone()));
    let rotating = tokio::spawn(Arc::clone(&app.background).rotate(stopping.clone()));
    let tidied = tokio::spawn(Arc::clone(&app.background).tidy(stopping.clone()));
    let charted = tokio::spawn(Arc::clone(&app.background).chart(stopping.clone()));
    let noted = tokio::spawn(Arc::clone(&app.background).note_uses(stopping));
    // Mail stops last: what is asked while requests drain is still sent.
    let (stop_mail, mail_stopping) = watch::channel(false);
    let mail = tokio::spawn(Arc::clone(&app.background.mail).run(mail_stopping));
    notify(&[sd_notify::NotifyState::Ready]);
    app.service.metrics.settings_taken.set(1);
    app.service.metrics.settings_taken_at.set(app.service.context.now().seconds());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");

    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reload(&app.service, &settings, read()),
        }
    }
    tracing::info!("stopping: answering what was asked");
    notify(&[sd_notify::NotifyState::Stopping]);
    server::begin_stop(&app.service, &stop);
    let drained = tokio::time::timeout(settings.server.drain_timeout, public.join_all()).await;
    if drained.is_err() {
        tracing::warn!("some requests were not answered in time; they are cut off");
    }
    stop_mail.send_replace(true);
    if tokio::time::timeout(MAIL_DRAIN, mail).await.is_err() {
        tracing::warn!(
            "the mail server did not answer in time; what it did not take is sent later"
        );
    }
    operations.abort_all();
    heard.abort();
    rotating.abort();
    tidied.abort();
    noted.abort();
    charted.abort();
    if let Err(error) = app.background.note_uses_now().await {
        tracing::warn!(%error, "could not note when keys were used last");
    }
    app.service.context.store.close().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Puts the gate's policies of newly read settings into force: from the next request on, and for all of
/// it. Where anything is wrong with the settings, the policies stay as they are.
fn reload(service: &Service, running: &Settings, read: Result<Settings, Failure>) {
    let now = service.context.now();
    let read = read.and_then(|read| {
        let needs_restart = running.differ_beyond_policies(&read);
        let policies = Plan::new(read).map_err(Failure::Usage)?.policies()?;
        Ok((policies, needs_restart))
    });
    let taken = &service.metrics.settings_taken;
    match read {
        Ok((policies, needs_restart)) => {
            let names: Vec<String> = policies.names().map(str::to_owned).collect();
            service.gate.policies.store(Arc::new(policies));
            service.metrics.settings_taken_at.set(now.seconds());
            taken.set(1);
            tracing::info!(?names, "the gate's policies were read anew");
            if needs_restart {
                tracing::warn!(
                    "other settings have changed too: they count from the next start on"
                );
            }
        }
        Err(failure) => {
            taken.set(0);
            for problem in failure.lines() {
                tracing::error!(
                    problem,
                    "the settings are wrong; the gate's policies stay as they are"
                );
            }
        }
    }
}

/// Makes sure that nobody else serves the same SQLite file, as long as what it gives is kept: each would miss
/// what the other takes back in its memory only.
fn alone(plan: &Plan) -> Result<Option<File>, Failure> {
    let Ok(EngineKind::Sqlite(database)) = plan.options().engine() else { return Ok(None) };
    let mut path = database.clone().into_os_string();
    path.push(".serving");
    let path = PathBuf::from(path);
    let failed = |error: io::Error| {
        Failure::Fault(format!("database: cannot lock {}: {error}", path.display()))
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = match options.open(&path) {
        // A folder that is not there is the store's to complain of.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut other = String::new();
            file.read_to_string(&mut other).map_err(failed)?;
            return Err(Failure::Fault(format!(
                "database: another `avain serve` (process {}) serves {}: a SQLite file is for one serving process; stop that \
                 one, or use PostgreSQL for several",
                other.trim(),
                database.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(Some(file))
}

/// Tells systemd, where it asked for that.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
