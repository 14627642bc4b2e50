//! Ports for brokers that are killed and started again. Never from the range the kernel gives to outgoing connections: a client
//! that reconnects while the broker is down would otherwise now and then be given the broker's own port.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below Linux' default `ip_local_port_range`, which begins at 32768.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// How many ports a broker gets: its own, and one a shard for core routing (the control: one for its controller).
pub(crate) const BLOCK: u16 = 10;

/// The first of [`BLOCK`] ports that are free now and that no other caller in this process is given.
pub(crate) fn free_block() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries that run at the same time begin at different places.
    let process = u16::try_from(std::process::id() % 1_000).expect("below 1,000");
    for _ in 0..COUNT / BLOCK {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let blocks = COUNT / BLOCK;
        let block = process.wrapping_mul(37).wrapping_add(step) % blocks;
        let first = FIRST + block * BLOCK;
        if (first..first + BLOCK).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
    panic!("no {BLOCK} free ports in a row from {FIRST} on");
}
