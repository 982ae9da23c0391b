//! App passwords in the words of the administration.

use std::time::Duration;

use iems_core::message::Mailbox;
use iems_core::seam::{Clock, SystemClock};
use iems_store::directory::NewAppPassword;

use super::Site;
use crate::admin::answer::{AppPasswordAnswer, AppPasswordMade};
use crate::exit::Failure;

impl Site {
    pub(super) async fn add_app_password(
        &self,
        address: &Mailbox,
        name: Option<String>,
        services: Vec<String>,
        expires: Option<Duration>,
    ) -> Result<AppPasswordMade, Failure> {
        let name = match name {
            Some(name) => name,
            None => self.free_name(address).await?,
        };
        let expires = expires.map(|span| SystemClock.now().after(span));
        let new = NewAppPassword { name: name.clone(), services: services.clone(), expires };
        let password = self.directory.add_app_password(address, new).await?;
        let account = address.folded();
        Ok(AppPasswordMade {
            login: format!("{account}/{name}"),
            account: account.to_string(),
            name,
            password,
            scopes: services,
            expires: expires.map(|at| at.to_string()),
        })
    }

    /// `app1`, or the next that is free.
    async fn free_name(&self, address: &Mailbox) -> Result<String, Failure> {
        let known = self.directory.app_passwords(address).await?;
        let mut names = (1..).map(|number| format!("app{number}"));
        let free = names.find(|name| known.iter().all(|one| one.name != *name));
        Ok(free.unwrap_or_default())
    }

    pub(super) async fn remove_app_password(&self, address: &Mailbox, name: &str) -> Result<(), Failure> {
        match self.directory.remove_app_password(address, name).await? {
            true => Ok(()),
            false => Err(Failure::no_user(format!(
                "{address} has no app password {name:?}; see `iems account app-password list {address}`"
            ))),
        }
    }

    pub(super) async fn app_passwords(&self, address: &Mailbox) -> Result<Vec<AppPasswordAnswer>, Failure> {
        let all = self.directory.app_passwords(address).await?;
        let told = all.into_iter().map(|one| {
            let (used, used_for) = one.used.map(|(at, service)| (at.to_string(), service)).unzip();
            AppPasswordAnswer {
                name: one.name,
                scopes: one.services,
                created: one.created.to_string(),
                expires: one.expires.map(|at| at.to_string()),
                used,
                used_for,
            }
        });
        Ok(told.collect())
    }
}
