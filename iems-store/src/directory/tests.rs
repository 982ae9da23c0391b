//! The directory's edge cases, on storage in memory.

use std::sync::Arc;

use iems_core::message::{CheckResult, Domain, Mailbox, Verdict};
use iems_core::preprocess::{Action, Rule, Scope};
use iems_core::seam::{Account, Clock, Directory, DirectoryError, Resolution, SystemClock, Target};
use iems_core::storage::MemoryStorage;

use super::*;

fn m(text: &str) -> Mailbox {
    text.parse().unwrap()
}

fn d(text: &str) -> Domain {
    text.parse().unwrap()
}

/// A directory with cheap passwords, and example.org.
async fn directory() -> (Arc<MemoryStorage>, StoreDirectory) {
    let memory = MemoryStorage::new();
    let mut options = DirectoryOptions::default();
    options.passwords.memory = 16;
    options.passwords.passes = 1;
    let directory = StoreDirectory::new(memory.storage(), Arc::new(SystemClock), options);
    directory.add_domain(&d("example.org"), DomainSettings::default()).await.unwrap();
    (memory, directory)
}

async fn with_accounts(names: &[&str]) -> (Arc<MemoryStorage>, StoreDirectory) {
    let (memory, directory) = directory().await;
    for name in names {
        directory.add_account(NewAccount::new(m(name))).await.unwrap();
    }
    (memory, directory)
}

/// The targets in order, as `account`, `account +detail` or `→ address`.
async fn targets(directory: &StoreDirectory, address: &str) -> Vec<String> {
    match directory.resolve(&m(address)).await.unwrap() {
        Resolution::Targets(targets) => targets
            .into_iter()
            .map(|target| match target {
                Target::Agent { agent, mailbox, detail } => {
                    assert_eq!(agent.as_str(), "local");
                    detail.map_or(mailbox.to_string(), |detail| format!("{mailbox} +{detail}"))
                }
                Target::Forward(mailbox) => format!("→ {mailbox}"),
                Target::Channel { channel, hop, .. } => format!("{channel} to {hop}"),
            })
            .collect(),
        other => vec![format!("{other:?}")],
    }
}

#[tokio::test]
async fn exact_match_comes_before_subaddress_and_case_does_not_matter() {
    let (_, directory) = with_accounts(&["Ann@example.org", "ann+work@example.org"]).await;
    assert_eq!(targets(&directory, "ANN@Example.ORG").await, ["ann@example.org"]);
    assert_eq!(targets(&directory, "ann+Lists.X@example.org").await, ["ann@example.org +lists.x"]);
    assert_eq!(targets(&directory, "Ann+Work@example.org").await, ["ann+work@example.org"]);
    assert_eq!(targets(&directory, "ann+work+x@example.org").await, ["ann@example.org +work+x"]);
    assert_eq!(targets(&directory, "bob@example.org").await, ["Unknown"]);
    assert_eq!(targets(&directory, "ann@elsewhere.example").await, ["Foreign"]);
    assert_eq!(targets(&directory, "\"+x\"@example.org").await, ["Unknown"]);
}

#[tokio::test]
async fn aliases_lead_to_all_their_targets_once() {
    let (_, directory) = with_accounts(&["ann@example.org", "bob@example.org"]).await;
    directory
        .add_alias(
            &m("team@example.org"),
            &[m("ann@example.org"), m("Far@Away.example"), m("all@example.org")],
        )
        .await
        .unwrap();
    directory
        .add_alias(
            &m("all@example.org"),
            &[m("bob@example.org"), m("ANN@example.org"), m("far@Away.example")],
        )
        .await
        .unwrap();
    let expected = ["ann@example.org", "→ Far@away.example", "bob@example.org"];
    assert_eq!(targets(&directory, "team@example.org").await, expected);
    let with_detail = ["ann@example.org +x", "→ Far@away.example", "bob@example.org +x"];
    assert_eq!(targets(&directory, "Team+x@example.org").await, with_detail);
}

#[tokio::test]
async fn circles_are_refused_when_made_and_seen_when_met() {
    let (_, directory) = directory().await;
    directory.add_domain(&d("two.example"), DomainSettings::default()).await.unwrap();
    directory.add_alias(&m("a@example.org"), &[m("b@two.example")]).await.unwrap();
    let circle = directory.add_alias(&m("b@two.example"), &[m("a@example.org")]).await;
    assert!(matches!(circle, Err(ChangeError::Circle(_, _))), "{circle:?}");
    let own = directory.add_alias(&m("x@example.org"), &[m("y@q.example"), m("X@example.org")]).await;
    assert!(matches!(own, Err(ChangeError::Circle(_, _))));

    // Two changes that know nothing of each other can still close one.
    let row = crate::rows::encode(&vec![m("a@example.org")]).unwrap();
    let mut batch = Batch::new();
    batch.put(schema::one(schema::Of::Alias, &m("b@two.example")), row);
    directory.storage.store.commit(batch).await.unwrap();
    let met = directory.resolve(&m("a@example.org")).await;
    assert!(matches!(met, Err(DirectoryError::Circle(_))), "{met:?}");
}

#[tokio::test]
async fn expansion_is_bounded_in_depth_and_number() {
    let (_, mut directory) = with_accounts(&["end@example.org"]).await;
    directory.options.targets = 5;
    let far: Vec<_> = (0..4).map(|n| m(&format!("u{n}@far.example"))).collect();
    directory.add_alias(&m("four@example.org"), &far).await.unwrap();
    let more = [m("four@example.org"), m("a@far.example"), m("b@far.example")];
    let many = directory.add_alias(&m("six@example.org"), &more).await;
    assert!(matches!(many, Err(ChangeError::Circle(_, _))), "{many:?}");
    let six = [&far[..], &more[1..]].concat();
    let many = directory.add_alias(&m("six@example.org"), &six).await;
    assert!(matches!(many, Err(ChangeError::TooManyTargets(6, 5))), "{many:?}");

    directory.add_alias(&m("s0@example.org"), &[m("end@example.org")]).await.unwrap();
    for n in 1..10 {
        let to = m(&format!("s{}@example.org", n - 1));
        directory.add_alias(&m(&format!("s{n}@example.org")), &[to]).await.unwrap();
    }
    assert_eq!(targets(&directory, "s9@example.org").await, ["end@example.org"]);
    let deep = directory.add_alias(&m("s10@example.org"), &[m("s9@example.org")]).await;
    assert!(matches!(deep, Err(ChangeError::Circle(_, _))), "{deep:?}");
}

#[tokio::test]
async fn forwards_keep_a_copy_if_wanted_and_may_be_mutual() {
    let (_, directory) = with_accounts(&["ann@example.org", "bob@example.org"]).await;
    directory
        .update_account(&m("ann@example.org"), |s| s.forwards = vec![m("bob@example.org")])
        .await
        .unwrap();
    directory
        .update_account(&m("bob@example.org"), |s| s.forwards = vec![m("ann@example.org")])
        .await
        .unwrap();
    assert_eq!(targets(&directory, "ann@example.org").await, ["ann@example.org", "bob@example.org"]);
    let only = |s: &mut AccountSettings| s.keep_copy = false;
    directory.update_account(&m("ann@example.org"), only).await.unwrap();
    assert_eq!(targets(&directory, "bob+x@example.org").await, ["bob@example.org +x"]);
    let lost = directory.update_account(&m("bob@example.org"), only).await;
    assert!(matches!(lost, Err(ChangeError::Circle(_, _))), "{lost:?}");
}

#[tokio::test]
async fn the_catch_all_takes_what_nobody_has() {
    let (_, directory) = with_accounts(&["ann@example.org"]).await;
    let catch = |s: &mut DomainSettings| s.catch_all = Some(m("ann@example.org"));
    directory.update_domain(&d("example.org"), catch).await.unwrap();
    assert_eq!(targets(&directory, "any.one@example.org").await, ["ann@example.org"]);
    directory.update_domain(&d("example.org"), |s| s.catch_all = Some(m("gone@example.org"))).await.unwrap();
    assert_eq!(targets(&directory, "any.one@example.org").await, ["Unknown"]);
}

#[tokio::test]
async fn postmaster_and_abuse_always_arrive() {
    let (_, directory) = with_accounts(&["zoe@example.org", "ann@example.org"]).await;
    assert_eq!(targets(&directory, "Postmaster@example.org").await, ["zoe@example.org"]);
    directory.update_account(&m("zoe@example.org"), |s| s.enabled = false).await.unwrap();
    assert_eq!(targets(&directory, "abuse@example.org").await, ["ann@example.org"]);
    directory.update_domain(&d("example.org"), |s| s.postmaster = Some(m("o@far.example"))).await.unwrap();
    assert_eq!(targets(&directory, "abuse@example.org").await, ["→ o@far.example"]);
    directory.add_account(NewAccount::new(m("abuse@example.org"))).await.unwrap();
    assert_eq!(targets(&directory, "abuse@example.org").await, ["abuse@example.org"]);
}

#[tokio::test]
async fn a_disabled_account_refuses_but_does_not_spoil_an_alias() {
    let (_, directory) = with_accounts(&["ann@example.org", "bob@example.org"]).await;
    directory.add_alias(&m("both@example.org"), &[m("ann@example.org"), m("bob@example.org")]).await.unwrap();
    directory.update_account(&m("ann@example.org"), |s| s.enabled = false).await.unwrap();
    let refused = directory.resolve(&m("ann@example.org")).await.unwrap();
    assert!(matches!(refused, Resolution::Refused(reply) if reply.enhanced.to_string() == "5.2.1"));
    assert_eq!(targets(&directory, "both@example.org").await, ["bob@example.org"]);
}

#[tokio::test]
async fn mistakes_are_told_in_words() {
    let (_, directory) = with_accounts(&["ann@example.org"]).await;
    let said = |e: ChangeError| e.to_string();
    let again = directory.add_account(NewAccount::new(m("ANN@example.org"))).await.unwrap_err();
    assert_eq!(said(again), "the account ann@example.org exists already");
    let domain = directory.add_account(NewAccount::new(m("a@exampel.org"))).await.unwrap_err();
    assert_eq!(said(domain), "there is no domain exampel.org: did you mean example.org?");
    let account = directory.set_password(&m("amn@example.org"), Password::None).await.unwrap_err();
    assert_eq!(said(account), "there is no account amn@example.org: did you mean ann@example.org?");
    let alias = directory.add_alias(&m("ann@example.org"), &[m("b@c.example")]).await.unwrap_err();
    assert_eq!(said(alias), "the account ann@example.org exists already");
    let full = directory.remove_domain(&d("example.org")).await.unwrap_err();
    assert!(matches!(full, ChangeError::DomainNotEmpty { members: 1, .. }));
    let rule = Rule { check: "spf".into(), results: vec![], score: None, action: Action::Refuse };
    let rule = directory.update_account(&m("ann@example.org"), |s| s.rules = vec![rule.clone()]).await;
    assert!(matches!(rule, Err(ChangeError::RuleNotAllowed(Action::Refuse))));
    let empty = NewAccount::new(m("b@example.org")).with_password("");
    assert!(matches!(directory.add_account(empty).await, Err(ChangeError::Password(_))));
}

#[tokio::test]
async fn removed_accounts_leave_nothing_and_never_come_back() {
    let (memory, directory) = directory().await;
    let ann = || NewAccount::new(m("ann@example.org")).with_password("x");
    let first = directory.add_account(ann()).await.unwrap();
    directory.remove_account(&m("ann@example.org")).await.unwrap();
    assert_eq!(targets(&directory, "ann@example.org").await, ["Unknown"]);
    assert_eq!(directory.members(&d("example.org")).await.unwrap(), 0);
    let rows = memory.storage().store.scan(iems_core::storage::Scan::prefix(b"", 100)).await.unwrap();
    let left: Vec<_> = rows.iter().map(|(key, _)| &key[..2]).collect();
    assert_eq!(left, [b"Dd", b"Dn"]);
    assert_ne!(directory.add_account(ann()).await.unwrap(), first);
    directory.remove_account(&m("ann@example.org")).await.unwrap();
    directory.remove_domain(&d("example.org")).await.unwrap();
    assert!(!directory.is_local(&d("example.org")).await.unwrap());
}

#[tokio::test]
async fn passwords_are_checked_remembered_and_forgotten() {
    let (memory, directory) = directory().await;
    let ann = m("ann@example.org");
    directory.add_account(NewAccount::new(ann.clone()).with_password("pässword")).await.unwrap();
    let check = async |login, password| directory.check_password(login, password).await.unwrap();
    assert_eq!(check("Ann@Example.org", "pässword").await, Some(Account::new(ann.clone())));
    assert_eq!(check("ann@example.org", "pa\u{308}ssword").await, Some(Account::new(ann.clone())));
    assert_eq!(check("ann@example.org", "password").await, None);
    assert_eq!(check("bob@example.org", "pässword").await, None);
    assert_eq!(check("ann", "pässword").await, None);
    for _ in 0..2 {
        assert!(check("ann@example.org", "pässword").await.is_some());
    }
    assert_eq!(memory.stats().conflicts, 0);
    directory.update_account(&ann, |s| s.enabled = false).await.unwrap();
    assert_eq!(check("ann@example.org", "pässword").await, None);
    assert_eq!(directory.scram("ann@example.org").await.unwrap(), None);
    directory.update_account(&ann, |s| s.enabled = true).await.unwrap();
    let old = directory.secret(&ann).await.unwrap().unwrap();
    directory.set_password(&ann, Password::Clear("other".into())).await.unwrap();
    assert_eq!(check("ann@example.org", "pässword").await, None);
    assert!(check("ann@example.org", "other").await.is_some());
    directory.set_password(&ann, Password::Derived(old)).await.unwrap();
    assert!(check("ann@example.org", "pässword").await.is_some());
}

/// The hash that Dovecot makes of `pässword`, and what SCRAM has from the beginning.
#[tokio::test]
async fn hashes_of_other_servers_become_ours_at_the_first_login() {
    let (_, directory) = directory().await;
    let hashes = [
        (
            "ann",
            "{SHA512-CRYPT}$6$saltsalt$rVIyJtXnL0mXUCLepstXWqeOv9JVyd7nOH8wn0BvOU5lCiAviUJLxXZ5CkPgq6XNTHV22yG4mV0IO9gqPL5WQ.",
        ),
        ("bob", "{SSHA}dVyq5QXv3VEL7gie4q9uRt1Y4LHLqgma"),
        (
            "cid",
            "{SCRAM-SHA-256}4096,e9GDdfTLJydq2aa3OyBUmg==,kFXh0ztP86IH44O0ETzeIBVeY8sbQSHk9BpiyrsTVeQ=,2d4OD0vdbS3W4SsJlukAqCeZLtKBYZNGW7IBigY6WCM=",
        ),
        ("dan", "{PLAIN}pässword"),
    ];
    for (name, hash) in hashes {
        let mailbox = m(&format!("{name}@example.org"));
        let mut new = NewAccount::new(mailbox.clone());
        new.password = Password::Hashed(hash.into());
        directory.add_account(new).await.unwrap();
        let secret = async || directory.secret(&mailbox).await.unwrap().unwrap();
        let scram = async || directory.scram(&mailbox.to_string()).await.unwrap();
        let first = secret().await;
        assert_eq!(first.is_foreign(), name != "dan", "{name}");
        assert_eq!(scram().await.is_some(), matches!(name, "cid" | "dan"), "{name}");
        assert!(
            directory.check_password(&mailbox.to_string(), "password").await.unwrap().is_none(),
            "{name}"
        );
        assert!(secret().await == first, "a wrong password changes nothing");
        assert!(
            directory.check_password(&mailbox.to_string(), "pässword").await.unwrap().is_some(),
            "{name}"
        );
        let second = secret().await;
        assert!(second.hash.starts_with("$argon2id$") && !second.is_foreign(), "{name}");
        assert!(scram().await.is_some(), "{name}");
        assert!(
            directory.check_password(&mailbox.to_string(), "pässword").await.unwrap().is_some(),
            "{name}"
        );
        assert!(
            directory.check_password(&mailbox.to_string(), "password").await.unwrap().is_none(),
            "{name}"
        );
        assert!(secret().await == second, "{name}: once is enough");
        // Somebody sets another password while one is replaced.
        directory.set_password(&mailbox, Password::Clear("other".into())).await.unwrap();
        directory.make_ours(&mailbox, &first, "pässword").await;
        assert!(directory.check_password(&mailbox.to_string(), "other").await.unwrap().is_some(), "{name}");
    }
    let ann = m("ann@example.org");
    let refused =
        directory.set_password(&ann, Password::Hashed("{CRAM-MD5}7dead29c".into())).await.unwrap_err();
    assert!(matches!(&refused, ChangeError::Password(why) if why.contains("{CRAM-MD5}")), "{refused}");
    assert!(directory.check_password("ann@example.org", "other").await.unwrap().is_some());
}

#[tokio::test]
async fn a_remembered_password_needs_no_further_run() {
    let (_, mut directory) = directory().await;
    directory.add_account(NewAccount::new(m("ann@example.org")).with_password("x")).await.unwrap();
    assert!(directory.check_password("ann@example.org", "x").await.unwrap().is_some());
    let hash = directory.secret(&m("ann@example.org")).await.unwrap().unwrap().hash;
    let now = SystemClock.now();
    // With no room for a run, only what is remembered can be answered.
    let mut options = PasswordOptions { waiting: 0, at_once: 1, ..directory.options.passwords.clone() };
    options.remember = std::time::Duration::from_secs(1);
    directory.verifier = verify::Verifier::new(&options);
    assert!(directory.verifier.verify("ann@example.org", "x", Some(hash.clone()), now).await.unwrap());
    let busy = directory.verifier.fill();
    assert!(directory.verifier.verify("ann@example.org", "x", Some(hash.clone()), now).await.unwrap());
    assert!(directory.verifier.verify("ann@example.org", "y", Some(hash.clone()), now).await.is_err());
    let later = now.after(options.remember);
    assert!(directory.verifier.verify("ann@example.org", "x", Some(hash), later).await.is_err());
    drop(busy);
}

#[tokio::test]
async fn senders_are_oneself_what_is_granted_and_ones_own_aliases() {
    let (_, directory) = with_accounts(&["ann@example.org", "bob@example.org"]).await;
    directory.add_alias(&m("a.nn@example.org"), &[m("ann@example.org")]).await.unwrap();
    directory.add_alias(&m("all@example.org"), &[m("ann@example.org"), m("bob@example.org")]).await.unwrap();
    let grant = [SenderRight::Mailbox(m("Info@far.example")), SenderRight::Domain(d("own.example"))];
    directory.update_account(&m("ann@example.org"), |s| s.senders = grant.to_vec()).await.unwrap();
    let ann = Account::new(m("ann@example.org"));
    for (sender, allowed) in [
        ("Ann@example.org", true),
        ("ann+news@example.org", true),
        ("a.nn@example.org", true),
        ("info@far.example", true),
        ("any@own.example", true),
        ("all@example.org", false),
        ("bob@example.org", false),
        ("other@far.example", false),
        ("any@sub.own.example", false),
    ] {
        assert_eq!(directory.may_send_as(&ann, &m(sender)).await.unwrap(), allowed, "{sender}");
    }
}

#[tokio::test]
async fn the_policy_is_the_domains_then_the_users() {
    let (_, directory) = with_accounts(&["ann@example.org"]).await;
    let rule = |action| Rule { check: "spf".into(), results: vec![], score: None, action };
    directory.update_domain(&d("example.org"), |s| s.rules = vec![rule(Action::Junk)]).await.unwrap();
    directory.update_account(&m("ann@example.org"), |s| s.rules = vec![rule(Action::Tag)]).await.unwrap();
    let policy = directory.policy(&m("Ann@example.org")).await.unwrap();
    let verdict =
        Verdict { check: "spf".into(), result: CheckResult::Fail, score: 1.0, evidence: String::new() };
    assert_eq!(policy.decide(std::slice::from_ref(&verdict)).scope, Scope::User);
    let other = directory.policy(&m("nobody@example.org")).await.unwrap();
    assert_eq!(other.decide(&[verdict]).action, Action::Junk);
}

#[tokio::test]
async fn a_known_recipient_costs_no_read_until_something_changes() {
    let (memory, directory) = with_accounts(&["ann@example.org"]).await;
    let ann = m("ann@example.org");
    let reads = || memory.stats().gets + memory.stats().scans;
    directory.resolve(&ann).await.unwrap();
    let before = reads();
    for _ in 0..100 {
        directory.resolve(&ann).await.unwrap();
        directory.policy(&ann).await.unwrap();
        directory.account(&ann).await.unwrap();
    }
    assert_eq!(reads(), before);
    directory.update_account(&ann, |s| s.enabled = false).await.unwrap();
    assert!(matches!(directory.resolve(&ann).await.unwrap(), Resolution::Refused(_)));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let (_, directory) = with_accounts(&["c@example.org", "a@example.org", "b@example.org"]).await;
    let domain = d("example.org");
    let page = directory.accounts(&domain, None, 2).await.unwrap();
    let last = page.last().unwrap().mailbox.clone();
    let rest = directory.accounts(&domain, Some(&last), 2).await.unwrap();
    let names: Vec<_> = page.iter().chain(&rest).map(|info| info.mailbox.local().as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    directory.add_domain(&d("b.example"), DomainSettings::default()).await.unwrap();
    let all = directory.domains(None, 10).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(directory.domains(Some(&all[0].domain), 10).await.unwrap(), all[1..]);
}

#[tokio::test]
async fn certificates_stand_for_accounts() {
    let (_, directory) = directory().await;
    for name in ["ann@example.org", "bob@example.org"] {
        directory.add_account(NewAccount::new(m(name))).await.unwrap();
    }
    let mark = |octet| iems_core::seam::CertificateMark([octet; 32]);
    let ask = async |octet, names: &[&str], verified, identity| {
        let mut certificate = iems_core::seam::PeerCertificate::read(b"", false);
        (certificate.mark, certificate.verified) = (mark(octet), verified);
        certificate.mailboxes = names.iter().map(|name| name.to_string()).collect();
        let found = directory.by_certificate(&certificate, identity).await.unwrap();
        found.map(|account| account.mailbox.to_string())
    };
    let (ann, bob) = (Some("ann@example.org".to_owned()), Some("bob@example.org".to_owned()));
    assert_eq!(ask(1, &["ann@example.org"], false, None).await, None, "anybody can write that into one");
    assert_eq!(ask(1, &["nobody@example.org", "Ann@example.org"], true, None).await, ann);
    assert_eq!(ask(1, &["ann@example.org", "bob@example.org"], true, Some("bob@example.org")).await, bob);
    assert_eq!(ask(1, &["ann@example.org"], true, Some("bob@example.org")).await, None);
    assert_eq!(ask(1, &["not an address"], true, None).await, None);

    directory.add_certificate(&m("ann@example.org"), mark(1)).await.unwrap();
    directory.add_certificate(&m("ann@example.org"), mark(1)).await.unwrap();
    assert_eq!(ask(1, &[], false, None).await, ann);
    assert_eq!(ask(1, &[], false, Some("ann@example.org")).await, ann);
    assert_eq!(ask(1, &[], false, Some("bob@example.org")).await, None);
    let taken = directory.add_certificate(&m("bob@example.org"), mark(1)).await;
    assert!(matches!(taken, Err(ChangeError::CertificateTaken(owner)) if owner == m("ann@example.org")));
    assert!(!directory.remove_certificate(&m("bob@example.org"), mark(1)).await.unwrap());
    assert_eq!(directory.certificates(&m("ann@example.org")).await.unwrap(), [mark(1)]);
    assert_eq!(directory.certificates(&m("bob@example.org")).await.unwrap(), []);
    directory.update_account(&m("ann@example.org"), |s| s.enabled = false).await.unwrap();
    assert_eq!(ask(1, &["ann@example.org"], true, None).await, None);

    directory.remove_account(&m("ann@example.org")).await.unwrap();
    directory.add_account(NewAccount::new(m("ann@example.org"))).await.unwrap();
    assert_eq!(ask(1, &[], false, None).await, None, "another account of the same name");
    directory.add_certificate(&m("bob@example.org"), mark(1)).await.unwrap();
    assert!(directory.remove_certificate(&m("bob@example.org"), mark(1)).await.unwrap());
    assert_eq!(ask(1, &[], false, None).await, None);
}

/// Tokens whose text is the login.
struct Spoken;

#[async_trait::async_trait]
impl iems_core::seam::TokenVerifier for Spoken {
    async fn login(&self, token: &str) -> Result<Option<String>, iems_core::seam::DirectoryError> {
        Ok(Some(token.to_owned()).filter(|token| token != "forged"))
    }
}

#[tokio::test]
async fn tokens_stand_for_accounts() {
    let (_, directory) = directory().await;
    directory.add_account(NewAccount::new(m("ann@example.org"))).await.unwrap();
    assert_eq!(directory.by_token(None, "ann@example.org").await.unwrap(), None, "nobody looks into tokens");
    let directory = directory.with_tokens(std::sync::Arc::new(Spoken));
    let ask = async |login, token| directory.by_token(login, token).await.unwrap().is_some();
    assert!(ask(None, "Ann@example.org").await && ask(Some("ann@Example.org"), "ann@example.org").await);
    for (login, token) in
        [(None, "forged"), (None, "bob@example.org"), (Some("bob@example.org"), "ann@example.org")]
    {
        assert!(!ask(login, token).await, "{login:?} {token}");
    }
    directory.update_account(&m("ann@example.org"), |s| s.enabled = false).await.unwrap();
    assert!(!ask(None, "ann@example.org").await);
}

/// The app password that a login found, and whether it is for sending.
async fn found(directory: &StoreDirectory, login: &str, password: &str) -> Option<(Option<String>, bool)> {
    let account = directory.check_password(login, password).await.unwrap()?;
    let credential = account.credential;
    Some((credential.name.map(|name| name.to_string()), credential.services.contains("smtp")))
}

#[tokio::test]
async fn app_passwords_have_names_services_and_an_end() {
    let (_, directory) = directory().await;
    let ann = m("ann@example.org");
    let new = |name: &str, services: &[&str], expires| NewAppPassword {
        name: name.into(),
        services: services.iter().map(|service| service.to_string()).collect(),
        expires,
    };
    assert!(directory.add_app_password(&ann, new("phone", &[], None)).await.is_err(), "no such account");
    directory.add_account(NewAccount::new(ann.clone()).with_password("secret")).await.unwrap();
    let phone = directory.add_app_password(&ann, new("phone", &["pop3"], None)).await.unwrap();
    let all = directory.add_app_password(&ann, new("all", &[], None)).await.unwrap();
    let past = SystemClock.now();
    let over = directory.add_app_password(&ann, new("over", &[], Some(past))).await.unwrap();
    for (name, wanted) in [("phone", "already"), ("Phone", "no name"), ("a/b", "no name"), ("", "no name")] {
        let error = directory.add_app_password(&ann, new(name, &[], None)).await.unwrap_err();
        assert!(error.to_string().contains(wanted), "{name}: {error}");
    }
    for (login, password, wanted) in [
        ("Ann@example.org", "secret", Some((None, true))),
        ("ann@example.org", &phone, Some((Some("phone"), false))),
        ("ann@example.org/phone", &phone, Some((Some("phone"), false))),
        ("ann@example.org", &all, Some((Some("all"), true))),
        ("ann@example.org/all", &phone, None),
        ("ann@example.org/all", "secret", None),
        ("ann@example.org/none", &all, None),
        ("ann@example.org", &over, None),
        ("ben@example.org", &all, None),
    ] {
        let wanted = wanted.map(|(name, sends)| (name.map(str::to_owned), sends));
        assert_eq!(found(&directory, login, password).await, wanted, "{login}");
    }
    let scram =
        async |login| directory.scram(login).await.unwrap().map(|(account, _)| account.credential.name);
    assert_eq!(scram("ann@example.org").await, Some(None));
    assert_eq!(scram("ann@example.org/phone").await, Some(Some("phone".into())));
    assert_eq!(scram("ann@example.org/over").await, None);
    assert!(directory.remove_app_password(&ann, "phone").await.unwrap());
    assert!(!directory.remove_app_password(&ann, "phone").await.unwrap());
    assert_eq!(found(&directory, "ann@example.org", &phone).await, None, "at once");
    // An account that has the same address later inherits nothing.
    directory.remove_account(&ann).await.unwrap();
    directory.add_account(NewAccount::new(ann.clone()).with_password("secret")).await.unwrap();
    assert_eq!(found(&directory, "ann@example.org", &all).await, None);
    assert!(directory.app_passwords(&ann).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_last_use_is_written_once_an_hour_and_wakes_nobody() {
    let (memory, directory) = directory().await;
    let ann = m("ann@example.org");
    directory.add_account(NewAccount::new(ann.clone()).with_password("secret")).await.unwrap();
    let new = NewAppPassword { name: "phone".into(), ..NewAppPassword::default() };
    let phone = directory.add_app_password(&ann, new).await.unwrap();
    assert_eq!(directory.app_passwords(&ann).await.unwrap()[0].used, None);
    let main = directory.check_password("ann@example.org", "secret").await.unwrap().unwrap();
    let app = directory.check_password("ann@example.org", &phone).await.unwrap().unwrap();
    let commits = || memory.stats().commits;
    let before = commits();
    directory.used(&main, "pop3").await.unwrap();
    assert_eq!(commits(), before);
    let reads = || memory.stats().gets + memory.stats().scans;
    let read = reads();
    for _ in 0..10 {
        directory.used(&app, "pop3").await.unwrap();
        directory.account(&ann).await.unwrap();
    }
    assert_eq!((commits(), reads()), (before + 1, read), "the cache is as it was");
    let used = directory.app_passwords(&ann).await.unwrap()[0].used.clone();
    assert_eq!(used.map(|(_, service)| service).as_deref(), Some("pop3"));
}

#[tokio::test]
async fn the_main_password_may_be_good_for_some_services_only() {
    let (_, directory) = directory().await;
    let ann = m("ann@example.org");
    directory.add_account(NewAccount::new(ann.clone()).with_password("secret")).await.unwrap();
    directory.set_app_passwords_only(&ann, &["smtp".into()]).await.unwrap();
    assert_eq!(found(&directory, "ann@example.org", "secret").await, Some((None, false)));
    assert_eq!(directory.app_passwords_only(&ann).await.unwrap(), ["smtp"]);
    directory.set_app_passwords_only(&ann, &[]).await.unwrap();
    assert_eq!(found(&directory, "ann@example.org", "secret").await, Some((None, true)));
}
