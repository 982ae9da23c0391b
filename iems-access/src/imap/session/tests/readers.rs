//! What mail programs stumble over, each test named for what they saw.

use iems_store::directory::Quota;

use super::World;

#[tokio::test]
async fn an_account_without_limits_has_no_quota_root() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    let said = ann.ask("a GETQUOTAROOT INBOX").await;
    assert_eq!(said, "* QUOTAROOT INBOX\r\na OK That is how it stands\r\n");
    let limit = |s: &mut iems_store::directory::AccountSettings| {
        s.quota = Quota { octets: Some(2048), messages: Some(3) };
    };
    world.accounts.directory().update_account(&"ann@example.org".parse().unwrap(), limit).await.unwrap();
    let mut ann = world.ann().await;
    let said = ann.ask("a GETQUOTAROOT INBOX").await;
    assert!(
        said.starts_with("* QUOTAROOT INBOX \"\"\r\n* QUOTA \"\" (STORAGE 0 2 MESSAGE 0 3)\r\n"),
        "{said}"
    );
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
