//! Access control without an authorizer: DescribeAcls, CreateAcls and DeleteAcls say that it is off, for each thing asked.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::create_acls::{AclCreation, CreateAclsRequest, CreateAclsResponse};
use rinka_net::wire::delete_acls::{DeleteAclsFilter, DeleteAclsRequest, DeleteAclsResponse};
use rinka_net::wire::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};

use super::*;

/// Kafka's numbers: any resource, pattern, operation and permission.
const ANY: i8 = 1;

/// A topic, by its whole name, may be read.
const TOPIC: i8 = 2;
const LITERAL: i8 = 3;
const READ: i8 = 3;
const ALLOW: i8 = 3;

#[test]
fn without_an_authorizer_access_is_not_described() {
    let mut bench = Bench::new(&[]);
    for version in 1..=3 {
        let request = DescribeAclsRequest {
            resource_type_filter: ANY,
            pattern_type_filter: ANY,
            operation: ANY,
            permission_type: ANY,
            ..Default::default()
        };
        let answer: DescribeAclsResponse =
            bench
                .connection
                .call(ApiKey::DescribeAcls, version, &request);
        assert_eq!(answer.error_code, ErrorCode::SECURITY_DISABLED, "{version}");
        assert!(answer.error_message.is_some());
        assert!(answer.resources.is_empty());
    }
}

#[test]
fn without_an_authorizer_each_entry_is_refused() {
    let mut bench = Bench::new(&[]);
    let creation = AclCreation {
        resource_type: TOPIC,
        resource_name: Text::from(bench.topic.clone()),
        resource_pattern_type: LITERAL,
        principal: Text::from("User:alice"),
        host: Text::from("*"),
        operation: READ,
        permission_type: ALLOW,
    };
    let request = CreateAclsRequest {
        creations: vec![creation.clone(), creation],
    };
    let answer: CreateAclsResponse = bench.connection.call(ApiKey::CreateAcls, 3, &request);
    let errors: Vec<ErrorCode> = answer.results.iter().map(|one| one.error_code).collect();
    assert_eq!(errors, [ErrorCode::SECURITY_DISABLED; 2]);
}

#[test]
fn without_an_authorizer_each_filter_is_refused() {
    let mut bench = Bench::new(&[]);
    let filter = DeleteAclsFilter {
        resource_type_filter: TOPIC,
        resource_name_filter: None,
        pattern_type_filter: ANY,
        operation: ANY,
        permission_type: ANY,
        ..Default::default()
    };
    let request = DeleteAclsRequest {
        filters: vec![filter.clone(), filter],
    };
    let answer: DeleteAclsResponse = bench.connection.call(ApiKey::DeleteAcls, 3, &request);
    for result in &answer.filter_results {
        assert_eq!(result.error_code, ErrorCode::SECURITY_DISABLED);
        assert!(result.matching_acls.is_empty());
    }
    assert_eq!(answer.filter_results.len(), 2);
}
