//! `avain check`: everything that is wrong, and what is unsafe in production.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::app::{Plan, StartError};
use crate::base::clock::{Clock as _, SystemClock};
use crate::base::random::SystemRandom;
use crate::cli::{Failure, complain, say, say_json};
use crate::settings::Settings;
use crate::store::accounts::Owner;
use crate::store::migrate::{self, Status};
use crate::store::options::EngineKind;
use crate::store::{
    Store, StoreError, accounts, api_keys, changes, personal_keys, signing_keys, triggers,
};

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// Judge the settings only; do not ask the database.
    #[arg(long)]
    offline: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn check(settings: Settings, args: CheckArgs) -> Result<ExitCode, Failure> {
    let plan = Plan::new(settings).map_err(Failure::Usage)?;
    let mut warnings = plan.warnings();
    let mut faults = Vec::new();
    let mut wrong = Vec::new();
    look_at_mail(&plan, &mut wrong, &mut faults);
    look_at_pages(&plan, &mut wrong, &mut faults);
    if let Err(StartError::Configuration(lines)) = plan.ensure_master_key() {
        wrong.extend(lines);
    }
    if !args.offline {
        match ask_database(&plan, &mut warnings).await {
            Ok(()) => {}
            Err(StartError::Configuration(lines)) => wrong.extend(lines),
            Err(StartError::Fault(line)) => faults.push(line),
        }
    }
    if args.json {
        say_json(&json!({ "wrong": wrong, "faults": faults, "warnings": warnings }))?;
    } else {
        for line in wrong.iter().chain(&faults) {
            complain(line);
        }
        for line in &warnings {
            say(&format!("warning: {line}"))?;
        }
        if wrong.is_empty() && faults.is_empty() {
            say("The configuration is right.")?;
        }
    }
    Ok(ExitCode::from(match (wrong.is_empty(), faults.is_empty()) {
        (false, _) => 64,
        (true, false) => 1,
        (true, true) => 0,
    }))
}

/// Templates of mails, and the certificates that a mail server's may be signed with.
fn look_at_mail(plan: &Plan, wrong: &mut Vec<String>, faults: &mut Vec<String>) {
    let mut note = |error| match error {
        StartError::Configuration(lines) => wrong.extend(lines),
        StartError::Fault(line) => faults.push(line),
    };
    match plan.composer() {
        Ok((_, templates)) => {
            let lines = templates.iter().map(|fault| format!("mail.templates: {fault}"));
            note(StartError::Configuration(lines.collect()));
        }
        Err(error) => note(error),
    }
    if let Err(error) = plan.transport() {
        note(error);
    }
}

/// Templates of pages.
fn look_at_pages(plan: &Plan, wrong: &mut Vec<String>, faults: &mut Vec<String>) {
    match plan.renderer() {
        Ok((_, templates)) => {
            wrong.extend(templates.iter().map(|fault| format!("pages.templates: {fault}")));
        }
        Err(StartError::Configuration(lines)) => wrong.extend(lines),
        Err(StartError::Fault(line)) => faults.push(line),
    }
}

async fn ask_database(plan: &Plan, warnings: &mut Vec<String>) -> Result<(), StartError> {
    if let Ok(EngineKind::Sqlite(path)) = plan.options().engine()
        && !path.exists()
        && path.parent().is_some_and(|folder| folder == Path::new("") || folder.is_dir())
    {
        // Opening it would make it.
        let path = path.display();
        warnings.push(format!("database: {path} does not exist yet; `avain serve` makes it"));
        return Ok(());
    }
    let store = plan.open_store()?;
    let status = migrate::status(&store).await;
    match status.map_err(|error| StartError::Fault(format!("database: {error}")))? {
        Status::Current => {}
        Status::Newer(version) => warnings.push(format!(
            "database: a newer avain has migrated it, to version {version}; this one still runs"
        )),
        Status::Pending(names) => {
            warnings.push(format!("database: missing migrations: {}", names.join(", ")));
            return Ok(());
        }
    }
    look_at_emails(plan, &store, warnings)
        .await
        .map_err(|error| StartError::Fault(format!("database: {error}")))?;
    look_at_api_keys(plan, &store, warnings)
        .await
        .map_err(|error| StartError::Fault(format!("database: {error}")))?;
    let stored = signing_keys::all(&store).await;
    let stored = stored.map_err(|error| StartError::Fault(format!("database: {error}")))?;
    if !stored.is_empty() && plan.ensure_master_key().is_ok() {
        let random = SystemRandom::new();
        let master = plan.master_key(&store, &random).await?;
        let room = plan.key_room(&store, &master, &random, SystemClock.now());
        room.ring(0).await.map_err(|error| StartError::Fault(format!("keys: {error}")))?;
    }
    look_at_changes(plan, &store, warnings).await?;
    store.close().await;
    Ok(())
}

/// Accounts that are in the way of settings about mail addresses, since they were made before or elsewhere.
async fn look_at_emails(
    plan: &Plan,
    store: &Store,
    warnings: &mut Vec<String>,
) -> Result<(), StoreError> {
    let account = &plan.settings().account;
    if !account.unique_email {
        return Ok(());
    }
    let (shared, absent) = accounts::odd_emails(store).await?;
    if shared > 0 {
        warnings.push(format!(
            "account.unique_email: {shared} addresses are those of several accounts already; change or remove all \
             but one each (`avain user list`)"
        ));
    }
    if account.email_login && absent > 0 {
        warnings.push(format!(
            "account.email_login: {absent} accounts with a password have no address and cannot sign in; give \
             them one (`avain user edit NAME --email …`)"
        ));
    }
    Ok(())
}

/// API keys that are worth more to whoever finds them than they need to be.
async fn look_at_api_keys(
    plan: &Plan,
    store: &Store,
    warnings: &mut Vec<String>,
) -> Result<(), StoreError> {
    let classic = api_keys::count_of_staff(store).await?;
    if classic > 0 {
        warnings.push(format!(
            "api_keys: {classic} accounts of staff have a classic key, which never ends and can be read in the \
             database; give them a key of our own (`avain token upgrade NAME`)"
        ));
    }
    if let Some(longest) = plan.key_rules().longest_life {
        let older = personal_keys::count_longer_lived(store, longest, SystemClock.now()).await?;
        if older > 0 {
            warnings.push(format!(
                "api_keys.longest_life: {older} keys from before live longer; rotate them or take them back \
                 (`avain token list`)"
            ));
        }
    }
    Ok(())
}

/// Whether this instance will hear of what others change.
async fn look_at_changes(
    plan: &Plan,
    store: &Store,
    warnings: &mut Vec<String>,
) -> Result<(), StartError> {
    let failed = |error| StartError::Fault(format!("database: {error}"));
    if let Some(link) = store.listen(|| {}).await.map_err(failed)? {
        changes::check_link(store, &link).await.map_err(failed)?;
    }
    if plan.owner(store).await? == Owner::Django
        && triggers::status(store).await.map_err(failed)? == triggers::Status::Missing
    {
        warnings.push(
            "accounts: there are no triggers on Django's tables, so what Django changes there (a password, an \
             account switched off, a deleted key) counts only when it is looked at again, after accounts.recheck; \
             run `avain triggers install`"
                .to_owned(),
        );
    }
    Ok(())
}
