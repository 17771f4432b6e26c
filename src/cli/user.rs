//! `avain user …` and `avain createsuperuser`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::account::account::Account;
use crate::account::hashing::Hashing;
use crate::account::password::StoredPassword;
use crate::account::rules;
use crate::account::throttle::Subjects;
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::cli::{Failure, Tools, prompt, say, say_json};
use crate::dialect::password_rules;
use crate::flow::administer::{self, AccountDraft, Deleted};
use crate::flow::adopt_addresses::{self, Adopted};
use crate::flow::families;
use crate::settings::Settings;
use crate::store::accounts::{self, Edit};
use crate::store::allauth::AllauthTable;
use crate::token::claims::FamilyId;
use crate::token::opaque::ClassicKey;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make an account.
    #[command(after_help = "On a terminal the password is asked for. In a script:\n  \
        avain user create anna --email anna@example.org --password-stdin < password-file")]
    Create {
        /// Its user name: letters, digits and @ . + - _
        name: String,
        #[command(flatten)]
        about: About,
        /// May enter the administration.
        #[arg(long)]
        staff: bool,
        /// May do everything.
        #[arg(long)]
        superuser: bool,
        /// Switched off from the start; no activation link switches it on.
        #[arg(long)]
        inactive: bool,
        #[command(flatten)]
        password: PasswordArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make many accounts: one JSON object a line.
    #[command(after_help = "Each line: {\"username\": …, \"email\": …, \"password\": … or null, \
        \"first_name\": …, \"last_name\": …, \"is_active\": …, \"is_staff\": …, \"is_superuser\": …}; all but \
        username may be left out. \"encoded\" in place of \"password\" takes a hash as Django stores it.")]
    Import {
        /// The file with the lines; `-`: standard input.
        #[arg(default_value = "-")]
        source: String,
    },
    /// Take over which mail addresses allauth has verified (`account_emailaddress`), so that nobody
    /// has to show it again. Doing it again takes over what has come since.
    AdoptAddresses,
    /// List accounts in the order of their ids.
    List {
        /// Only those with larger ids.
        #[arg(long, default_value_t = 0, value_name = "ID")]
        after: i32,
        /// At most so many.
        #[arg(long, default_value_t = 1000)]
        limit: i64,
        /// Print JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show one account.
    Show {
        /// Its user name, or its mail address.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change what an account says about itself, and what it may do.
    Edit {
        /// Its user name, or its mail address.
        name: String,
        #[command(flatten)]
        about: About,
        /// May enter the administration: true or false.
        #[arg(long)]
        staff: Option<bool>,
        /// May do everything: true or false.
        #[arg(long)]
        superuser: Option<bool>,
    },
    /// Give an account another password. Ends everything it is signed in to.
    SetPassword {
        /// Its user name, or its mail address.
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Switch an account on.
    Activate {
        /// Its user name, or its mail address.
        name: String,
    },
    /// Switch an account off. Its tokens and keys are refused at once, and no activation link switches it on
    /// again.
    Deactivate {
        /// Its user name, or its mail address.
        name: String,
    },
    /// List where an account is signed in, with tokens that can be refreshed: since when, from where.
    Sessions {
        /// Its user name, or its mail address.
        name: String,
        /// Print JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// End everything that an account is signed in to, or one of it; its API key stays.
    SignOut {
        /// Its user name, or its mail address.
        name: String,
        /// Only this one, by its id in `avain user sessions`.
        #[arg(long, value_name = "ID")]
        session: Option<String>,
    },
    /// Forget failed sign-ins of an account, so that its owner need not wait, and resets that were asked for.
    Unlock {
        /// Its user name, or its mail address.
        name: String,
    },
    /// Delete an account. Where Django owns the accounts, it is switched off and loses every credential.
    Delete {
        /// Its user name, or its mail address.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args, Debug, Default)]
pub(super) struct About {
    /// Its mail address.
    #[arg(long)]
    email: Option<String>,
    /// Its first name.
    #[arg(long)]
    first_name: Option<String>,
    /// Its last name.
    #[arg(long)]
    last_name: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct PasswordArgs {
    /// Read the password from standard input, in one line; otherwise it is asked for.
    #[arg(long, conflicts_with = "no_password")]
    password_stdin: bool,
    /// No password: nobody can sign in with one.
    #[arg(long, visible_alias = "unusable")]
    no_password: bool,
    /// Take the password even where it breaks the rules for new passwords.
    #[arg(long)]
    force: bool,
}

#[derive(Args, Debug)]
pub(super) struct SuperuserArgs {
    /// Its user name.
    #[arg(long)]
    username: Option<String>,
    /// Its mail address.
    #[arg(long)]
    email: Option<String>,
    /// Ask nothing: take what is not given from `DJANGO_SUPERUSER_USERNAME`, `…_EMAIL` and `…_PASSWORD`,
    /// or the same with `AVAIN_SUPERUSER_`.
    #[arg(long, visible_alias = "noinput")]
    no_input: bool,
}

/// What the environment says about a superuser, as Django's command reads it.
pub(super) fn superuser_environment(environment: &BTreeMap<String, String>) -> Superuser {
    let find = |name: &str| {
        ["AVAIN", "DJANGO"]
            .iter()
            .find_map(|prefix| environment.get(&format!("{prefix}_SUPERUSER_{name}")).cloned())
    };
    Superuser {
        username: find("USERNAME"),
        email: find("EMAIL"),
        password: find("PASSWORD").map(Secret::new),
    }
}

/// A superuser as far as it is known.
pub(super) struct Superuser {
    username: Option<String>,
    email: Option<String>,
    password: Option<Secret<String>>,
}

pub(super) async fn createsuperuser(
    settings: Settings,
    args: SuperuserArgs,
    given: Superuser,
) -> Result<ExitCode, Failure> {
    let tools = Tools::open(settings).await?;
    let missing = |what: &str| {
        Failure::usage(format!(
            "--no-input needs {what}: set DJANGO_SUPERUSER_{}",
            what.to_uppercase()
        ))
    };
    let username = match (args.username.or(given.username), args.no_input) {
        (Some(username), _) => username,
        (None, true) => return Err(missing("username")),
        (None, false) => prompt::line("Username", "")?,
    };
    // Before anything else is asked.
    administer::ensure_free(&tools.store, &username).await.map_err(Failure::fault)?;
    let email = match (args.email.or(given.email), args.no_input) {
        (Some(email), _) => email,
        (None, true) => String::new(),
        (None, false) => prompt::line("Email address (may be empty)", "")?,
    };
    judge_email(&tools, &email, true).await?;
    let password = match (given.password, args.no_input) {
        // As Django's command: what a script brings is taken as it is.
        (Some(password), true) => password,
        (None, true) => return Err(missing("password")),
        (_, false) => {
            let about =
                rules::About { username: &username, email: &email, ..rules::About::default() };
            ask_password(&tools, &about).await?
        }
    };
    let password = hash(&*hashing(&tools).await?, password).await?;
    let draft = AccountDraft {
        username: username.clone(),
        email,
        first_name: String::new(),
        last_name: String::new(),
        password,
        is_active: true,
        is_staff: true,
        is_superuser: true,
        classic_key: classic_key(&tools),
        unique_email: tools.plan.settings().account.unique_email,
    };
    let id = administer::create(&tools.store, &tools.caller, draft, tools.clock.now()).await;
    id.map_err(Failure::fault)?;
    say(&format!("Superuser {username} created."))?;
    Ok(ExitCode::SUCCESS)
}

/// The classic key of a new account, where the site wants every account to have one.
fn classic_key(tools: &Tools) -> Option<ClassicKey> {
    let wanted = tools.plan.settings().account.classic_keys;
    wanted.then(|| ClassicKey::generate(tools.random.as_ref()))
}

pub(super) async fn user(settings: Settings, command: UserCommand) -> Result<ExitCode, Failure> {
    let tools = Tools::open(settings).await?;
    let store = &tools.store;
    let now = tools.clock.now();
    match command {
        UserCommand::Create { name, about, staff, superuser, inactive, password, json } => {
            let flags = (staff, superuser, !inactive);
            create(&tools, &name, about, flags, &password, json).await?;
        }
        UserCommand::Import { source } => import(&tools, &source).await?,
        UserCommand::AdoptAddresses => adopt_addresses(&tools).await?,
        UserCommand::List { after, limit, json } => {
            let page = accounts::page_after(store, after, limit.clamp(1, 100_000)).await;
            let page = page.map_err(Failure::fault)?;
            // The row that django-guardian keeps for nobody is no account of anybody.
            for account in page.iter().filter(|account| account.username != "AnonymousUser") {
                if json {
                    say_json(&describe(account))?;
                } else {
                    say(&summary(account))?;
                }
            }
        }
        UserCommand::Show { name, json } => {
            let account = administer::find(store, &name).await.map_err(Failure::fault)?;
            if json {
                say_json(&describe(&account))?;
            } else if let Value::Object(fields) = describe(&account) {
                for (field, value) in fields {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    say(&format!("{field:<14}{value}"))?;
                }
            }
        }
        UserCommand::Edit { name, about, staff, superuser } => {
            edit(&tools, &name, about, staff, superuser).await?;
        }
        UserCommand::SetPassword { name, password } => {
            let account = administer::find(store, &name).await.map_err(Failure::fault)?;
            let whose = rules::About {
                username: &account.username,
                first_name: &account.first_name,
                last_name: &account.last_name,
                email: &account.email,
            };
            let password = read_password(&tools, &password, &whose).await?;
            administer::set_password(store, &tools.caller, account.id, &password, now)
                .await
                .map_err(Failure::fault)?;
            say(&format!("Account {name} has another password and is signed out everywhere."))?;
        }
        UserCommand::Activate { name } => switch(&tools, &name, true).await?,
        UserCommand::Deactivate { name } => switch(&tools, &name, false).await?,
        UserCommand::Sessions { name, json } => sessions(&tools, &name, json).await?,
        UserCommand::SignOut { name, session } => {
            sign_out(&tools, &name, session.as_deref()).await?;
        }
        UserCommand::Unlock { name } => unlock(&tools, &name).await?,
        UserCommand::Delete { name, yes } => delete(&tools, &name, yes).await?,
    }
    tools.store.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Takes allauth's addresses over, and tells how many.
async fn adopt_addresses(tools: &Tools) -> Result<(), Failure> {
    let table = AllauthTable::open(tools.plan.options()).await.map_err(Failure::fault)?;
    let Some(table) = table else {
        return Err(Failure::fault("this database has no table account_emailaddress"));
    };
    let now = tools.clock.now();
    let adopted = adopt_addresses::adopt(&tools.store, &table, &tools.caller, now).await;
    table.close().await;
    let Adopted { taken, known, left_out } = adopted.map_err(Failure::fault)?;
    say(&format!(
        "{taken} addresses taken over; {known} were known; {left_out} left out, which are no addresses \
         or which another account has verified."
    ))
}

/// Makes an account. `flags`: staff, superuser, active.
async fn create(
    tools: &Tools,
    name: &str,
    about: About,
    flags: (bool, bool, bool),
    password: &PasswordArgs,
    json: bool,
) -> Result<(), Failure> {
    let [email, first_name, last_name] =
        [about.email, about.first_name, about.last_name].map(Option::unwrap_or_default);
    judge_email(tools, &email, !password.no_password).await?;
    let whose = rules::About {
        username: name,
        first_name: &first_name,
        last_name: &last_name,
        email: &email,
    };
    let password = read_password(tools, password, &whose).await?;
    let (is_staff, is_superuser, is_active) = flags;
    let draft = AccountDraft {
        username: name.to_owned(),
        email,
        first_name,
        last_name,
        password,
        is_active,
        is_staff,
        is_superuser,
        classic_key: classic_key(tools),
        unique_email: tools.plan.settings().account.unique_email,
    };
    let id = administer::create(&tools.store, &tools.caller, draft, tools.clock.now()).await;
    let id = id.map_err(Failure::fault)?;
    if json {
        say_json(&json!({ "id": id.get(), "username": name }))
    } else {
        say(&format!("Account {name} created, id {id}."))
    }
}

async fn edit(
    tools: &Tools,
    name: &str,
    about: About,
    staff: Option<bool>,
    superuser: Option<bool>,
) -> Result<(), Failure> {
    let store = &tools.store;
    let account = administer::find(store, name).await.map_err(Failure::fault)?;
    let moves =
        about.email.as_ref().is_some_and(|email| !email.eq_ignore_ascii_case(&account.email));
    if let Some(email) = about.email.as_ref().filter(|_| moves) {
        judge_email(tools, email, account.password.is_usable()).await?;
    }
    let unique_email = moves && tools.plan.settings().account.unique_email;
    let flags = (staff.is_some() || superuser.is_some())
        .then(|| (staff.unwrap_or(account.is_staff), superuser.unwrap_or(account.is_superuser)));
    let edit = Edit {
        email: about.email.unwrap_or(account.email),
        first_name: about.first_name.unwrap_or(account.first_name),
        last_name: about.last_name.unwrap_or(account.last_name),
        flags,
    };
    let (caller, now) = (&tools.caller, tools.clock.now());
    let edited = administer::edit(store, caller, account.id, &edit, unique_email, now).await;
    edited.map_err(Failure::fault)?;
    say(&format!("Account {name} changed."))
}

async fn unlock(tools: &Tools, name: &str) -> Result<(), Failure> {
    let store = &tools.store;
    let account = administer::find(store, name).await.map_err(Failure::fault)?;
    let master = tools.plan.master_key(store, tools.random.as_ref()).await?;
    let now = tools.clock.now();
    let subjects = Subjects::new(master.digest_key("attempts"));
    let counted = administer::unlock(store, &tools.caller, &subjects, &account, now).await;
    say(&if counted.map_err(Failure::fault)? {
        format!("Account {name} can be signed in to again, as if nobody had failed.")
    } else {
        format!("Account {name} was not locked.")
    })
}

async fn sessions(tools: &Tools, name: &str, as_json: bool) -> Result<(), Failure> {
    let (store, now) = (&tools.store, tools.clock.now());
    let account = administer::find(store, name).await.map_err(Failure::fault)?;
    for family in families::list(store, account.id, now).await.map_err(Failure::fault)? {
        let (begun, used) = (family.begun_at.rfc3339(), family.used_at.rfc3339());
        if as_json {
            say_json(&json!({
                "id": family.id.to_string(),
                "layout": family.layout,
                "begun_at": begun,
                "used_at": used,
                "expires_at": family.expires_at.rfc3339(),
                "address": family.address,
                "user_agent": family.user_agent,
            }))?;
        } else {
            let unknown = || "-".to_owned();
            let address = family.address.unwrap_or_else(unknown);
            let program = family.user_agent.unwrap_or_else(unknown);
            say(&format!("{}  begun {begun}  used {used}  {address:<15}  {program}", family.id))?;
        }
    }
    Ok(())
}

async fn sign_out(tools: &Tools, name: &str, session: Option<&str>) -> Result<(), Failure> {
    let (store, now) = (&tools.store, tools.clock.now());
    let account = administer::find(store, name).await.map_err(Failure::fault)?;
    let Some(session) = session else {
        administer::sign_out_everywhere(store, &tools.caller, account.id, now)
            .await
            .map_err(Failure::fault)?;
        return say(&format!("Account {name} is signed out everywhere."));
    };
    let ended = match FamilyId::parse(session) {
        Some(family) => families::end(store, &tools.caller, account.id, family, now)
            .await
            .map_err(Failure::fault)?,
        None => false,
    };
    if ended {
        say(&format!("Account {name} is signed out there."))
    } else {
        Err(Failure::fault(format!("account {name} is not signed in as {session}")))
    }
}

async fn switch(tools: &Tools, name: &str, active: bool) -> Result<(), Failure> {
    let (store, now) = (&tools.store, tools.clock.now());
    let account = administer::find(store, name).await.map_err(Failure::fault)?;
    let changed = administer::set_active(store, &tools.caller, account.id, active, now)
        .await
        .map_err(Failure::fault)?;
    let state = match (active, changed) {
        (true, true) => "is switched on",
        (true, false) => "was on already",
        (false, true) => "is switched off",
        (false, false) => "was off already",
    };
    say(&format!("Account {name} {state}."))
}

async fn delete(tools: &Tools, name: &str, yes: bool) -> Result<(), Failure> {
    let account = administer::find(&tools.store, name).await.map_err(Failure::fault)?;
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage("say --yes to delete without being asked"));
        }
        if prompt::line(&format!("Delete account {name} and all that hangs on it? yes/no"), "no")?
            != "yes"
        {
            return say("Nothing was deleted.");
        }
    }
    let owner = tools.plan.owner(&tools.store).await?;
    let deleted = administer::delete(
        &tools.store,
        &tools.caller,
        owner,
        account.id,
        tools.clock.now(),
        tools.random.as_ref(),
    )
    .await
    .map_err(Failure::fault)?;
    match deleted {
        Deleted::Removed => say(&format!("Account {name} is deleted.")),
        Deleted::Deactivated => say(&format!(
            "Account {name} is switched off and has no credentials; Django's tables keep its row."
        )),
    }
}

/// An account on a line of an import.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Imported {
    username: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    encoded: Option<String>,
    #[serde(default)]
    first_name: String,
    #[serde(default)]
    last_name: String,
    #[serde(default = "yes")]
    is_active: bool,
    #[serde(default)]
    is_staff: bool,
    #[serde(default)]
    is_superuser: bool,
    #[serde(default)]
    email_verified: bool,
}

fn yes() -> bool {
    true
}

async fn import(tools: &Tools, source: &str) -> Result<(), Failure> {
    let reader: Box<dyn std::io::BufRead + Send> = if source == "-" {
        Box::new(std::io::BufReader::new(std::io::stdin()))
    } else {
        let file = std::fs::File::open(source);
        let file =
            file.map_err(|error| Failure::usage(format!("cannot read {source}: {error}")))?;
        Box::new(std::io::BufReader::new(file))
    };
    let hashing = hashing(tools).await?;
    let unique_email = tools.plan.settings().account.unique_email;
    let mut made = 0_usize;
    let mut refused = 0_usize;
    for (number, line) in reader.lines().enumerate() {
        let number = number + 1;
        let line = line.map_err(|error| Failure::usage(format!("line {number}: {error}")))?;
        if line.trim().is_empty() {
            continue;
        }
        let imported: Imported = match serde_json::from_str(&line) {
            Ok(imported) => imported,
            Err(error) => {
                super::complain(&format!("line {number}: {error}"));
                refused += 1;
                continue;
            }
        };
        let password = match (imported.password, imported.encoded) {
            (Some(password), None) => hash(&hashing, Secret::new(password)).await?,
            (None, Some(encoded)) => StoredPassword::new(encoded),
            (None, None) => StoredPassword::unusable(tools.random.as_ref()),
            (Some(_), Some(_)) => {
                super::complain(&format!("line {number}: give password or encoded, not both"));
                refused += 1;
                continue;
            }
        };
        let draft = AccountDraft {
            username: imported.username,
            email: imported.email,
            first_name: imported.first_name,
            last_name: imported.last_name,
            password,
            is_active: imported.is_active,
            is_staff: imported.is_staff,
            is_superuser: imported.is_superuser,
            classic_key: classic_key(tools),
            unique_email,
        };
        let verified = imported.email_verified.then(|| draft.email.clone());
        match administer::create(&tools.store, &tools.caller, draft, tools.clock.now()).await {
            Ok(id) => {
                if let Some(email) = verified {
                    administer::mark_verified(
                        &tools.store,
                        &tools.caller,
                        id,
                        &email,
                        tools.clock.now(),
                    )
                    .await
                    .map_err(Failure::fault)?;
                }
                made += 1;
            }
            Err(administer::AdministrationError::Refused(why)) => {
                super::complain(&format!("line {number}: {why}"));
                refused += 1;
            }
            Err(error) => return Err(Failure::fault(error)),
        }
    }
    say(&format!("{made} accounts made, {refused} lines refused."))?;
    if refused > 0 { Err(Failure::fault("some lines were refused")) } else { Ok(()) }
}

async fn hashing(tools: &Tools) -> Result<Arc<Hashing>, Failure> {
    Ok(tools.plan.hashing(&tools.store, Arc::clone(&tools.random)).await?)
}

async fn hash(hashing: &Hashing, password: Secret<String>) -> Result<StoredPassword, Failure> {
    refuse_nul(&password)?;
    hashing.hash(password).await.map_err(Failure::fault)
}

fn refuse_nul(password: &Secret<String>) -> Result<(), Failure> {
    if password.expose().contains('\0') {
        return Err(Failure::usage("a password must not hold a NUL character"));
    }
    Ok(())
}

async fn read_password(
    tools: &Tools,
    args: &PasswordArgs,
    about: &rules::About<'_>,
) -> Result<StoredPassword, Failure> {
    if args.no_password {
        return Ok(StoredPassword::unusable(tools.random.as_ref()));
    }
    let password = if args.password_stdin {
        let password = prompt::password_from_stdin()?;
        let broken = if args.force { Vec::new() } else { judge(tools, &password, about).await? };
        if !broken.is_empty() {
            return Err(Failure::usage(format!(
                "{} --force takes it all the same.",
                broken.join(" ")
            )));
        }
        password
    } else if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "say --password-stdin or --no-password where nobody can be asked",
        ));
    } else if args.force {
        prompt::new_password()?
    } else {
        ask_password(tools, about).await?
    };
    hash(&*hashing(tools).await?, password).await
}

/// Asks for a password until one keeps the rules, or is wanted all the same.
async fn ask_password(tools: &Tools, about: &rules::About<'_>) -> Result<Secret<String>, Failure> {
    loop {
        let password = prompt::new_password()?;
        let broken = judge(tools, &password, about).await?;
        for sentence in &broken {
            super::complain(sentence);
        }
        if broken.is_empty() || prompt::line("Take it all the same? yes/no", "no")? == "yes" {
            return Ok(password);
        }
    }
}

/// What is wrong with a new password, in sentences.
async fn judge(
    tools: &Tools,
    password: &Secret<String>,
    about: &rules::About<'_>,
) -> Result<Vec<String>, Failure> {
    refuse_nul(password)?;
    let broken = tools.plan.password_rules().check(password, about).await;
    Ok(password_rules(&broken.map_err(Failure::fault)?))
}

/// Whether an account may have an address, or none, as the site has it.
async fn judge_email(tools: &Tools, email: &str, signs_in: bool) -> Result<(), Failure> {
    let rules = &tools.plan.settings().account;
    if rules.email_login && email.is_empty() && signs_in {
        return Err(Failure::usage(
            "account.email_login: without an address nobody can sign in; say --email or --no-password",
        ));
    }
    if rules.unique_email {
        administer::ensure_free_email(&tools.store, email).await.map_err(Failure::fault)?;
    }
    Ok(())
}

fn summary(account: &Account) -> String {
    let mut marks = Vec::new();
    if !account.is_active {
        marks.push("off");
    }
    if account.is_staff {
        marks.push("staff");
    }
    if account.is_superuser {
        marks.push("superuser");
    }
    format!(
        "{:>8}  {:<30}  {:<30}  {}",
        account.id.get(),
        account.username,
        account.email,
        marks.join(", ")
    )
}

fn describe(account: &Account) -> Value {
    json!({
        "id": account.id.get(),
        "username": account.username,
        "email": account.email,
        "first_name": account.first_name,
        "last_name": account.last_name,
        "is_active": account.is_active,
        "is_staff": account.is_staff,
        "is_superuser": account.is_superuser,
        "date_joined": account.date_joined.rfc3339(),
        "last_login": account.last_login.map(Timestamp::rfc3339),
    })
}
