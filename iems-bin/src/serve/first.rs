//! The first start without any configuration: a domain, an account, a password shown once, and how to try it.

use iems_core::message::{LocalPart, Mailbox};
use iems_store::directory::Password;

use crate::cli::output::say;
use crate::config::{Config, Protocol};
use crate::exit::Failure;
use crate::site::Site;

/// Makes domain and account if there are none, and says what to do next.
pub(super) async fn welcome(site: &Site, config: &Config) -> Result<(), Failure> {
    let local = LocalPart::from_content("me").map_err(Failure::data)?;
    let me = Mailbox::new(local, config.hostname.clone());
    let data = config.data.display();
    if !site.directory.domains(None, 1).await?.is_empty() {
        return say(format!(
            "iems: everything is kept in {data}; the password was shown at the first start.\n\
             Another one:  printf '%s\\n' SECRET | iems account password {me} --password-stdin\n"
        ));
    }
    let password = crate::password::fresh()?;
    site.add_domain(&config.hostname).await?;
    site.add_account(me.clone(), Password::Clear(password.clone()), None).await?;
    let (smtp, imap) = (address(config, Protocol::Smtp), address(config, Protocol::Imap));
    say(format!(
        "iems: first start; everything is kept in {data}\n\
         \n\
         account:  {me}\n\
         password: {password}\n\
         (shown only now; another one: printf '%s\\n' SECRET | iems account password {me} --password-stdin)\n\
         \n\
         Send a message, send another, read the first:\n\
         \n\
         printf 'Subject: hello\\n\\nIt works.\\n' | curl -s --crlf smtp://{smtp}/localhost --mail-from {me} --mail-rcpt {me} -T -\n\
         swaks --server {smtp} --to {me}\n\
         curl -s --user '{me}:{password}' 'imap://{imap}/INBOX;MAILINDEX=1'\n\
         \n\
         A server for your own domain: iems quickstart you@your.domain\n"
    ))
}

/// Says what a configured server still lacks.
pub(super) async fn hint(site: &Site, config: &Config) -> Result<(), Failure> {
    if site.directory.domains(None, 1).await?.is_empty() {
        tracing::warn!(
            "there is no domain yet, so nobody can receive mail here: iems domain add, iems account add"
        );
    }
    if config.listeners.is_empty() {
        tracing::warn!("there is no [[listener]]: only iems sendmail brings mail in");
    }
    Ok(())
}

fn address(config: &Config, protocol: Protocol) -> String {
    let listener = config.listeners.iter().find(|listener| listener.protocol == protocol);
    listener.map(|listener| listener.address.to_string()).unwrap_or_default()
}
