//! Request and response headers, and whole frames.
//!
//! The client id is never compact, even in header version 2, and the ApiVersions response has header version 0 for ever
//! (KIP-511).

use bytes::Bytes;

use super::api_key::ApiKey;
use super::message::Field;
use super::reader::{DecodeError, Reader};
use super::text::Text;
use super::writer::Writer;

/// What comes before every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// As sent: it may be none of ours.
    pub api_key: i16,
    pub api_version: i16,
    pub correlation_id: i32,
    pub client_id: Option<Text>,
}

/// Reads the header of a request; the reader is at the body then.
///
/// Of an API we do not know only key, version and correlation id are read: how its header goes on is not known.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_request_header(reader: &mut Reader) -> Result<RequestHeader, DecodeError> {
    let api_key = reader.i16()?;
    let api_version = reader.i16()?;
    let correlation_id = reader.i32()?;
    let Some(api) = ApiKey::from_number(api_key) else {
        return Ok(RequestHeader {
            api_key,
            api_version,
            correlation_id,
            client_id: None,
        });
    };
    let client_id = reader.nullable_utf8(false)?;
    // An ApiVersions request of a version we do not know is answered at version 0, whatever follows.
    if api.is_flexible(api_version) && api.versions().contains(api_version) {
        reader.tagged_fields(|_, _| Ok(()))?;
    }
    Ok(RequestHeader {
        api_key,
        api_version,
        correlation_id,
        client_id,
    })
}

/// A whole request frame, length first.
#[must_use]
pub fn encode_request(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    client_id: Option<&Text>,
    body: &impl Field,
) -> Vec<Bytes> {
    let mut writer = Writer::new();
    writer.i32(0);
    writer.i16(api.number());
    writer.i16(version);
    writer.i32(correlation_id);
    writer.nullable_text(client_id.map(Text::as_bytes), false);
    if api.request_header_version(version) > 1 {
        writer.unsigned_varint(0);
    }
    body.write(&mut writer, api.version(version));
    writer.finish_frame()
}

/// A whole response frame, length first.
#[must_use]
pub fn encode_response(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &impl Field,
) -> Vec<Bytes> {
    let mut writer = Writer::new();
    writer.i32(0);
    writer.i32(correlation_id);
    if api.response_header_version(version) > 0 {
        writer.unsigned_varint(0);
    }
    body.write(&mut writer, api.version(version));
    writer.finish_frame()
}

/// Reads a response frame without its length: the correlation id and the body.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_response<T: Field>(
    api: ApiKey,
    version: i16,
    frame: Bytes,
) -> Result<(i32, T), DecodeError> {
    let mut reader = Reader::new(frame);
    let correlation_id = reader.i32()?;
    if api.response_header_version(version) > 0 {
        reader.tagged_fields(|_, _| Ok(()))?;
    }
    Ok((correlation_id, T::read(&mut reader, api.version(version))?))
}
