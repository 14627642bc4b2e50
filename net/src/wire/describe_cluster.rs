//! DescribeCluster (60), versions 0-2: cluster id, controller, brokers (KIP-700, KIP-919 endpoint types, KIP-1073 fenced
//! brokers). Flexible from 0.
//!
//! Endpoint type 1 asks for brokers, 2 for controllers.

use super::{ErrorCode, Text};

message! {
    struct DescribeClusterRequest, flexible 0 {
        include_cluster_authorized_operations: bool, since 0;
        endpoint_type: i8, since 1, default 1;
        include_fenced_brokers: bool, since 2;
    }

    struct DescribeClusterResponse, flexible 0 {
        throttle_time_ms: i32, since 0;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
        endpoint_type: i8, since 1, default 1;
        cluster_id: Text, since 0;
        controller_id: i32, since 0, default -1;
        brokers: Vec<DescribeClusterBroker>, since 0;
        cluster_authorized_operations: i32, since 0, default i32::MIN;
    }

    struct DescribeClusterBroker, flexible 0 {
        broker_id: i32, since 0;
        host: Text, since 0;
        port: i32, since 0;
        rack: Option<Text>, since 0;
        is_fenced: bool, since 2;
    }
}
