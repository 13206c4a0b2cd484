//! Files against a real file system: torn readers, hostile neighbours, broken places.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use rustix::fs::{Gid, mkfifoat};
use tempfile::TempDir;

use super::*;

fn wanted<'a>(name: &'a str, content: &'a [u8]) -> Wanted<'a> {
    Wanted { name: OsStr::new(name), content, mode: 0o640, owner: None, group: None }
}

fn put(directory: &Path, content: &[u8]) -> Result<Kept, String> {
    Directory::open(directory, &Making::NOTHING)?.keep(&wanted("token", content))
}

/// The directory's files by name, without the one called `token`.
fn litter(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "token").collect()
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn is_root() -> bool {
    if !geteuid().is_root() {
        eprintln!("skipped: only root may give files away");
    }
    geteuid().is_root()
}

/// What shows that a file was not touched, not even replaced by its like.
fn identity(path: &Path) -> (u64, i64, i64, i64) {
    let data = fs::metadata(path).unwrap();
    (data.ino(), data.mtime_nsec(), data.ctime(), data.ctime_nsec())
}

#[test]
fn a_file_gets_its_content_and_mode_whatever_the_umask() {
    let place = TempDir::new().unwrap();
    for mode in [0o600, 0o000, 0o640, 0o666, 0o777, 0o444] {
        let directory = Directory::open(place.path(), &Making::NOTHING).unwrap();
        let kept = directory.keep(&Wanted { mode, ..wanted("token", b"abc") });
        assert_eq!((kept, mode_of(&place.path().join("token"))), (Ok(Kept::Written), mode));
    }
    assert_eq!(fs::read(place.path().join("token")).unwrap(), b"abc");
    assert!(litter(place.path()).is_empty());
}

#[test]
fn nothing_is_rewritten_when_nothing_changed() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("token");
    for content in [&b""[..], b"x", &vec![b'x'; 70_000]] {
        assert_eq!(put(place.path(), content), Ok(Kept::Written));
        let before = identity(&file);
        assert_eq!(put(place.path(), content), Ok(Kept::Right));
        assert_eq!(identity(&file), before);
    }
}

#[test]
fn a_file_that_differs_in_anything_is_replaced_whole() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("token");
    let spoil: [fn(&Path); 5] = [
        |file| fs::write(file, b"other").unwrap(),
        |file| fs::write(file, b"right and more").unwrap(),
        |file| fs::write(file, b"").unwrap(),
        |file| fs::set_permissions(file, PermissionsExt::from_mode(0o644)).unwrap(),
        |file| fs::set_permissions(file, PermissionsExt::from_mode(0o4640)).unwrap(),
    ];
    for spoil in spoil {
        put(place.path(), b"right").unwrap();
        spoil(&file);
        let before = fs::metadata(&file).unwrap().ino();
        // Kept open so that its number is not given to the new file.
        let _old = fs::File::open(&file).unwrap();
        assert_eq!(put(place.path(), b"right"), Ok(Kept::Written));
        assert_ne!(fs::metadata(&file).unwrap().ino(), before);
        assert_eq!((fs::read(&file).unwrap().as_slice(), mode_of(&file)), (&b"right"[..], 0o640));
    }
}

#[test]
fn a_reader_never_sees_a_torn_an_empty_or_a_missing_file() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("token");
    let contents = [vec![b'a'; 30_000], vec![b'b'; 10], vec![b'c'; 65_536]];
    put(place.path(), &contents[0]).unwrap();
    let (over, seen) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let content = fs::read(&file).unwrap();
                assert!(contents.contains(&content), "{} bytes", content.len());
                seen.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 0.. {
            put(place.path(), &contents[round % contents.len()]).unwrap();
            if round >= 200 && seen.load(Ordering::Relaxed) >= 200 {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn files_are_given_to_owner_and_group_and_known_again() {
    if !is_root() {
        return;
    }
    let place = TempDir::new().unwrap();
    let directory = Directory::open(place.path(), &Making::NOTHING).unwrap();
    let given = || Wanted {
        owner: Some(Uid::from_raw(4321)),
        group: Some(Gid::from_raw(8765)),
        mode: 0o2640,
        ..wanted("token", b"abc")
    };
    assert_eq!(directory.keep(&given()), Ok(Kept::Written));
    let data = fs::metadata(place.path().join("token")).unwrap();
    assert_eq!((data.uid(), data.gid(), data.mode() & 0o7777), (4321, 8765, 0o2640));
    assert_eq!(directory.keep(&given()), Ok(Kept::Right));
    // No owner asked for means the daemon's own, not whoever has it.
    assert_eq!(directory.keep(&wanted("token", b"abc")), Ok(Kept::Written));
    let data = fs::metadata(place.path().join("token")).unwrap();
    assert_eq!((data.uid(), data.gid()), (geteuid().as_raw(), getegid().as_raw()));
}

#[test]
fn the_group_of_a_setgid_directory_is_right() {
    if !is_root() {
        return;
    }
    let place = TempDir::new().unwrap();
    std::os::unix::fs::chown(place.path(), None, Some(8765)).unwrap();
    fs::set_permissions(place.path(), PermissionsExt::from_mode(0o2755)).unwrap();
    assert_eq!(put(place.path(), b"abc"), Ok(Kept::Written));
    assert_eq!(fs::metadata(place.path().join("token")).unwrap().gid(), 8765);
    assert_eq!(put(place.path(), b"abc"), Ok(Kept::Right));
}

#[test]
fn what_is_no_regular_file_is_refused_and_left() {
    let place = TempDir::new().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::write(at("elsewhere"), b"precious").unwrap();
    symlink(at("elsewhere"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    fs::create_dir(at("dir")).unwrap();
    mkfifoat(rustix::fs::CWD, at("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let directory = Directory::open(place.path(), &Making::NOTHING).unwrap();
    let table = [
        ("link", "a symbolic link"),
        ("dangling", "a symbolic link"),
        ("dir", "a directory"),
        ("fifo", "a FIFO"),
        ("socket", "a socket"),
    ];
    for (name, said) in table {
        let kept = directory.keep(&wanted(name, b"token")).unwrap_err();
        let read = directory.read(OsStr::new(name)).unwrap_err();
        assert!(kept.contains(said) && read.contains(said), "{name}: {kept}; {read}");
    }
    assert_eq!(fs::read(at("elsewhere")).unwrap(), b"precious");
    assert!(!litter(place.path()).iter().any(|name| name.starts_with('.')));
}

#[test]
fn a_device_is_refused() {
    let error = Directory::open(Path::new("/dev"), &Making::NOTHING).unwrap().keep(&wanted("null", b"x")).unwrap_err();
    assert!(error.contains("a device"), "{error}");
}

#[test]
fn links_of_root_and_the_daemon_are_followed_on_the_way() {
    let place = TempDir::new().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir_all(at("real/deep")).unwrap();
    symlink(at("real"), at("absolute")).unwrap();
    symlink("real/deep", at("relative")).unwrap();
    symlink("../absolute/deep/..", at("real/chain")).unwrap();
    for way in ["absolute/deep", "relative", "real/chain/deep", "relative/../deep"] {
        put(&at(way), way.as_bytes()).unwrap();
        assert_eq!(fs::read(at("real/deep/token")).unwrap(), way.as_bytes());
    }
}

#[test]
fn links_that_a_stranger_may_have_made_are_not_followed() {
    let place = TempDir::new().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("real")).unwrap();
    for (name, mode) in [("group", 0o775), ("others", 0o757), ("sticky", 0o1777)] {
        fs::create_dir(at(name)).unwrap();
        symlink(at("real"), at(name).join("link")).unwrap();
        fs::set_permissions(at(name), PermissionsExt::from_mode(mode)).unwrap();
        let error = put(&at(name).join("link"), b"x").unwrap_err();
        assert!(error.contains("symbolic link") && error.contains("/link"), "{name}: {error}");
    }
    if is_root() {
        for (name, link_owner, directory_owner) in [("their link", 4321, 0), ("their place", 0, 4321)] {
            fs::create_dir(at(name)).unwrap();
            symlink(at("real"), at(name).join("link")).unwrap();
            std::os::unix::fs::lchown(at(name).join("link"), Some(link_owner), None).unwrap();
            std::os::unix::fs::chown(at(name), Some(directory_owner), None).unwrap();
            assert!(put(&at(name).join("link"), b"x").unwrap_err().contains("symbolic link"), "{name}");
        }
    }
    assert!(litter(&at("real")).is_empty() && !at("real/token").exists());
}

#[test]
fn links_in_a_circle_end() {
    let place = TempDir::new().unwrap();
    symlink("b", place.path().join("a")).unwrap();
    symlink("a", place.path().join("b")).unwrap();
    assert!(put(&place.path().join("a/deep"), b"x").unwrap_err().contains("too many symbolic links"));
}

#[test]
fn a_parent_where_everybody_may_replace_files_is_refused() {
    let place = TempDir::new().unwrap();
    for (mode, right) in [(0o777, false), (0o757, false), (0o1777, true), (0o775, true), (0o700, true)] {
        fs::set_permissions(place.path(), PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(put(place.path(), b"x").is_ok(), right, "{mode:o}");
    }
}

#[test]
fn only_directories_below_our_own_roots_are_made() {
    let place = TempDir::new().unwrap();
    let at = |name: &str| place.path().join(name);
    let roots = [at("run"), at("state")];
    let make = |name: &str, mode| Directory::open(&at(name), &Making { below: &roots, mode });
    for other in ["else", "runner/x", "run/../else"] {
        let Err(error) = make(other, 0o755) else { panic!("{other} was made") };
        assert!(error.contains("does not exist: create it"), "{error}");
    }
    assert!(make("run/a/b", 0o755).is_ok() && make("state/x", 0o700).is_ok());
    for (name, mode) in [("run", 0o755), ("run/a", 0o755), ("run/a/b", 0o755), ("state", 0o700), ("state/x", 0o700)] {
        assert_eq!(mode_of(&at(name)), mode, "{name}");
    }
    assert_eq!(litter(place.path()).len(), 2);
}

#[test]
fn two_files_of_one_directory_do_not_depend_on_which_came_first() {
    let place = TempDir::new().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("run")).unwrap();
    fs::set_permissions(at("run"), PermissionsExt::from_mode(0o700)).unwrap();
    let roots = [at("run")];
    for mode in [0o700, 0o755, 0o700] {
        Directory::open(&at("run/a/b"), &Making { below: &roots, mode }).unwrap();
    }
    assert_eq!([mode_of(&at("run/a")), mode_of(&at("run/a/b"))], [0o755, 0o755]);
    assert_eq!(mode_of(&at("run")), 0o700, "the root itself is not ours to open");
    fs::set_permissions(at("run/a"), PermissionsExt::from_mode(0o710)).unwrap();
    Directory::open(&at("run/a/b"), &Making { below: &roots, mode: 0o755 }).unwrap();
    assert_eq!(mode_of(&at("run/a")), 0o710, "what somebody set on purpose stays");
}

#[test]
fn only_our_own_litter_is_swept() {
    let place = TempDir::new().unwrap();
    let at = |name: &str| place.path().join(name);
    let theirs = [
        ".other.tokend-abcdef",
        ".token.tokend-abcde",
        ".token.tokend-abcdefg",
        ".token.tokend-abc.ef",
        "token.tokend-abcdef",
        ".token.tokenx-abcdef",
        "token",
    ];
    let ours = [".token.tokend-abcdef", ".token.tokend-ABC123", "..x.tokend-a.tokend-zzzzzz"];
    for name in theirs.iter().chain(&ours) {
        fs::write(at(name), b"x").unwrap();
    }
    fs::create_dir(at(".token.tokend-direct")).unwrap();
    symlink(at("token"), at(".token.tokend-linked")).unwrap();
    let files = BTreeMap::from([(OsStr::new("token"), None), (OsStr::new(".x.tokend-a"), None)]);
    let directory = Directory::find(place.path()).unwrap().unwrap();
    assert_eq!(directory.sweep(&files), Ok(ours.len()));
    assert!(theirs.iter().all(|name| at(name).exists()) && !ours.iter().any(|name| at(name).exists()));
    assert!(at(".token.tokend-direct").exists() && at(".token.tokend-linked").exists());
}

#[test]
fn litter_that_was_given_away_already_is_swept_and_that_of_strangers_is_not() {
    if !is_root() {
        return;
    }
    let place = TempDir::new().unwrap();
    let at = |name: &str| place.path().join(name);
    for (name, owner) in [(".token.tokend-aaaaaa", 4321), (".token.tokend-bbbbbb", 5432)] {
        fs::write(at(name), b"x").unwrap();
        std::os::unix::fs::chown(at(name), Some(owner), None).unwrap();
    }
    let files = BTreeMap::from([(OsStr::new("token"), Some(Uid::from_raw(4321)))]);
    assert_eq!(Directory::find(place.path()).unwrap().unwrap().sweep(&files), Ok(1));
    assert!(at(".token.tokend-bbbbbb").exists());
}

#[test]
fn a_failure_leaves_the_old_file_and_no_litter() {
    if !is_root() {
        return;
    }
    let place = TempDir::new().unwrap();
    put(place.path(), b"old").unwrap();
    let directory = Directory::open(place.path(), &Making::NOTHING).unwrap();
    // A mount on the file itself: every step but the last succeeds.
    let mounted = std::process::Command::new("mount")
        .args(["--bind", "/etc/hostname"])
        .arg(place.path().join("token"))
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        eprintln!("skipped: mounting is not allowed here");
        return;
    }
    let error = directory.keep(&wanted("token", b"new")).unwrap_err();
    std::process::Command::new("umount").arg(place.path().join("token")).status().unwrap();
    assert!(error.contains("mount the directory, not the file"), "{error}");
    assert_eq!(fs::read(place.path().join("token")).unwrap(), b"old");
    assert!(litter(place.path()).is_empty());
}

#[test]
fn what_is_on_the_way_and_no_directory_is_named() {
    let place = TempDir::new().unwrap();
    fs::write(place.path().join("file"), b"x").unwrap();
    let error = put(&place.path().join("file/deeper"), b"x").unwrap_err();
    assert!(error.ends_with("/file is not a directory"), "{error}");
    assert!(put(&place.path().join("gone/deeper"), b"x").unwrap_err().contains("/gone does not exist"));
}

#[test]
fn a_name_that_leaves_no_room_for_ours_is_said() {
    let place = TempDir::new().unwrap();
    let name = "x".repeat(250);
    let error = Directory::open(place.path(), &Making::NOTHING).unwrap().keep(&wanted(&name, b"x")).unwrap_err();
    assert!(error.contains("240 bytes are the most"), "{error}");
}

#[test]
fn removing_what_is_gone_is_fine() {
    let place = TempDir::new().unwrap();
    put(place.path(), b"x").unwrap();
    let directory = Directory::find(place.path()).unwrap().unwrap();
    assert_eq!(directory.remove(OsStr::new("token")), Ok(()));
    assert_eq!(directory.remove(OsStr::new("token")), Ok(()));
    assert_eq!(fs::read(place.path().join("token")).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(Directory::find(&PathBuf::from("/no/such/place")).unwrap().is_none());
}

#[test]
fn people_are_known_by_name_and_by_number() {
    assert_eq!(user("root"), Ok(Uid::ROOT));
    assert_eq!(group("0"), Ok(Gid::ROOT));
    assert_eq!(user("4321"), Ok(Uid::from_raw(4321)));
    for nobody in ["no-such-user", "4294967295", "+5", "-1", ""] {
        assert!(user(nobody).unwrap_err().contains("create it, or correct `owner`"), "{nobody}");
        assert!(group(nobody).unwrap_err().contains("create it, or correct `group`"), "{nobody}");
    }
}
