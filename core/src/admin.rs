//! The admin port: `/metrics`, `/healthz` and `/readyz` over HTTP, on a thread of its own.
//!
//! Asks shards by their mailboxes and gives up on one after a second. Never touches a shard's state, and changes nothing.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::metrics::groups::LogEnds;
use crate::metrics::{ProcessReport, ShardReport, render};
use crate::shard::Shard;
use crate::shard::mailbox::{Lane, Mailbox};

/// A shard that does not answer for this long is not well.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// What Prometheus' text format is called.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the port tells of besides the shards.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) mailboxes: Arc<[Mailbox]>,
    pub(crate) started: Instant,
    /// With what recovery found; the rest is filled in when it is asked for.
    pub(crate) process: ProcessReport,
}

/// Opens the port. It is served from the call of [`serve`] on.
///
/// # Errors
/// Those of the sockets.
pub(crate) fn bind(address: &str) -> io::Result<(std::net::TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Starts the thread that serves the port for the rest of the process' life.
///
/// # Errors
/// When there can be no such thread.
pub(crate) fn serve(listener: std::net::TcpListener, admin: Admin) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .with_state(admin);
    std::thread::Builder::new()
        .name("rinka-admin".to_owned())
        .spawn(move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(listener, routes).await
            });
            if let Err(error) = served {
                log::error!("the admin port is closed: {error}");
            }
        })?;
    Ok(())
}

impl Admin {
    async fn ask_all(&self) -> Result<(Vec<ShardReport>, LogEnds), String> {
        let shards = self.ask_shards().await?;
        let ends = self.ask_log_ends(&shards).await?;
        Ok((shards, ends))
    }

    async fn ask_shards(&self) -> Result<Vec<ShardReport>, String> {
        self.ask_each(Shard::report).await
    }

    /// Where the partitions end that groups have offsets of.
    async fn ask_log_ends(&self, shards: &[ShardReport]) -> Result<LogEnds, String> {
        let positions = shards.iter().flat_map(|shard| &shard.groups.positions);
        let wanted: BTreeSet<_> = positions
            .map(|at| (Arc::clone(&at.topic), at.partition))
            .collect();
        if wanted.is_empty() {
            return Ok(LogEnds::new());
        }
        let wanted = Arc::new(wanted);
        let ends = self.ask_each(move |shard| shard.log_ends(Arc::clone(&wanted)));
        Ok(ends.await?.into_iter().flatten().collect())
    }

    /// What every shard says, in their order; or which one does not answer.
    async fn ask_each<T, F>(
        &self,
        ask: impl Fn(Rc<Shard>) -> F + Clone + Send + 'static,
    ) -> Result<Vec<T>, String>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let asked = async {
            let mut answers = Vec::with_capacity(self.mailboxes.len());
            for (number, mailbox) in self.mailboxes.iter().enumerate() {
                let ask = ask.clone();
                let answer = mailbox.send_outside(Lane::Read, move |shard| ask(Rc::clone(shard)));
                let answer = answer.await;
                answers.push(answer.map_err(|_| format!("shard {number} has ended"))?);
            }
            let mut reports = Vec::with_capacity(answers.len());
            for (number, answer) in answers.into_iter().enumerate() {
                let report = answer.wait_outside().await;
                reports.push(report.map_err(|_| format!("shard {number} has ended"))?);
            }
            Ok(reports)
        };
        match tokio::time::timeout(ANSWER_WITHIN, asked).await {
            Ok(reports) => reports,
            Err(_) => Err(format!(
                "a shard does not answer within {} ms",
                ANSWER_WITHIN.as_millis()
            )),
        }
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match admin.ask_all().await {
        Ok((shards, ends)) => {
            let process = ProcessReport {
                uptime: admin.started.elapsed(),
                ..crate::machine::usage(admin.process.clone())
            };
            (
                [(header::CONTENT_TYPE, TEXT_FORMAT)],
                render(&process, &shards, &ends),
            )
                .into_response()
        }
        Err(reason) => unwell(reason),
    }
}

/// Alive: every shard answers.
async fn health(State(admin): State<Admin>) -> Response {
    match admin.ask_shards().await {
        Ok(_) => "ok\n".into_response(),
        Err(reason) => unwell(reason),
    }
}

/// Ready: every shard takes what producers send.
async fn readiness(State(admin): State<Admin>) -> Response {
    let shards = match admin.ask_shards().await {
        Ok(shards) => shards,
        Err(reason) => return unwell(reason),
    };
    for (number, shard) in shards.iter().enumerate() {
        if let Some(reason) = &shard.failure {
            return unwell(format!("the disk of shard {number} failed: {reason}"));
        }
        if shard.full {
            return unwell(format!("the disk of shard {number} is full"));
        }
        if shard.stopping {
            return unwell("stopping".to_owned());
        }
    }
    "ready\n".into_response()
}

fn unwell(reason: String) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response()
}
