//! Rows 1-18 and 55: lengths, headers and fields that lie.

use rinka_net::wire::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use rinka_net::wire::metadata::{MetadataRequest, MetadataResponse};
use rinka_net::wire::{ApiKey, ErrorCode};

use crate::peer::{AT_ONCE, by_hand, framed, request_frame};
use crate::{Row, Stage, row};

pub(crate) const ROWS: &[Row] = &[
    row(1, "a length above socket.request.max.bytes", |stage| {
        closes(stage, &(100_i32 * 1024 * 1024 + 1).to_be_bytes());
        closes(stage, &i32::MAX.to_be_bytes());
    }),
    row(3, "a negative length", |stage| {
        closes(stage, &(-1_i32).to_be_bytes());
        closes(stage, &i32::MIN.to_be_bytes());
    }),
    row(4, "a length of 0 to 7: no header fits", |stage| {
        for length in 0..8_u32 {
            closes(stage, &framed(&vec![0; length as usize]));
        }
    }),
    row(6, "HTTP and TLS on the plain-text port", |stage| {
        closes(stage, b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n");
        closes(stage, b"\x16\x03\x01\x00\xF4\x01\x00\x00\xF0\x03\x03");
        for hint in ["looks like HTTP", "looks like TLS"] {
            stage.broker().wait_for_line(hint, AT_ONCE);
        }
    }),
    row(7, "an API key that does not exist", |stage| {
        for key in [9_999, -1, i16::MAX, i16::MIN] {
            closes(stage, &by_hand(key, 0, &[0; 20]));
            // Key and version are enough: nobody waits for 100 MiB of it.
            let begun = [
                &(100_i32 << 20).to_be_bytes()[..],
                &key.to_be_bytes(),
                &[0; 2],
            ];
            closes(stage, &begun.concat());
        }
        // Nor does one that the codec reads and the broker has no handler of.
        for api in ApiKey::ALL.iter().filter(|api| !api.is_served()) {
            closes(stage, &by_hand(api.number(), api.versions().max, &[0; 20]));
        }
    }),
    row(8, "a version that does not exist", |stage| {
        for &api in ApiKey::ALL {
            if api == ApiKey::ApiVersions {
                continue;
            }
            for version in [-1, api.versions().max + 1, i16::MAX] {
                closes(stage, &by_hand(api.number(), version, &[0; 20]));
            }
        }
    }),
    row(9, "ApiVersions of a version that does not exist", |stage| {
        for version in [-1, 99] {
            let mut peer = stage.connect();
            peer.send(&by_hand(ApiKey::ApiVersions.number(), version, &[0xFF; 9]));
            let response: ApiVersionsResponse = peer.reply(ApiKey::ApiVersions, 0);
            assert_eq!(response.error_code, ErrorCode::UNSUPPORTED_VERSION);
            assert_eq!(response.api_keys.len(), 1, "the range of ApiVersions");
            assert_eq!(response.api_keys[0].api_key, 18);
            // The connection goes on.
            api_versions(&mut peer, "a-client", ErrorCode::NONE);
        }
    }),
    row(
        10,
        "ApiVersions with a software name that is none",
        |stage| {
            for name in ["", "-", "a b", "\0", "ä"] {
                api_versions(&mut stage.connect(), name, ErrorCode::INVALID_REQUEST);
            }
        },
    ),
    row(11, "APIs between brokers and controllers", |stage| {
        for key in [
            4, 5, 6, 7, 52, 53, 54, 55, 56, 57, 58, 59, 62, 63, 64, 67, 70, 82,
        ] {
            closes(stage, &by_hand(key, 0, &[0; 20]));
        }
    }),
    row(
        12,
        "a client id shorter than nothing, or longer than the frame",
        |stage| {
            for length in [-2_i16, i16::MIN, 100, i16::MAX] {
                let header = [&[0, 3, 0, 1, 0, 0, 0, 7][..], &length.to_be_bytes(), b"abc"];
                closes(stage, &framed(&header.concat()));
            }
        },
    ),
    row(13, "a count of 2^31-1 in a small body", |stage| {
        let count = i32::MAX.to_be_bytes();
        closes(stage, &by_hand(3, 1, &count));
        let produce = [&[0xFF, 0xFF, 0, 1, 0, 0, 0, 1][..], &count, &[0; 30]].concat();
        closes(stage, &by_hand(0, 3, &produce));
        // Compact: a varint of count + 1.
        closes(stage, &by_hand(3, 9, &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0]));
        closes(stage, &by_hand(3, 9, &[0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0, 0]));
        closes(stage, &by_hand(19, 2, &count));
    }),
    row(14, "a negative count where null is not allowed", |stage| {
        for count in [-1_i32, -2, i32::MIN] {
            let produce = [&[0xFF, 0xFF, 0, 1, 0, 0, 0, 1][..], &count.to_be_bytes()].concat();
            closes(stage, &by_hand(0, 3, &produce));
            closes(
                stage,
                &by_hand(19, 2, &[&count.to_be_bytes()[..], &[0; 5]].concat()),
            );
        }
        // Null is allowed here, less than null is not.
        closes(stage, &by_hand(3, 4, &[0xFF, 0xFF, 0xFF, 0xFE, 0]));
        // The compact form of null, in CreateTopics.
        closes(stage, &by_hand(19, 5, &[0, 0, 0, 0, 1, 0, 0]));
    }),
    row(
        15,
        "tagged fields without end, or larger than the frame",
        |stage| {
            let huge = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F];
            // ApiVersions: its header has them too.
            let header = [&[0, 3, 0, 9, 0, 0, 0, 7, 0, 1, b's'][..], &huge].concat();
            closes(stage, &framed(&header));
            let body = [&[0, 0, 0, 0][..], &huge].concat();
            closes(stage, &by_hand(3, 9, &body));
            let size = [&[0, 0, 0, 0, 1, 5][..], &huge, b"abc"].concat();
            closes(stage, &by_hand(3, 9, &size));
        },
    ),
    row(16, "varints longer than five bytes", |stage| {
        closes(
            stage,
            &by_hand(3, 9, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0, 0]),
        );
        closes(stage, &by_hand(3, 9, &[0xFF; 40]));
        closes(stage, &by_hand(3, 9, &[0x80, 0x80]));
    }),
    row(17, "text that is not UTF-8", |stage| {
        let mut peer = stage.connect();
        peer.send(&by_hand(3, 1, b"\0\0\0\x01\0\x03a\xFFb"));
        let response: MetadataResponse = peer.reply(ApiKey::Metadata, 1);
        assert_eq!(
            response.topics[0].error_code,
            ErrorCode::INVALID_TOPIC_EXCEPTION
        );
        closes(
            stage,
            &framed(b"\0\x03\0\x01\0\0\0\x07\0\x02\xC3\x28\0\0\0\0"),
        );
    }),
    row(
        55,
        "half a request, a reset, single bytes, one correlation id for all",
        |stage| {
            let request = request_frame(ApiKey::Metadata, 9, &MetadataRequest::default());
            let mut peer = stage.connect();
            peer.send(&request[..request.len() / 2]);
            peer.0
                .shutdown(std::net::Shutdown::Write)
                .expect("half closed");
            peer.expect_close(AT_ONCE);

            let mut peer = stage.connect();
            peer.send(&request.repeat(100));
            peer.reply::<MetadataResponse>(ApiKey::Metadata, 9);
            // To close with replies unread resets the connection.
            drop(peer);

            let mut peer = stage.connect();
            for byte in &request {
                peer.send(&[*byte]);
            }
            peer.reply::<MetadataResponse>(ApiKey::Metadata, 9);
            peer.send(&request.repeat(3));
            for _ in 0..3 {
                peer.reply::<MetadataResponse>(ApiKey::Metadata, 9);
            }
        },
    ),
];

/// These bytes end the connection at once, without a word.
fn closes(stage: &Stage, bytes: &[u8]) {
    let mut peer = stage.connect();
    peer.send(bytes);
    peer.expect_close(AT_ONCE);
}

fn api_versions(peer: &mut crate::peer::Peer, name: &str, expected: ErrorCode) {
    let request = ApiVersionsRequest {
        client_software_name: name.to_owned().into(),
        client_software_version: "1.0".into(),
    };
    let response: ApiVersionsResponse = peer.ask(ApiKey::ApiVersions, 3, &request);
    assert_eq!(response.error_code, expected, "{name:?}");
}
