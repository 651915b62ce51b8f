use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::Arc;

use agent_runner_fleet::ssh::{Payload, Upload};
use sha2::{Digest as _, Sha256};

use super::support::{Options, Sshd, connect, sshd};

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(step).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn to(server: &Sshd, name: &str) -> String {
    server.path(name).to_str().unwrap().to_owned()
}

fn leftovers(server: &Sshd) -> Vec<String> {
    let names =
        fs::read_dir(server.dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".upload.")).collect()
}

#[tokio::test]
async fn five_megabytes_arrive_verified_with_their_mode() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    let bytes = noise(5 << 20);
    let path = to(&server, "new folder/it's a \"binary\"");
    let payload = Payload::Bytes(bytes.clone().into());
    session.upload(Upload::new(payload, &path, sha256(&bytes)).mode(0o755)).await.unwrap();
    assert!(fs::read(&path).unwrap() == bytes);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o755);
    let local = server.path("local");
    fs::File::create(&local).unwrap().write_all(&bytes[..1000]).unwrap();
    session.upload(Upload::new(Payload::File(local), &path, sha256(&bytes[..1000]))).await.unwrap();
    assert!(fs::read(&path).unwrap() == bytes[..1000]);
}

#[tokio::test]
async fn packed_content_arrives_unpacked_with_and_without_gzip_on_the_host() {
    let Some(plain) = sshd(&Options::default()) else { return };
    let tools = tempfile::TempDir::new().unwrap();
    for tool in ["sh", "cat", "mkdir", "rm", "mv", "chmod", "sha256sum"] {
        symlink(format!("/bin/{tool}"), tools.path().join(tool)).unwrap();
    }
    let config = format!("SetEnv PATH={}", tools.path().display());
    let Some(bare) = sshd(&Options { config: &config, ..Options::default() }) else { return };
    let bytes = "agent ".repeat(500_000).into_bytes();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&bytes).unwrap();
    let packed: Arc<[u8]> = packer.finish().unwrap().into();
    for server in [plain, bare] {
        let session = connect(&server.settings()).await;
        let path = to(&server, "file");
        session.upload(Upload::new(Payload::Gzip(Arc::clone(&packed)), &path, sha256(&bytes))).await.unwrap();
        assert!(fs::read(&path).unwrap() == bytes);
    }
}

#[tokio::test]
async fn what_is_wrong_leaves_the_target_as_it_was() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    let upload = |path: String, sum: &str| {
        let session = session.clone();
        let upload = Upload::new(Payload::Bytes(b"new".to_vec().into()), path, sum);
        async move { session.upload(upload).await.unwrap_err().to_string() }
    };
    fs::write(server.path("file"), "old").unwrap();
    fs::create_dir(server.path("folder")).unwrap();
    symlink(server.path("file"), server.path("link")).unwrap();
    let good = sha256(b"new");
    assert!(upload(to(&server, "file"), &sha256(b"other")).await.contains("another checksum"));
    assert!(upload(to(&server, "folder"), &good).await.contains("no regular file"));
    assert!(upload(to(&server, "link"), &good).await.contains("no regular file"));
    assert!(upload(to(&server, "file/below"), &good).await.contains("cannot upload"));
    assert_eq!(fs::read(server.path("file")).unwrap(), b"old");
    assert_eq!(leftovers(&server), [""; 0]);
}

#[tokio::test]
async fn a_full_disk_is_reported_in_its_own_words() {
    let Some(server) = sshd(&Options::default()) else { return };
    let session = connect(&server.settings()).await;
    // A limit on file size fails a write as a full disk does.
    let limited = sshd(&Options {
        config: "ForceCommand ulimit -f 8; eval \"$SSH_ORIGINAL_COMMAND\"",
        ..Options::default()
    });
    drop(session);
    let Some(limited) = limited else { return };
    let session = connect(&limited.settings()).await;
    let bytes = noise(1 << 20);
    let path = to(&limited, "file");
    let error = session
        .upload(Upload::new(Payload::Bytes(bytes.clone().into()), &path, sha256(&bytes)))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cannot upload"), "{error}");
    assert!(!limited.path("file").exists());
    drop(server);
}
