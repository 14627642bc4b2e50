//! One connection: frames out, frames in, and the versions that both sides know (KIP-35, KIP-511).
//!
//! A frame is bounded, and memory is taken as its bytes come, whatever its length says.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use bytes::Bytes;
use rinka_net::wire::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use rinka_net::wire::{
    ApiKey, ErrorCode, Field, Text, VersionRange, decode_response, encode_request,
};

use super::{Address, Deadline};
use crate::cli::failure::{Failure, Result, failed};

/// The largest answer that is believed: a batch of the largest size that brokers are set up for fits well.
const FRAME_BYTES_MAX: usize = 256 << 20;

/// Taken from the socket at a time.
const PART_BYTES: usize = 256 << 10;

/// A broker that says nothing at all for so long is taken to be away, however long the deadline.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// As brokers show it among their clients.
const CLIENT_ID: &str = "rinka-cli";

#[derive(Debug)]
pub(super) struct Connection {
    address: Address,
    stream: TcpStream,
    /// Of the last request.
    correlation: i32,
    versions: BTreeMap<i16, VersionRange>,
    pub(super) supported: Vec<Feature>,
    pub(super) finalized: Vec<FinalizedFeature>,
}

/// A feature that a broker knows, and its levels.
#[derive(Clone, Debug)]
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) min: i16,
    pub(crate) max: i16,
}

/// A feature that is in force in the cluster.
#[derive(Clone, Debug)]
pub(crate) struct FinalizedFeature {
    pub(crate) name: String,
    pub(crate) level: i16,
}

/// A request whose answer has not been taken yet.
#[derive(Debug)]
pub(crate) struct Pending {
    api: ApiKey,
    version: i16,
    correlation: i32,
}

impl Connection {
    pub(super) fn open(address: &Address, deadline: Deadline) -> Result<Self> {
        let stream = connect(address, deadline)?;
        let mut connection = Self {
            address: address.clone(),
            stream,
            correlation: 0,
            versions: BTreeMap::new(),
            supported: Vec::new(),
            finalized: Vec::new(),
        };
        connection.negotiate(deadline)?;
        Ok(connection)
    }

    /// Asks what the broker offers: at our highest version, and where it does not know that at the one it names.
    fn negotiate(&mut self, deadline: Deadline) -> Result<()> {
        let api = ApiKey::ApiVersions;
        let mut version = api.versions().max;
        loop {
            let request = ApiVersionsRequest {
                client_software_name: Text::from(CLIENT_ID),
                client_software_version: Text::from(env!("CARGO_PKG_VERSION")),
            };
            let pending = self.send(api, version, &request, deadline)?;
            let frame = self.frame(deadline)?;
            // Behind the correlation id comes the error, in every version; with it the answer is one of version 0.
            let unknown = ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes();
            let refused = frame.get(4..6).is_some_and(|code| *code == unknown);
            let answered = if refused { 0 } else { version };
            let response: ApiVersionsResponse = self.decoded(&pending, answered, frame)?;
            let ranges = response.api_keys.iter().map(|offered| {
                let range = VersionRange {
                    min: offered.min_version,
                    max: offered.max_version,
                };
                (offered.api_key, range)
            });
            self.versions = ranges.collect();
            if refused {
                let named = self
                    .versions
                    .get(&api.number())
                    .map_or(0, |range| range.max);
                if named >= version {
                    let address = &self.address;
                    return failed(format!(
                        "{address} offers ApiVersions and refuses it: does it speak the Kafka protocol?"
                    ));
                }
                version = named.max(0);
                continue;
            }
            if response.error_code.is_error() {
                let (address, code) = (&self.address, response.error_code);
                return failed(format!("{address} does not say what it offers: {code}"));
            }
            self.supported = response
                .supported_features
                .iter()
                .map(|feature| Feature {
                    name: feature.name.to_string(),
                    min: feature.min_version,
                    max: feature.max_version,
                })
                .collect();
            self.finalized = response
                .finalized_features
                .iter()
                .map(|feature| FinalizedFeature {
                    name: feature.name.to_string(),
                    level: feature.max_version_level,
                })
                .collect();
            return Ok(());
        }
    }

    /// The highest version that both sides know and that is not above `version_max`.
    pub(super) fn version(&self, api: ApiKey, version_max: i16) -> Result<i16> {
        let ours = api.versions();
        let address = &self.address;
        let Some(theirs) = self.versions.get(&api.number()) else {
            return failed(format!(
                "the broker at {address} does not offer {api}: it is too old or too new for this, or does not have it yet"
            ));
        };
        let highest = ours.max.min(theirs.max).min(version_max);
        if highest < ours.min.max(theirs.min) {
            return failed(format!(
                "the broker at {address} offers {api} in versions {} to {}, and this program knows {} to {}",
                theirs.min, theirs.max, ours.min, ours.max
            ));
        }
        Ok(highest)
    }

    pub(super) fn send(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &impl Field,
        deadline: Deadline,
    ) -> Result<Pending> {
        self.correlation = self.correlation.wrapping_add(1);
        let name = Text::from(CLIENT_ID);
        let parts = encode_request(api, version, self.correlation, Some(&name), request);
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut slices = &mut slices[..];
        // Empty slices in front are let go.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let written = self
                .stream
                .set_write_timeout(Some(nonzero(deadline)))
                .and_then(|()| self.stream.write_vectored(slices));
            match written {
                Ok(0) => return Err(self.lost(&io::ErrorKind::WriteZero.into(), deadline)),
                Ok(written) => IoSlice::advance_slices(&mut slices, written),
                Err(error) if is_interruption(&error, deadline) => {}
                Err(error) => return Err(self.lost(&error, deadline)),
            }
        }
        Ok(Pending {
            api,
            version,
            correlation: self.correlation,
        })
    }

    pub(super) fn receive<R: Field>(&mut self, pending: &Pending, deadline: Deadline) -> Result<R> {
        let frame = self.frame(deadline)?;
        self.decoded(pending, pending.version, frame)
    }

    fn decoded<R: Field>(&self, pending: &Pending, version: i16, frame: Bytes) -> Result<R> {
        let (address, api) = (&self.address, pending.api);
        match decode_response(api, version, frame) {
            Ok((correlation, response)) if correlation == pending.correlation => Ok(response),
            Ok(_) => failed(format!(
                "{address} answers {api} with what it was not asked"
            )),
            Err(error) => failed(format!(
                "the answer of {address} to {api} (version {version}) cannot be read: {error}"
            )),
        }
    }

    /// The next frame, without its length.
    fn frame(&mut self, deadline: Deadline) -> Result<Bytes> {
        let mut length = Vec::with_capacity(4);
        self.fill(&mut length, 4, deadline)?;
        let length = length.try_into().expect("filled with four bytes");
        let length = u32::from_be_bytes(length) as usize;
        if length > FRAME_BYTES_MAX {
            let address = &self.address;
            return failed(format!(
                "{address} announces an answer of {length} bytes, which is not believed: does it speak the Kafka protocol, without TLS?"
            ));
        }
        let mut frame = Vec::new();
        self.fill(&mut frame, length, deadline)?;
        Ok(Bytes::from(frame))
    }

    /// Reads until there are `length` bytes.
    fn fill(&mut self, into: &mut Vec<u8>, length: usize, deadline: Deadline) -> Result<()> {
        while into.len() < length {
            let start = into.len();
            into.resize(length.min(start + PART_BYTES), 0);
            let read = self
                .stream
                .set_read_timeout(Some(nonzero(deadline)))
                .and_then(|()| self.stream.read(&mut into[start..]));
            match read {
                Ok(0) => return Err(self.lost(&io::ErrorKind::UnexpectedEof.into(), deadline)),
                Ok(read) => into.truncate(start + read),
                Err(error) if is_interruption(&error, deadline) => into.truncate(start),
                Err(error) => return Err(self.lost(&error, deadline)),
            }
        }
        Ok(())
    }

    fn lost(&self, error: &io::Error, deadline: Deadline) -> Failure {
        let address = &self.address;
        Failure::Connection(match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => {
                // Before it has said anything the address may be that of something else.
                let doubt = if self.versions.is_empty() {
                    ": does it speak the Kafka protocol, without TLS?"
                } else {
                    ""
                };
                format!("{address} hung up{doubt}")
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("{address} does not answer within {deadline} (--timeout)")
            }
            _ => format!("the connection to {address} broke: {error}"),
        })
    }
}

/// What is left, and never zero, which sockets take for "for ever".
fn nonzero(deadline: Deadline) -> Duration {
    deadline.left().max(Duration::from_millis(1))
}

/// A signal, or a timeout that came a little before its time.
fn is_interruption(error: &io::Error, deadline: Deadline) -> bool {
    let early = matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    );
    error.kind() == io::ErrorKind::Interrupted || (early && !deadline.left().is_zero())
}

fn connect(address: &Address, deadline: Deadline) -> Result<TcpStream> {
    let connection = |text: String| Err(Failure::Connection(text));
    let resolved = match (address.host.as_str(), address.port).to_socket_addrs() {
        Ok(resolved) => resolved,
        Err(error) => {
            let host = &address.host;
            return connection(format!(
                "the host of {address} is not known here: {host}: {error}"
            ));
        }
    };
    let mut reason = format!("no address is known for {address}");
    for socket in resolved {
        let within = nonzero(deadline).min(CONNECT_MAX);
        match TcpStream::connect_timeout(&socket, within) {
            Ok(stream) => {
                if let Err(error) = stream.set_nodelay(true) {
                    return connection(format!("the connection to {address} broke: {error}"));
                }
                return Ok(stream);
            }
            Err(error) => {
                reason = match error.kind() {
                    io::ErrorKind::ConnectionRefused => format!(
                        "nothing listens at {address}: start a broker with `rinka serve`, or name one with --bootstrap"
                    ),
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => format!(
                        "{address} does not answer: is the address right, and does a firewall let it through?"
                    ),
                    _ => format!("{address} cannot be reached: {error}"),
                };
            }
        }
    }
    connection(reason)
}
