//! Prints a segment: its batches, and the records in them where asked.
//!
//! Never looks into a batch whose CRC does not hold.

use std::path::Path;

use rinka_storage::compression::{self, Codec};
use rinka_storage::offset::Offset;
use rinka_storage::record::{Record, Records};
use rinka_storage::record_batch::{DECOMPRESSED_BYTES_MAX, HEADER_BYTES, RecordBatchHeader};

use super::line::{Fields, Value};
use super::{DumpError, DumpOptions, Sink, metadata};
use crate::offline::base_offset;
use crate::offline::batches::{BatchReader, FoundBatch};

pub(super) fn dump(
    path: &Path,
    options: &DumpOptions,
    sink: &mut Sink<'_>,
) -> Result<(), DumpError> {
    if let Some(base) = base_offset(path) {
        let fields = vec![("startOffset", base.0.into())];
        sink.say(&format!("Log starting offset: {base}"), "log", &fields)?;
    }
    let data = options.print_data_log || options.cluster_metadata_decoder;
    let deep = options.deep_iteration || data;
    let mut reader = BatchReader::open(path, 0, options.max_bytes)?;
    let mut next: Option<Offset> = None;
    let mut gaps = Vec::new();
    while let Some(batch) = reader.next()? {
        sink.line("batch", "", &batch_fields(&batch))?;
        if let Some(next) = next.filter(|next| *next != batch.header.base_offset) {
            gaps.push((next.0 - 1, batch.header.base_offset));
        }
        next = Some(batch.header.end_offset());
        if deep {
            dump_records(&mut reader, &batch, options, data, sink)?;
        }
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let left = reader.end() - reader.position();
    if left > 0 && options.max_bytes.is_none() {
        let text = format!("Found {left} invalid bytes at the end of {name}");
        sink.say(&text, "invalidBytes", &vec![("size", left.into())])?;
    }
    if !gaps.is_empty() {
        let mut text = format!("Non-consecutive offsets in {}", path.display());
        for (first, second) in gaps {
            text.push_str(&format!("\n  {first} is followed by {second}"));
        }
        sink.note(&text)?;
    }
    Ok(())
}

fn time(header: &RecordBatchHeader, milliseconds: i64) -> (&'static str, Value<'static>) {
    let log_append_time = header.is_log_append_time();
    let time = Value::Timestamp {
        log_append_time,
        milliseconds,
    };
    ("timestamp", time)
}

fn codec_name(header: &RecordBatchHeader) -> String {
    match header.codec() {
        Ok(Codec::None) => "none".to_owned(),
        Ok(Codec::Gzip) => "gzip".to_owned(),
        Ok(Codec::Snappy) => "snappy".to_owned(),
        Ok(Codec::Lz4) => "lz4".to_owned(),
        Ok(Codec::Zstd) => "zstd".to_owned(),
        Err(_) => format!("unknown({})", header.attributes & 7),
    }
}

fn batch_fields(batch: &FoundBatch) -> Fields<'static> {
    let header = &batch.header;
    let last_sequence = match header.base_sequence {
        -1 => -1,
        _ => header.last_sequence(),
    };
    vec![
        ("baseOffset", header.base_offset.0.into()),
        ("lastOffset", header.last_offset().0.into()),
        ("count", header.record_count.into()),
        ("baseSequence", header.base_sequence.into()),
        ("lastSequence", last_sequence.into()),
        ("producerId", header.producer_id.into()),
        ("producerEpoch", header.producer_epoch.into()),
        (
            "partitionLeaderEpoch",
            header.partition_leader_epoch.0.into(),
        ),
        ("isTransactional", header.is_transactional().into()),
        ("isControl", header.is_control().into()),
        ("deleteHorizonMs", Value::Optional(header.delete_horizon())),
        ("position", batch.position.into()),
        time(header, header.max_timestamp),
        ("size", header.size_in_bytes().into()),
        ("magic", 2.into()),
        ("compresscodec", codec_name(header).into()),
        ("crc", header.crc.into()),
        ("isvalid", batch.crc_holds.into()),
    ]
}

fn dump_records(
    reader: &mut BatchReader,
    batch: &FoundBatch,
    options: &DumpOptions,
    data: bool,
    sink: &mut Sink<'_>,
) -> Result<(), DumpError> {
    let header = &batch.header;
    if !batch.crc_holds {
        let offset = header.base_offset;
        return sink.note(&format!(
            "The CRC of the batch at offset {offset} does not hold: its records are not shown"
        ));
    }
    let packed = &reader.bytes(batch)?[HEADER_BYTES..];
    let codec = header.codec();
    let body = codec.and_then(|codec| match codec {
        Codec::None => Ok(None),
        codec => compression::decompress(codec, packed, DECOMPRESSED_BYTES_MAX).map(Some),
    });
    let body = match &body {
        Ok(Some(unpacked)) => unpacked,
        Ok(None) => packed,
        Err(error) => {
            let offset = header.base_offset;
            return sink.note(&format!(
                "The batch at offset {offset} cannot be unpacked: {error:?}"
            ));
        }
    };
    for record in Records::new(body, header.record_count) {
        let Ok(record) = record else {
            let offset = header.base_offset;
            return sink.note(&format!(
                "The records of the batch at offset {offset} cannot be read"
            ));
        };
        let offset = header.base_offset.0 + i64::from(record.offset_delta);
        let mut fields = Fields::new();
        if !options.skip_record_metadata {
            fields = record_fields(header, &record, offset);
        }
        if data && !header.is_control() {
            content(options, &record, offset, &mut fields);
        }
        sink.line("record", "| ", &fields)?;
    }
    Ok(())
}

fn record_fields<'a>(header: &RecordBatchHeader, record: &Record<'a>, offset: i64) -> Fields<'a> {
    let milliseconds = if header.is_log_append_time() {
        header.max_timestamp
    } else {
        header.base_timestamp.saturating_add(record.timestamp_delta)
    };
    let size = |bytes: Option<&[u8]>| match bytes {
        Some(bytes) => Value::from(bytes.len()),
        None => Value::Number(-1),
    };
    let sequence = match header.base_sequence {
        base if base < 0 => -1,
        base => (i64::from(base) + i64::from(record.offset_delta)) & i64::from(i32::MAX),
    };
    let key = |header: Result<(&[u8], _), _>| {
        let (key, _): (_, Option<&[u8]>) = header.ok()?;
        Some(String::from_utf8_lossy(key).into_owned())
    };
    let mut fields = vec![
        ("offset", offset.into()),
        time(header, milliseconds),
        ("keySize", size(record.key)),
        ("valueSize", size(record.value)),
        ("sequence", sequence.into()),
        (
            "headerKeys",
            Value::Keys(record.headers().map_while(key).collect()),
        ),
    ];
    if header.is_control() {
        control(record, &mut fields);
    }
    fields
}

/// A control record's key is its version and its type; the value of a transaction's end has the coordinator's epoch.
fn control(record: &Record<'_>, fields: &mut Fields<'_>) {
    let number = |bytes: Option<&[u8]>, at: usize| {
        let bytes = bytes?.get(at..at + 2)?;
        Some(i16::from_be_bytes(bytes.try_into().expect("two bytes")))
    };
    let control_type = number(record.key, 2).unwrap_or(-1);
    let name = match control_type {
        0 => "ABORT",
        1 => "COMMIT",
        2 => "LEADER_CHANGE",
        3 => "SNAPSHOT_HEADER",
        4 => "SNAPSHOT_FOOTER",
        5 => "KRAFT_VERSION",
        6 => "KRAFT_VOTERS",
        _ => "UNKNOWN",
    };
    let epoch = record.value.and_then(|value| value.get(2..6));
    match epoch {
        Some(epoch) if control_type <= 1 => {
            let epoch = i32::from_be_bytes(epoch.try_into().expect("four bytes"));
            fields.push(("endTxnMarker", name.into()));
            fields.push(("coordinatorEpoch", epoch.into()));
        }
        _ => fields.push(("controlType", format!("{name}({control_type})").into())),
    }
}

fn content<'a>(options: &DumpOptions, record: &Record<'a>, offset: i64, fields: &mut Fields<'a>) {
    if options.cluster_metadata_decoder {
        let decoded = metadata::decoded(record.value.unwrap_or_default());
        let payload =
            decoded.unwrap_or_else(|error| format!("Error at {offset}, skipping. {error}").into());
        fields.push(("payload", payload));
        return;
    }
    if let Some(key) = record.key {
        fields.push(("key", Value::Bytes(key)));
    }
    if let Some(value) = record.value {
        fields.push(("payload", Value::Bytes(value)));
    }
}
