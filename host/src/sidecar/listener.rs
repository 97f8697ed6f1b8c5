//! Where connections come in: an address, or a Unix socket.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use crate::admin::Door;
use crate::rules::Listen;

/// Who may use a Unix socket: its owner and group.
const SOCKET_MODE: u32 = 0o660;

/// A listener that is bound.
#[derive(Debug)]
pub enum Listener {
    /// At an address.
    Address(TcpListener),
    /// At a Unix socket, whose file goes with it.
    Socket(UnixListener, PathBuf),
}

/// A connection of either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Listener {
    /// Listens. The file of a Unix socket is replaced if nobody listens there any more.
    ///
    /// # Errors
    /// When the system does not let it.
    pub async fn bind(listen: &Listen) -> io::Result<Self> {
        let path = match listen {
            Listen::Address(address) => return TcpListener::bind(address).await.map(Self::Address),
            Listen::Socket(path) => path,
        };
        let left = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
        if left {
            match tokio::net::UnixStream::connect(path).await {
                Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there already")),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
                Err(error) => return Err(error),
            }
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
        Ok(Self::Socket(listener, path.clone()))
    }

    /// Where it listens, for the log.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Address(listener) => {
                listener.local_addr().map_or_else(|_| String::new(), |address| address.to_string())
            }
            Self::Socket(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// Whether web pages could be made to reach it, and nobody by any other name than an address of this machine.
    pub(super) fn is_loopback(&self) -> bool {
        match self {
            Self::Address(listener) => listener.local_addr().is_ok_and(|address| address.ip().is_loopback()),
            Self::Socket(..) => false,
        }
    }
}

impl Door for Listener {
    type Connection = Box<dyn Stream>;

    async fn open(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Address(listener) => {
                let (stream, _) = listener.accept().await?;
                // An answer is worth nothing in a buffer; where the system does not take this, it still gets there.
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            Self::Socket(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(Box::new(stream))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Socket(_, path) = self {
            // One that stays is replaced at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}
