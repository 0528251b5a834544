//! A socket between two threads: a runtime's sockets belong to its thread, so one that moves is taken
//! out of the first runtime and put into the second, which is two system calls.

use std::io::{self, Read};

use tokio::net::{TcpStream, UnixStream};

use crate::socket::{Carrier, Socket};

/// Of no runtime.
#[derive(Debug)]
pub enum Parked {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Parked {
    /// Takes it out of the runtime of this thread. What was read ahead would be lost, so it is refused.
    pub fn new(socket: Socket) -> io::Result<Self> {
        let (carrier, ahead) = socket.into_parts();
        if !ahead.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(match carrier {
            Carrier::Tcp(stream) => Self::Tcp(stream.into_std()?),
            Carrier::Unix(stream) => Self::Unix(stream.into_std()?),
        })
    }

    /// Puts it into the runtime of this thread.
    pub fn wake(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(stream) => TcpStream::from_std(stream)?.into(),
            Self::Unix(stream) => UnixStream::from_std(stream)?.into(),
        })
    }

    /// Whether it is open and nothing has arrived. One system call, and what has arrived is lost: an
    /// answer to somebody's request it cannot be.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0];
        let read = match self {
            Self::Tcp(stream) => (&*stream).read(&mut byte),
            Self::Unix(stream) => (&*stream).read(&mut byte),
        };
        matches!(read, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }
}
