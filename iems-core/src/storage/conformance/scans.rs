//! Rules about ordered reads.

use super::{Broken, commit, ensure, odd, rule_list};
use crate::storage::{Scan, Storage};

rule_list!(
    scans_are_in_the_order_of_bytes,
    scans_begin_and_end_where_told,
    scans_stop_at_their_limit,
    backwards_scans_begin_with_the_greatest,
    prefixes_of_0xff_end_with_the_key_space,
    scans_see_what_was_deleted_and_overwritten,
    visits_show_what_scans_return,
    a_scan_sees_one_moment,
);

async fn keys(s: &Storage, scan: Scan) -> Result<Vec<Vec<u8>>, Broken> {
    Ok(s.store.scan(scan).await.map_err(odd)?.into_iter().map(|(key, _)| key.to_vec()).collect())
}

fn all(limit: usize) -> Scan {
    Scan::prefix(b"", limit)
}

async fn fill(s: &Storage, keys: &[&[u8]]) -> Result<(), Broken> {
    for key in keys {
        commit(s, |b| b.put(key.to_vec(), [b"=", *key].concat())).await?;
    }
    Ok(())
}

async fn scans_are_in_the_order_of_bytes(s: Storage) -> Result<(), Broken> {
    fill(&s, &[b"b", b"a\xFF", b"\xFFz", b"a", b"", b"a\0", b"ab", b"\x7F", b"\x80"]).await?;
    let expected: [&[u8]; 9] = [b"", b"a", b"a\0", b"ab", b"a\xFF", b"b", b"\x7F", b"\x80", b"\xFFz"];
    let found = keys(&s, all(100)).await?;
    ensure!(found == expected, "{found:?} came instead of {expected:?}");
    let pairs = s.store.scan(all(100)).await.map_err(odd)?;
    ensure!(pairs.iter().all(|(k, v)| v[..] == [b"=", &k[..]].concat()), "a key came with another's value");
    Ok(())
}

async fn scans_begin_and_end_where_told(s: Storage) -> Result<(), Broken> {
    fill(&s, &[b"a", b"p", b"p1", b"p2", b"p3", b"q"]).await?;
    let prefix = Scan::prefix(b"p", 100);
    let cases: [(Scan, &[&[u8]]); 8] = [
        (prefix.clone(), &[b"p", b"p1", b"p2", b"p3"]),
        (prefix.clone().starting_at(b"p2"), &[b"p2", b"p3"]),
        (prefix.clone().starting_at(b"p11"), &[b"p2", b"p3"]),
        (prefix.clone().ending_before(b"p2"), &[b"p", b"p1"]),
        (prefix.clone().starting_at(b"p1").ending_before(b"p1"), &[]),
        (prefix.clone().starting_at(b"p3").ending_before(b"p1"), &[]),
        (prefix.clone().starting_at(b"p1").ending_before(b"p3").backwards(), &[b"p2", b"p1"]),
        (Scan::prefix(b"absent", 100), &[]),
    ];
    for (scan, expected) in cases {
        let found = keys(&s, scan.clone()).await?;
        ensure!(found == expected, "{scan:?} gave {found:?}");
    }
    Ok(())
}

async fn scans_stop_at_their_limit(s: Storage) -> Result<(), Broken> {
    fill(&s, &[b"a", b"b", b"c"]).await?;
    for limit in 0..5 {
        let found = keys(&s, all(limit)).await?.len();
        ensure!(found == limit.min(3), "limit {limit} gave {found} of three");
    }
    Ok(())
}

async fn backwards_scans_begin_with_the_greatest(s: Storage) -> Result<(), Broken> {
    fill(&s, &[b"a", b"b", b"c", b"d"]).await?;
    let found = keys(&s, all(2).backwards()).await?;
    ensure!(found == [b"d", b"c"], "the two greatest of a to d were {found:?}");
    let found = keys(&s, all(2).ending_before(b"c").backwards()).await?;
    ensure!(found == [b"b", b"a"], "the two greatest before c were {found:?}");
    Ok(())
}

async fn prefixes_of_0xff_end_with_the_key_space(s: Storage) -> Result<(), Broken> {
    fill(&s, &[b"\xFE", b"\xFF", b"\xFF\0", b"\xFF\xFF", b"\xFF\xFF\xFF"]).await?;
    let found = keys(&s, Scan::prefix(b"\xFF", 100)).await?;
    ensure!(found.len() == 4, "the prefix FF gave {found:?}");
    let found = keys(&s, Scan::prefix(b"\xFF\xFF", 100).backwards()).await?;
    ensure!(found == [&b"\xFF\xFF\xFF"[..], b"\xFF\xFF"], "the prefix FFFF gave {found:?}");
    Ok(())
}

async fn scans_see_what_was_deleted_and_overwritten(s: Storage) -> Result<(), Broken> {
    fill(&s, &[b"a", b"b", b"c", b"d"]).await?;
    commit(&s, |b| {
        b.delete(b"b");
        b.put(b"c", b"new");
        b.delete(b"d");
    })
    .await?;
    let pairs = s.store.scan(all(2)).await.map_err(odd)?;
    ensure!(pairs.len() == 2, "two keys are left, {} came", pairs.len());
    ensure!(
        &pairs[0].0[..] == b"a" && &pairs[1].1[..] == b"new",
        "{pairs:?} came instead of a and the new c"
    );
    Ok(())
}

async fn visits_show_what_scans_return(s: Storage) -> Result<(), Broken> {
    fill(&s, &[b"a", b"b", b"c", b"d", b"e"]).await?;
    commit(&s, |b| {
        b.delete(b"b");
        b.put(b"d", b"new");
    })
    .await?;
    for limit in 0..6 {
        for scan in [all(limit), all(limit).starting_at(b"b"), all(limit).ending_before(b"e").backwards()] {
            let expected = s.store.scan(scan.clone()).await.map_err(odd)?;
            for wanted in 1..6 {
                let mut shown = Vec::new();
                let mut each = |key: &[u8], value: &[u8]| {
                    shown.push((key.to_vec(), value.to_vec()));
                    shown.len() < wanted
                };
                s.store.visit(scan.clone(), &mut each).await.map_err(odd)?;
                let same = shown.iter().zip(&expected).all(|((k, v), (key, value))| k == key && v == value);
                let count = expected.len().min(wanted);
                ensure!(same && shown.len() == count, "{scan:?}, {wanted} wanted: {shown:?} were shown");
            }
        }
    }
    Ok(())
}

/// A token moves between keys while others look: there is always exactly one.
async fn a_scan_sees_one_moment(s: Storage) -> Result<(), Broken> {
    const PLACES: u8 = 8;
    commit(&s, |b| b.put(&[0u8], b"token")).await?;
    let mover = s.clone();
    let moving = tokio::spawn(async move {
        for step in 0..200u8 {
            commit(&mover, |b| {
                b.delete(&[step % PLACES]);
                b.put(&[(step + 1) % PLACES], b"token");
            })
            .await?;
        }
        Ok::<_, Broken>(())
    });
    while !moving.is_finished() {
        for scan in [all(100), all(100).backwards()] {
            let found = keys(&s, scan).await?;
            ensure!(found.len() == 1, "a scan saw the token at {} places", found.len());
        }
        tokio::task::yield_now().await;
    }
    moving.await.map_err(odd)?
}
