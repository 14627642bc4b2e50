//! `rinka consume`: records of topics onto the standard output, from wherever on, until whenever.
//!
//! Never shows a record twice or out of its partition's order; between partitions there is no order.

mod assigned;
mod fetcher;
mod member;
mod position;
mod print;
mod range;
mod unpack;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Args;
use regex::Regex;

use super::client::{Client, ConnectArguments, TopicPartition, explain, no_topic};
use super::failure::{Failure, Result, failed, usage};
use super::interrupt::Interrupt;
use super::moment;
use super::output::remark;
use super::topic::no_doubles;
use assigned::Assigned;
use fetcher::{Fetched, Fetcher};
use member::{GroupProtocol, Member, Standing};
use position::{Start, Until};
use print::{Decode, Field, Form, Printer};
use unpack::Flow;

/// New topics that a pattern fits are looked for so often, and new partitions so much more seldom.
const NEW_TOPICS_EVERY: Duration = Duration::from_secs(5);
const NEW_PARTITIONS_EVERY: Duration = Duration::from_secs(30);

/// A group's offsets are committed so often.
const COMMIT_EVERY: Duration = Duration::from_secs(5);

/// Print records of topics
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka consume greetings                                all there is, and what comes, until Ctrl-C
  rinka consume greetings --until end                    all there is
  rinka consume greetings --from latest                  only what comes
  rinka consume greetings --from -10 --until end         the last ten of each partition
  rinka consume greetings --from 2026-01-31T12:00:00Z --until 2026-01-31T13:00:00Z
  rinka consume greetings --partition 0 --from 4711 --max 1 --decode json
  rinka consume orders users --print topic,partition,offset,timestamp,key,headers
  rinka consume --pattern '^orders-' --output json | jq -r .value
  rinka consume greetings --group readers                as a member of a group, which remembers where it was

Follows: goes on with what is written later, until Ctrl-C, --until or --max. A FROM or UNTIL of
digits is an offset; milliseconds since 1970 are written with `ms` behind them.

An object of --output json has topic, partition, offset, timestamp, key, value and headers; bytes
that are no UTF-8 are in keyBase64 and valueBase64 instead. `rinka produce --json` takes it back.

A member of a group begins where the group is, and at FROM where it never was. Offsets are committed
every 5 s, before partitions are given up and at the end, and only of records that were printed. It
speaks the protocol `consumer` (KIP-848) where the broker offers it and the group has no members of
the older one, whom that would move to the newer; --group-protocol says otherwise.")]
pub(crate) struct Consume {
    #[command(flatten)]
    connect: ConnectArguments,
    /// Their names
    #[arg(required_unless_present = "pattern", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Topics in whose name this regular expression is found, also those that are created later
    #[arg(long, value_name = "REGEX", conflicts_with = "topics")]
    pattern: Option<Regex>,
    /// Where to begin: earliest, latest, an offset, -N for the last N of each partition, or a time
    #[arg(long, value_name = "FROM", default_value = "earliest", allow_hyphen_values = true, value_parser = Start::parse)]
    from: Start,
    /// Where to end: end (as it is now), an offset (it is not printed any more), or a time
    #[arg(long, value_name = "UNTIL", value_parser = Until::parse)]
    until: Option<Until>,
    /// Go on with what is written later: this is the default, and --until ends it
    #[arg(long, conflicts_with = "until")]
    follow: bool,
    /// End after so many records
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// Only these partitions
    #[arg(long, short, value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(i32).range(0..), conflicts_with = "group")]
    partition: Vec<i32>,
    /// Consume as a member of this group
    #[arg(long, short, value_name = "GROUP", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    group: Option<String>,
    /// How it speaks to the group; without it as its members do, or by the newer protocol
    #[arg(long, value_enum, value_name = "PROTOCOL", requires = "group")]
    group_protocol: Option<GroupProtocol>,
    /// Leave out records of transactions that were aborted, and wait for those that are open
    #[arg(long)]
    read_committed: bool,
    /// What to print of a record before its value, separated by tabs: topic, partition, offset, timestamp, key, headers
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "FIELD,...",
        conflicts_with = "output"
    )]
    print: Vec<Field>,
    /// The form of the output
    #[arg(long, short, value_enum, default_value_t = Form::Text)]
    output: Form,
    /// What the values are
    #[arg(long, value_enum, default_value_t = Decode::Text)]
    decode: Decode,
}

pub(crate) fn run(arguments: Consume) -> Result<()> {
    let interrupt = Interrupt::watch()?;
    no_doubles(&arguments.topics)?;
    if arguments.output == Form::Json && arguments.decode == Decode::Json {
        return usage(
            "--decode json prints over several lines, --output json one line a record: choose one",
        );
    }
    let client = Client::connect(&arguments.connect)?;
    let printer = Printer::new(arguments.output, arguments.decode, arguments.print.clone());
    let mut consuming = Consuming {
        fetcher: Fetcher::new(
            client,
            arguments.read_committed,
            arguments.connect.timeout(),
        ),
        assigned: Assigned::default(),
        printer,
        interrupt,
        printed: 0,
        arguments,
    };
    match consuming.arguments.group.clone() {
        None => consuming.alone(),
        Some(group) => {
            let protocol = consuming.arguments.group_protocol;
            let member = Member::new(&mut consuming.fetcher.client, group, protocol)?;
            consuming.in_group(member)
        }
    }
}

struct Consuming {
    arguments: Consume,
    fetcher: Fetcher,
    assigned: Assigned,
    printer: Printer,
    interrupt: Interrupt,
    printed: u64,
}

impl Consuming {
    fn alone(&mut self) -> Result<()> {
        let topics = self.topics()?;
        let partitions = self.partitions(&topics)?;
        if partitions.is_empty() && self.arguments.pattern.is_none() {
            return failed("the topics have no partitions");
        }
        let start = self.arguments.from;
        self.begin(partitions, start)?;
        let mut looked = Instant::now();
        while !self.is_over() {
            self.turn()?;
            let every = match self.arguments.pattern {
                Some(_) => NEW_TOPICS_EVERY,
                None => NEW_PARTITIONS_EVERY,
            };
            // Whoever wants an end wants what there was in the beginning.
            if self.arguments.until.is_none() && looked.elapsed() >= every {
                looked = Instant::now();
                self.take_new_partitions()?;
            }
        }
        self.printer.finish()
    }

    /// All records of a partition that was not there before came after the start.
    fn take_new_partitions(&mut self) -> Result<()> {
        let topics = match self.topics() {
            Ok(topics) => topics,
            // What is wrong shows where it is fetched from.
            Err(Failure::Failed(_)) => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let mut partitions = self.partitions(&topics)?;
        partitions.retain(|at| !self.assigned.knows(at));
        if !partitions.is_empty() {
            self.begin(partitions, Start::Earliest)?;
        }
        Ok(())
    }

    fn in_group(&mut self, mut member: Member) -> Result<()> {
        let ended = self.as_member(&mut member);
        // Records that nobody may have seen are not committed: the next member gets them.
        let left = member
            .commit(&mut self.fetcher.client, &self.assigned.shown())
            .and_then(|()| member.leave(&mut self.fetcher.client));
        ended.and(left)
    }

    fn as_member(&mut self, member: &mut Member) -> Result<()> {
        let mut topics = self.topics()?;
        let mut standing = Standing::Rejoin;
        let mut looked = Instant::now();
        let mut committed = Instant::now();
        loop {
            match standing {
                Standing::Good => {}
                Standing::Rejoin => {
                    let owned = member.join(&mut self.fetcher.client, &topics)?;
                    self.assigned = Assigned::default();
                    self.begin_where_the_group_is(member, owned)?;
                    committed = Instant::now();
                }
                Standing::Assigned(partitions) => {
                    self.assigned.retain(&partitions);
                    // What comes is begun only when others know that the rest is theirs.
                    standing = member.acknowledge(&mut self.fetcher.client, partitions.clone())?;
                    let known = |at: &TopicPartition| self.assigned.knows(at);
                    let new = partitions.into_iter().filter(|at| !known(at)).collect();
                    self.begin_where_the_group_is(member, new)?;
                    if standing != Standing::Good {
                        continue;
                    }
                }
            }
            // Without partitions there is no end to come to: others may leave theirs to us.
            if self.interrupt.is_asked() || (!self.assigned.is_empty() && self.is_over()) {
                return self.printer.finish();
            }
            self.turn()?;
            if looked.elapsed() >= NEW_TOPICS_EVERY && self.arguments.pattern.is_some() {
                looked = Instant::now();
                topics = self.topics()?;
            }
            standing = member.heartbeat(&mut self.fetcher.client, &topics)?;
            if committed.elapsed() >= COMMIT_EVERY || standing != Standing::Good {
                committed = Instant::now();
                member.commit(&mut self.fetcher.client, &self.assigned.shown())?;
            }
        }
    }

    fn begin_where_the_group_is(
        &mut self,
        member: &Member,
        owned: BTreeSet<TopicPartition>,
    ) -> Result<()> {
        let client = &mut self.fetcher.client;
        let committed = member.committed(client)?;
        let (known, new): (BTreeSet<_>, BTreeSet<_>) =
            owned.into_iter().partition(|at| committed.contains_key(at));
        let start = self.arguments.from;
        self.begin(new, start)?;
        let positions = known.into_iter().map(|at| {
            let offset = committed[&at];
            (at, offset)
        });
        let positions = positions.collect();
        let client = &mut self.fetcher.client;
        let ends = position::ends(client, &positions, self.arguments.until)?;
        self.assigned.add(positions, &ends);
        let metadata = self.assigned.topics();
        self.fetcher.refresh(&metadata)
    }

    /// The topics that are asked for and there.
    fn topics(&mut self) -> Result<Vec<String>> {
        let client = &mut self.fetcher.client;
        let deadline = client.deadline();
        let Some(pattern) = &self.arguments.pattern else {
            client.existing_topics(&self.arguments.topics, deadline)?;
            return Ok(self.arguments.topics.clone());
        };
        let metadata = client.metadata(None, deadline)?;
        let fits = |name: &&String| pattern.is_match(name);
        let topics = metadata.topics.iter();
        let topics = topics.filter(|(_, topic)| !topic.is_internal && !topic.error.is_error());
        Ok(topics.map(|(name, _)| name).filter(fits).cloned().collect())
    }

    fn partitions(&mut self, topics: &[String]) -> Result<BTreeSet<TopicPartition>> {
        let client = &mut self.fetcher.client;
        let deadline = client.deadline();
        let metadata = client.metadata(Some(topics), deadline)?;
        let mut partitions = BTreeSet::new();
        for name in topics {
            let Some(topic) = metadata.topics.get(name) else {
                continue;
            };
            for wanted in &self.arguments.partition {
                if !topic.partitions.contains_key(wanted) {
                    let count = topic.partitions.len();
                    return failed(format!(
                        "topic {name} has no partition {wanted}: it has {count}"
                    ));
                }
            }
            let all = topic.partitions.keys().copied();
            let only = &self.arguments.partition;
            for partition in all.filter(|partition| only.is_empty() || only.contains(partition)) {
                let topic = name.clone();
                partitions.insert(TopicPartition { topic, partition });
            }
        }
        Ok(partitions)
    }

    fn begin(&mut self, partitions: BTreeSet<TopicPartition>, start: Start) -> Result<()> {
        let client = &mut self.fetcher.client;
        let positions = position::resolve(client, &partitions, start)?;
        let ends = position::ends(client, &positions, self.arguments.until)?;
        self.assigned.add(positions, &ends);
        let topics = self.assigned.topics();
        self.fetcher.refresh(&topics)
    }

    fn is_over(&self) -> bool {
        let enough = self.arguments.max.is_some_and(|max| self.printed >= max);
        let waits_for_topics = self.arguments.pattern.is_some() && self.arguments.until.is_none();
        let nothing_left = self.assigned.all_ended() && !waits_for_topics;
        enough || nothing_left || self.interrupt.is_asked()
    }

    /// One round of fetches and what they brought.
    fn turn(&mut self) -> Result<()> {
        // Once the time has come, it has an offset like any that lies behind.
        if let Some(Until::Time(end)) = self.arguments.until
            && moment::now() >= end
            && self.assigned.has_open_ends()
        {
            let positions = self.assigned.positions();
            let client = &mut self.fetcher.client;
            let ends = position::ends(client, &positions, self.arguments.until)?;
            self.assigned.set_ends(&ends);
        }
        let positions = self.assigned.positions();
        for Fetched { at, data } in self.fetcher.fetch(&positions)? {
            let enough = self.arguments.max.is_some_and(|max| self.printed >= max);
            if enough || self.interrupt.is_asked() {
                break;
            }
            match data {
                Ok(data) => self.show(&at, &data)?,
                Err(code) if code == fetcher::OUT_OF_RANGE => self.begin_again(&at)?,
                Err(code) if fetcher::is_gone(code) && self.arguments.pattern.is_some() => {
                    self.assigned.remove(&at);
                }
                Err(code) if fetcher::is_gone(code) => {
                    return failed(format!("{at} is gone: {}", no_topic(&at.topic)));
                }
                Err(code) => return failed(format!("{at}: {}", explain(code, None))),
            }
        }
        self.printer.flush()?;
        self.assigned.on_flushed();
        Ok(())
    }

    fn show(&mut self, at: &TopicPartition, data: &fetcher::Data) -> Result<()> {
        let Some(from) = self.assigned.position(at) else {
            return Ok(());
        };
        let end = self.assigned.end(at);
        let until_time = match self.arguments.until {
            Some(Until::Time(end)) => Some(end),
            _ => None,
        };
        let mut ended = false;
        let (printer, printed, max) = (&mut self.printer, &mut self.printed, self.arguments.max);
        let next = unpack::unpack(&data.records, from, &data.aborted, |record| {
            let behind = end.is_some_and(|end| record.offset >= end);
            if behind || until_time.is_some_and(|end| record.timestamp >= end) {
                ended = true;
                return Ok(Flow::StopBefore);
            }
            printer.print(at, record)?;
            *printed += 1;
            let enough = max.is_some_and(|max| *printed >= max);
            Ok(if enough { Flow::StopBehind } else { Flow::More })
        });
        let next = match next {
            Ok(next) => next,
            Err(unpack::Error::Print(failure)) => return Err(failure),
            Err(unpack::Error::Damaged(reason)) => {
                self.printer.flush()?;
                return failed(format!("{at} at offset {from}: {reason}"));
            }
        };
        self.assigned.advance(at, next);
        if ended {
            self.assigned.end_here(at);
        }
        self.fetcher.on_progress(at, ended || next > from)
    }

    /// Retention or a truncation took what was to come next.
    fn begin_again(&mut self, at: &TopicPartition) -> Result<()> {
        let one = BTreeSet::from([at.clone()]);
        let client = &mut self.fetcher.client;
        let earliest = position::resolve(client, &one, Start::Earliest)?;
        let (Some(was), Some(now)) = (self.assigned.position(at), earliest.get(at)) else {
            return Ok(());
        };
        remark(format_args!(
            "rinka: {at}: offset {was} is not there any more; going on at {now}"
        ));
        self.assigned.set_position(at, *now);
        Ok(())
    }
}
