//! `avain triggers …`.

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::{Failure, Tools, say};
use crate::settings::Settings;
use crate::store::triggers::{self, Status};

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum TriggersCommand {
    /// Put them there, with `database.admin_url` where it is set. Again after an upgrade does no harm.
    Install,
    /// Take them away.
    Remove,
    /// Say whether they are there; the exit status is 1 where not.
    Status,
}

pub(super) async fn triggers(
    settings: Settings,
    command: TriggersCommand,
) -> Result<ExitCode, Failure> {
    let tools = Tools::open(settings).await?;
    let options = tools.plan.options();
    match command {
        TriggersCommand::Install => {
            triggers::install(options).await.map_err(Failure::fault)?;
            say("Installed: what others change in auth_user and authtoken_token counts at once.")?;
        }
        TriggersCommand::Remove => {
            triggers::remove(options).await.map_err(Failure::fault)?;
            say("Removed.")?;
        }
        TriggersCommand::Status => {
            let status = triggers::status(&tools.store).await.map_err(Failure::fault)?;
            match status {
                Status::Installed => say("installed")?,
                Status::Missing => say("missing: run `avain triggers install`")?,
                Status::Unsupported => say("none: SQLite is for avain alone")?,
            }
            if status == Status::Missing {
                return Ok(ExitCode::from(1));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
