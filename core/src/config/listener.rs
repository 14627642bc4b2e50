//! Where clients reach the broker: `listeners`, `advertised.listeners` and the maps that go with them, as Kafka writes them.
//!
//! Decides which addresses are to be opened and which are told to clients; opens nothing itself.

use std::fmt;

/// A listener for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The name before `://`, in capitals.
    pub name: String,
    /// `None`: all interfaces.
    pub host: Option<String>,
    /// 0: any free port (tests).
    pub port: u16,
    /// What Metadata tells clients. `None`: the listener is on all interfaces, and each client is told the one it came by.
    pub advertised_host: Option<String>,
    /// `None`: the port that was opened.
    pub advertised_port: Option<u16>,
}

/// What the listener keys say, taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listeners {
    pub(super) client: Vec<Listener>,
    /// `NAME://host:port` of the controller listeners, which are not opened.
    pub(super) not_opened: Vec<String>,
}

/// The texts of the listener keys; lists are already split.
#[derive(Debug, Default)]
pub(super) struct ListenerTexts<'a> {
    pub(super) listeners: &'a [String],
    pub(super) advertised: &'a [String],
    pub(super) security_protocol_map: &'a [String],
    pub(super) controller_names: &'a [String],
}

/// The key that is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerError {
    pub key: &'static str,
    pub value: String,
    pub problem: String,
}

impl fmt::Display for ListenerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            value,
            problem,
        } = self;
        write!(
            formatter,
            "Invalid value {value} for configuration {key}: {problem}"
        )
    }
}

/// One `NAME://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Endpoint {
    name: String,
    host: Option<String>,
    port: u16,
}

pub(super) fn parse(texts: &ListenerTexts<'_>) -> Result<Listeners, ListenerError> {
    let protocols = parse_security_protocol_map(texts.security_protocol_map)?;
    let is_controller = |name: &str| {
        texts
            .controller_names
            .iter()
            .any(|controller| controller.eq_ignore_ascii_case(name))
    };
    let advertised = texts
        .advertised
        .iter()
        .map(|text| parse_endpoint("advertised.listeners", text))
        .collect::<Result<Vec<_>, _>>()?;

    let mut client: Vec<Listener> = Vec::new();
    let mut not_opened = Vec::new();
    for text in texts.listeners {
        let endpoint = parse_endpoint("listeners", text)?;
        if is_controller(&endpoint.name) {
            not_opened.push(text.clone());
            continue;
        }
        check_plaintext(&endpoint.name, text, &protocols)?;
        if client.iter().any(|other| other.name == endpoint.name) {
            return Err(error(
                "listeners",
                text,
                "Each listener must have a different name",
            ));
        }
        let same_port = |other: &Listener| other.port == endpoint.port && endpoint.port != 0;
        if client.iter().any(same_port) {
            return Err(error(
                "listeners",
                text,
                "Each listener must have a different port",
            ));
        }
        let told = advertised.iter().find(|told| told.name == endpoint.name);
        if told.is_some_and(|told| told.host.is_none() || is_meta_address(told.host.as_deref())) {
            return Err(error(
                "advertised.listeners",
                &texts.advertised.join(","),
                "Clients cannot connect to an empty host or to all interfaces: name one",
            ));
        }
        let own_host = || {
            endpoint
                .host
                .clone()
                .filter(|host| !is_meta_address(Some(host)))
        };
        client.push(Listener {
            advertised_host: told.and_then(|told| told.host.clone()).or_else(own_host),
            advertised_port: told.map(|told| told.port),
            name: endpoint.name,
            host: endpoint.host,
            port: endpoint.port,
        });
    }

    for (told, text) in advertised.iter().zip(texts.advertised) {
        let is_opened = client.iter().any(|listener| listener.name == told.name);
        if !is_opened && !is_controller(&told.name) {
            return Err(error(
                "advertised.listeners",
                text,
                "A listener must be in listeners to be advertised",
            ));
        }
    }
    if client.is_empty() {
        return Err(error(
            "listeners",
            &texts.listeners.join(","),
            "No listener is left for clients: one that is not named in controller.listener.names is needed",
        ));
    }
    Ok(Listeners { client, not_opened })
}

/// "All interfaces" can be opened but not connected to.
fn is_meta_address(host: Option<&str>) -> bool {
    matches!(host, Some("0.0.0.0" | "::"))
}

/// Splits `NAME://host:port`; the host may be empty, `0.0.0.0` or an IPv6 address in brackets.
fn parse_endpoint(key: &'static str, text: &str) -> Result<Endpoint, ListenerError> {
    let form = "Must be of the form NAME://host:port";
    let (name, address) = text
        .split_once("://")
        .ok_or_else(|| error(key, text, form))?;
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| error(key, text, form))?;
    let name_is_valid = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if !name_is_valid {
        return Err(error(key, text, form));
    }
    let host = match host.strip_prefix('[') {
        Some(inner) => inner
            .strip_suffix(']')
            .ok_or_else(|| error(key, text, form))?,
        None if host.contains(':') => {
            return Err(error(key, text, "An IPv6 address must be in brackets"));
        }
        None => host,
    };
    let port = port
        .parse()
        .map_err(|_| error(key, text, "The port must be between 0 and 65535"))?;
    Ok(Endpoint {
        name: name.to_ascii_uppercase(),
        host: (!host.is_empty()).then(|| host.to_owned()),
        port,
    })
}

fn parse_security_protocol_map(map: &[String]) -> Result<Vec<(String, String)>, ListenerError> {
    map.iter()
        .map(|pair| {
            let (name, protocol) = pair.split_once(':').ok_or_else(|| {
                error(
                    "listener.security.protocol.map",
                    pair,
                    "Must be a list of NAME:PROTOCOL",
                )
            })?;
            Ok((
                name.trim().to_ascii_uppercase(),
                protocol.trim().to_ascii_uppercase(),
            ))
        })
        .collect()
}

/// A listener that asks for encryption or authentication must not be opened without them.
fn check_plaintext(
    name: &str,
    text: &str,
    protocols: &[(String, String)],
) -> Result<(), ListenerError> {
    let mapped = protocols.iter().rfind(|(listener, _)| listener == name);
    let protocol = match mapped {
        Some((_, protocol)) => protocol.as_str(),
        // Kafka's default map: each protocol is the name of a listener.
        None if matches!(name, "PLAINTEXT" | "SSL" | "SASL_PLAINTEXT" | "SASL_SSL") => name,
        None => {
            return Err(error(
                "listeners",
                text,
                "The listener's name is in neither listener.security.protocol.map nor controller.listener.names",
            ));
        }
    };
    match protocol {
        "PLAINTEXT" => Ok(()),
        "SSL" | "SASL_PLAINTEXT" | "SASL_SSL" => Err(error(
            "listeners",
            text,
            &format!(
                "{protocol} is not built yet, and opening the listener without it would be less secure than asked for; only PLAINTEXT works"
            ),
        )),
        _ => Err(error(
            "listener.security.protocol.map",
            &format!("{name}:{protocol}"),
            "The protocol must be one of: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
        )),
    }
}

fn error(key: &'static str, value: &str, problem: &str) -> ListenerError {
    ListenerError {
        key,
        value: value.to_owned(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::definition::split_list;
    use super::*;

    fn parsed(listeners: &str, advertised: &str, map: &str) -> Result<Listeners, ListenerError> {
        parse(&ListenerTexts {
            listeners: &split_list(listeners),
            advertised: &split_list(advertised),
            security_protocol_map: &split_list(map),
            controller_names: &["CONTROLLER".to_owned()],
        })
    }

    fn check_refused(listeners: &str, advertised: &str, map: &str, problem: &str) {
        let error = parsed(listeners, advertised, map).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }

    #[test]
    fn a_combined_kraft_node() {
        let listeners = parsed(
            "PLAINTEXT://:9092,CONTROLLER://:9093,EXTERNAL://[::1]:9094",
            "PLAINTEXT://broker:19092",
            "CONTROLLER:SSL,PLAINTEXT:PLAINTEXT,external:PLAINTEXT",
        )
        .unwrap();
        assert_eq!(listeners.not_opened, ["CONTROLLER://:9093"]);
        let [plain, external] = listeners.client.as_slice() else {
            panic!("two client listeners, not {listeners:?}");
        };
        assert_eq!((plain.host.as_deref(), plain.port), (None, 9092));
        assert_eq!(plain.advertised_host.as_deref(), Some("broker"));
        assert_eq!(plain.advertised_port, Some(19092));
        assert_eq!(external.host.as_deref(), Some("::1"));
        assert_eq!(external.advertised_host.as_deref(), Some("::1"));
        assert_eq!(external.advertised_port, None);
    }

    #[test]
    fn less_security_than_asked_for_is_refused() {
        check_refused("SASL_SSL://:9092", "", "", "SASL_SSL is not built yet");
        check_refused("CLIENTS://:9092", "", "CLIENTS:SSL", "SSL is not built yet");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        check_refused("CLIENTS://:9092", "", "", "neither");
        check_refused("CONTROLLER://:9093", "", "", "No listener is left");
        check_refused("", "", "", "No listener is left");
        check_refused(
            "PLAINTEXT://:9092,PLAINTEXT://:9093",
            "",
            "",
            "different name",
        );
        check_refused("PLAINTEXT://:1,B://:1", "", "B:PLAINTEXT", "different port");
        check_refused("PLAINTEXT://:99999", "", "", "between 0 and 65535");
        check_refused("PLAINTEXT:9092", "", "", "NAME://host:port");
        check_refused("PLAINTEXT://::1:9092", "", "", "brackets");
        check_refused("PLAINTEXT://:1", "OTHER://a:1", "", "must be in listeners");
        check_refused("PLAINTEXT://:1", "PLAINTEXT://:1", "", "name one");
    }
}
