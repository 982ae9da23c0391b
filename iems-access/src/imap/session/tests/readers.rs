//! What mail programs stumble over, each test named for what they saw.

use std::sync::Arc;

use iems_store::directory::Quota;
use iems_store::mailbox::{Provided, UsualMailbox};

use super::World;

#[tokio::test]
async fn an_account_without_limits_has_no_quota_root() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    let said = ann.ask("a GETQUOTAROOT INBOX").await;
    assert_eq!(said, "* QUOTAROOT INBOX\r\na OK That is how it stands\r\n");
    let said = ann.ask("b GETQUOTA \"\"").await;
    assert_eq!(said, "b NO [NONEXISTENT] Nothing is limited here\r\n");
    let limit = |s: &mut iems_store::directory::AccountSettings| {
        s.quota = Quota { octets: Some(2048), messages: Some(3) };
    };
    world.accounts.directory().update_account(&"ann@example.org".parse().unwrap(), limit).await.unwrap();
    let mut ann = world.ann().await;
    let said = ann.ask("b GETQUOTA \"\"").await;
    assert!(said.starts_with("* QUOTA \"\" (STORAGE 0 2 MESSAGE 0 3)\r\nb OK"), "{said}");
    let said = ann.ask("a GETQUOTAROOT INBOX").await;
    assert!(
        said.starts_with("* QUOTAROOT INBOX \"\"\r\n* QUOTA \"\" (STORAGE 0 2 MESSAGE 0 3)\r\n"),
        "{said}"
    );
}

#[tokio::test]
async fn an_annotation_is_the_special_use() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    for line in ["a CREATE Old (USE (\\Drafts))", "a CREATE New", "a CREATE None"] {
        ann.ask(line).await;
    }
    let told = |name: &str, value: &str| format!("* METADATA {name} (/private/specialuse {value})\r\n");
    assert!(
        ann.ask("b GETMETADATA Old /Private/SpecialUse").await.starts_with(&told("Old", "\"\\\\Drafts\""))
    );
    assert!(ann.ask("b GETMETADATA New /private/specialuse").await.starts_with(&told("New", "NIL")));
    // The use goes from one to the other.
    let said = ann.ask("c SETMETADATA New (/private/specialuse \"\\\\drafts\" /private/comment \"x\")").await;
    assert_eq!(said, "c OK Noted\r\n");
    let said = ann.ask("d LIST (SPECIAL-USE) \"\" * RETURN (METADATA (/private/specialuse))").await;
    let list = "* LIST (\\Drafts) \"/\" New\r\n";
    assert_eq!(said, format!("{list}{}d OK Those are the mailboxes\r\n", told("New", "\"\\\\Drafts\"")));
    for value in ["\\\\Snoozed", "\\\\Junk \\\\Sent", "Junk"] {
        let said = ann
            .ask(&format!("e SETMETADATA None (/private/comment NIL /private/other \"x\" /private/specialuse \"{value}\")"))
            .await;
        assert!(said.starts_with("e NO [USEATTR] "), "{said}");
    }
    assert!(
        ann.ask("f SETMETADATA INBOX (/private/specialuse \"\\\\Junk\")")
            .await
            .starts_with("f NO [USEATTR] ")
    );
    // Nothing was set with what was refused.
    assert!(ann.ask("g GETMETADATA None /private/other").await.contains("/private/other NIL"));
    assert!(ann.ask("h SETMETADATA New (/private/specialuse NIL)").await.starts_with("h OK"));
    assert!(ann.ask("i LIST (SPECIAL-USE) \"\" *").await.starts_with("i OK"));
    assert!(
        ann.ask("j GETMETADATA (DEPTH infinity) New /private").await.contains("(/private/comment \"x\")")
    );
}

#[tokio::test]
async fn what_stands_above_what_was_chosen_is_only_named() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    for line in ["a CREATE x/tr (USE (\\Trash))", "a SUBSCRIBE x/tr"] {
        ann.ask(line).await;
    }
    for (chosen, info) in [
        ("SUBSCRIBED", "\"SUBSCRIBED\""),
        ("SPECIAL-USE", "\"SPECIAL-USE\""),
        ("SUBSCRIBED SPECIAL-USE", "\"SUBSCRIBED\" \"SPECIAL-USE\""),
    ] {
        let more = "STATUS (MESSAGES) MYRIGHTS METADATA (/private/comment)";
        let said = ann.ask(&format!("b LIST ({chosen} RECURSIVEMATCH) \"\" x RETURN ({more})")).await;
        assert_eq!(
            said,
            format!("* LIST () \"/\" x (\"CHILDINFO\" ({info}))\r\nb OK Those are the mailboxes\r\n")
        );
    }
    // What was chosen and stands above others is told of.
    ann.ask("c SUBSCRIBE x").await;
    let said = ann.ask("d LIST (SUBSCRIBED RECURSIVEMATCH) \"\" x RETURN (STATUS (MESSAGES))").await;
    let list = "* LIST (\\Subscribed) \"/\" x (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n";
    assert!(said.starts_with(&format!("{list}* STATUS x (MESSAGES 0)\r\nd OK")), "{said}");
}

#[tokio::test]
async fn letters_of_names_are_composed() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    // In modified UTF-7, with a diaeresis of its own.
    assert!(ann.ask("a CREATE u&Awg-").await.contains("a OK"));
    assert!(ann.ask("b CREATE &APw-").await.starts_with("b NO [ALREADYEXISTS]"));
    assert!(ann.ask("c LIST \"\" u&Awg-").await.starts_with("* LIST (\\HasNoChildren) \"/\" &APw-\r\nc OK"));
    ann.ask("d ENABLE IMAP4rev2").await;
    let old = "* LIST () \"/\" \"\u{fc}\" (\"OLDNAME\" (\"u\u{308}\"))\r\n";
    assert!(ann.ask("e SELECT \"u\u{308}\"").await.contains(old));
    assert!(!ann.ask("f SELECT \"\u{fc}\"").await.contains("OLDNAME"));
    assert!(ann.ask("g SUBSCRIBE \"u\u{308}\"").await.starts_with(old));
    let said = ann.ask("h RENAME \"u\u{308}\" \"A\u{30a}\"").await;
    assert!(said.starts_with("* LIST () \"/\" \"\u{c5}\" (\"OLDNAME\" (\"A\u{30a}\"))\r\n"), "{said}");
    let said = ann.ask("i DELETE \"A\u{30a}\"").await;
    assert!(said.starts_with("i OK"), "{said}");
    assert!(ann.ask("j SELECT \"A\u{30a}\"").await.contains("j NO [NONEXISTENT]"));
}

#[tokio::test]
async fn a_multipart_without_parts_has_one() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    let text = "Content-Type: multipart/mixed; boundary=b\r\nContent-Language: de\r\n\r\nnothing\r\n";
    ann.append("INBOX", text).await;
    ann.ask("a SELECT INBOX").await;
    let said = ann.ask("b FETCH 1 (BODY BODYSTRUCTURE)").await;
    let nothing = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0";
    assert!(said.contains(&format!("BODY ({nothing}) \"mixed\")")), "{said}");
    let extended = format!("({nothing} NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"b\") NIL (\"de\") NIL)");
    assert!(said.contains(&extended), "{said}");
}

#[tokio::test]
async fn a_usual_name_gets_its_use_and_what_is_provided_is_there() {
    let mut world = World::new().await;
    let mut ann = world.ann().await;
    ann.ask("a CREATE Trash").await;
    ann.ask("b CREATE Rubbish (USE (\\Drafts))").await;
    ann.ask("c CREATE Drafts").await;
    let said = ann.ask("d LIST (SPECIAL-USE) \"\" *").await;
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with('*')).collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].contains("\\Drafts") && lines[0].ends_with("Rubbish"), "{said}");
    assert!(lines[1].contains("\\Trash") && lines[1].ends_with("Trash"), "{said}");

    drop(ann);
    let mut usual = UsualMailbox::defaults();
    usual.iter_mut().for_each(|one| one.provided = Provided::Subscribed);
    Arc::get_mut(&mut world.options).expect("no session has them").usual = usual.into();
    let mut ann = world.ann().await;
    let said = ann.ask("a LIST (SUBSCRIBED) \"\" *").await;
    for name in ["Archive", "INBOX", "Junk", "Sent"] {
        assert!(said.lines().any(|line| line.ends_with(name)), "{said}");
    }
    assert!(!said.contains("Trash") && !said.contains("Drafts"), "{said}");
}
