//! The socket itself. On Unix a socket in the file system that only its owner can use, or, to submit, everybody; elsewhere a loopback
//! port, with a file that holds the port and a secret.

#[cfg(not(unix))]
pub(super) use other::{Listener, Stream, connect};
#[cfg(unix)]
pub(super) use unix::{Listener, Stream, connect};

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use std::path::{Path, PathBuf};

    use tokio::net::{UnixListener, UnixStream};

    pub(in crate::admin) type Stream = UnixStream;

    /// Connects; the secret is not needed.
    pub(in crate::admin) async fn connect(path: &Path) -> io::Result<(Stream, Option<String>)> {
        Ok((UnixStream::connect(path).await?, None))
    }

    /// The server's end. The file goes when it is dropped.
    pub(in crate::admin) struct Listener {
        socket: UnixListener,
        path: PathBuf,
        /// Whether every user may come in.
        open: bool,
    }

    impl Listener {
        /// Binds, for the same user and root.
        pub(in crate::admin) async fn bind(path: &Path) -> io::Result<Self> {
            Self::bind_for(path, false).await
        }

        /// Binds, for every user of the machine.
        pub(in crate::admin) async fn bind_for_all(path: &Path) -> io::Result<Self> {
            Self::bind_for(path, true).await
        }

        /// A socket left behind by a server that is gone is replaced; one that answers is not.
        async fn bind_for(path: &Path, open: bool) -> io::Result<Self> {
            if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
                if UnixStream::connect(path).await.is_ok() {
                    return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server answers there"));
                }
                std::fs::remove_file(path)?;
            }
            let socket = UnixListener::bind(path)?;
            std::fs::set_permissions(
                path,
                std::fs::Permissions::from_mode(if open { 0o666 } else { 0o600 }),
            )?;
            Ok(Self { socket, path: path.to_owned(), open })
        }

        /// The next connection of who may come in, and the number of its user.
        pub(in crate::admin) async fn accept(&self) -> io::Result<(Stream, Option<u32>)> {
            loop {
                let (stream, _) = self.socket.accept().await?;
                let peer = stream.peer_cred()?.uid();
                if self.open || peer == 0 || peer == rustix::process::geteuid().as_raw() {
                    return Ok((stream, Some(peer)));
                }
                tracing::warn!(uid = peer, "administration refused: another user");
            }
        }

        /// Whether the peer proved who it is.
        pub(in crate::admin) fn admits(&self, _token: Option<&str>) -> bool {
            true
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            // A file that stays is replaced by the next server.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(not(unix))]
mod other {
    use std::io;
    use std::path::{Path, PathBuf};

    use tokio::net::{TcpListener, TcpStream};

    pub(in crate::admin) type Stream = TcpStream;

    /// Connects to the port in the file; gives the secret that stands beside it.
    pub(in crate::admin) async fn connect(path: &Path) -> io::Result<(Stream, Option<String>)> {
        let text = std::fs::read_to_string(path)?;
        let (port, token) = text.trim().split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
        let port: u16 = port.parse().map_err(|_| io::ErrorKind::InvalidData)?;
        Ok((TcpStream::connect(("127.0.0.1", port)).await?, Some(token.to_owned())))
    }

    /// The server's end. The file goes when it is dropped.
    pub(in crate::admin) struct Listener {
        socket: TcpListener,
        path: PathBuf,
        token: String,
    }

    impl Listener {
        /// Binds a free port and writes it down with a fresh secret.
        pub(in crate::admin) async fn bind(path: &Path) -> io::Result<Self> {
            let socket = TcpListener::bind(("127.0.0.1", 0)).await?;
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(|_| io::Error::other("no random numbers"))?;
            let token: String = secret.iter().map(|b| format!("{b:02x}")).collect();
            let line = format!("{} {token}\n", socket.local_addr()?.port());
            crate::tls::private_file(path, line.as_bytes()).map_err(io::Error::other)?;
            Ok(Self { socket, path: path.to_owned(), token })
        }

        /// There are no users to tell apart.
        pub(in crate::admin) async fn bind_for_all(_: &Path) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// The next connection.
        pub(in crate::admin) async fn accept(&self) -> io::Result<(Stream, Option<u32>)> {
            Ok((self.socket.accept().await?.0, None))
        }

        /// Whether the peer proved that it can read the file.
        pub(in crate::admin) fn admits(&self, token: Option<&str>) -> bool {
            let given = token.unwrap_or_default().as_bytes();
            let same = given.iter().zip(self.token.as_bytes()).fold(0, |all, (a, b)| all | (a ^ b));
            given.len() == self.token.len() && same == 0
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            // A file that stays is replaced by the next server.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
