use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokend::access_token::*;
use tokend::ledger::*;
use tokend::name::*;
use tokend::secret::Secret;
use tokend::settings::*;
use tokend::sink::file::*;
use tokend::store::*;
use tokend::time::Timestamp;
use zeroize::Zeroizing;
fn settings(dir: &Path, n: usize) -> Vec<FileSettings> {
    (0..n)
        .map(|i| FileSettings {
            path: dir.join(format!("token-{i}")),
            format: FileFormat::Raw,
            mode: 0o640,
            owner: None,
            group: None,
        })
        .collect()
}
fn content(i: usize, salt: u8) -> Vec<u8> {
    let mut v = vec![b'a' + salt; 1200];
    v[..8].copy_from_slice(format!("{i:08}").as_bytes());
    v
}
fn plain_put(dir: &Path, n: usize, salt: u8) -> f64 {
    let t = Instant::now();
    for i in 0..n {
        let tmp = dir.join(format!(".tmp-{i}"));
        let mut f = fs::File::create(&tmp).unwrap();
        f.write_all(&content(i, salt)).unwrap();
        f.sync_all().unwrap();
        drop(f);
        fs::rename(&tmp, dir.join(format!("token-{i}"))).unwrap();
    }
    fs::File::open(dir).unwrap().sync_all().unwrap();
    t.elapsed().as_secs_f64()
}
fn ours_put(s: &[FileSettings], salt: u8, expect: bool) -> f64 {
    let t = Instant::now();
    let puts: Vec<_> =
        s.iter().enumerate().map(|(i, s)| FilePut { settings: s, content: Zeroizing::new(content(i, salt)) }).collect();
    let r = put_all(&puts, &[]);
    drop(puts);
    let e = t.elapsed().as_secs_f64();
    assert!(r.iter().all(|r| r.as_ref().unwrap().written == expect));
    e
}
fn plain_cmp(dir: &Path, n: usize, salt: u8) -> f64 {
    let t = Instant::now();
    for i in 0..n {
        assert_eq!(fs::read(dir.join(format!("token-{i}"))).unwrap(), content(i, salt));
    }
    t.elapsed().as_secs_f64()
}
fn entry(i: usize) -> Entry {
    let mut e = Entry::new(Identity::new(&["https://idp.example/token", "client", &format!("token-{i}")]));
    e.generation = Generation(7);
    e.access_token = Some(Arc::new(AccessToken {
        secret: Secret::new(String::from_utf8(content(i, 0)).unwrap()),
        token_type: "Bearer".into(),
        scopes: vec!["a".into(), "b".into()],
        issued_at: Timestamp::EPOCH,
        expires_at: Timestamp::NEVER,
        generation: Generation(7),
        extra: BTreeMap::new(),
    }));
    e.issues = vec![Issue { at: Timestamp::from_secs(1_795_248_000), kind: IssueKind::Issued }; 3];
    e.granted = Some(vec!["a".into(), "b".into()]);
    e.receipts.insert(
        SinkId::new(&format!("/run/tokend/tokens/token-{i}")),
        Receipt {
            held: Some(Held { generation: Generation(7), expires_at: Timestamp::NEVER, fingerprint: [7; 16] }),
            ..Receipt::default()
        },
    );
    e
}
fn main() {
    for base in ["/tmp/measure", "/dev/shm/measure"] {
        let base = PathBuf::from(base);
        let _ = fs::remove_dir_all(&base);
        println!("== {}", base.display());
        let (a, b) = (base.join("a"), base.join("b"));
        fs::create_dir_all(&a).unwrap();
        fs::create_dir_all(&b).unwrap();
        let s = settings(&b, 1000);
        for round in 0..4u8 {
            let p = plain_put(&a, 1000, round);
            let o = ours_put(&s, round, true);
            println!("put 1000: plain {:.0} ms, ours {:.0} ms, rate {:.2}", p * 1e3, o * 1e3, p / o);
        }
        let s = settings(&b, 10000);
        plain_put(&a, 10000, 9);
        for s in s.chunks(500) {
            let _ = s;
        }
        ours_put(&s, 9, true_or(&s));
        for _ in 0..4 {
            let p = plain_cmp(&b, 10000, 9);
            let o = ours_put(&s, 9, false);
            println!("compare 10000: plain {:.1} ms, ours {:.1} ms, ratio {:.2}", p * 1e3, o * 1e3, o / p);
        }
        let dir = base.join("state");
        let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let o = Store::open(&dir, None, Timestamp::EPOCH).unwrap();
        let t = Instant::now();
        rt.block_on(o.store.save((0..10000).map(|i| Change::Put(Box::new(entry(i)), Persist::Encrypted)).collect()))
            .unwrap();
        println!("save 10000 rows in one: {:.1} ms", t.elapsed().as_secs_f64() * 1e3);
        let t = Instant::now();
        rt.block_on(o.store.save((0..1000).map(|i| Change::Put(Box::new(entry(i)), Persist::Encrypted)).collect()))
            .unwrap();
        println!("save 1000 rows in one: {:.1} ms", t.elapsed().as_secs_f64() * 1e3);
        let t = Instant::now();
        for c in 0..125 {
            rt.block_on(
                o.store.save((c * 8..c * 8 + 8).map(|i| Change::Put(Box::new(entry(i)), Persist::Encrypted)).collect()),
            )
            .unwrap();
        }
        println!(
            "save 1000 rows in batches of 8: {:.1} ms ({:.2} ms each)",
            t.elapsed().as_secs_f64() * 1e3,
            t.elapsed().as_secs_f64() * 8.
        );
        let t = Instant::now();
        o.store.close().unwrap();
        println!("close {:.1} ms", t.elapsed().as_secs_f64() * 1e3);
        for _ in 0..4 {
            let t = Instant::now();
            let o = Store::open(&dir, None, Timestamp::EPOCH).unwrap();
            println!(
                "open with 10000 rows: {:.1} ms ({} entries, {} bytes)",
                t.elapsed().as_secs_f64() * 1e3,
                o.entries.len(),
                fs::metadata(dir.join("state.db")).unwrap().len()
            );
            o.store.close().unwrap();
        }
        fs::remove_dir_all(&base).unwrap();
    }
}
fn true_or(_: &[FileSettings]) -> bool {
    true
}
