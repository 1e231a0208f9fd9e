//! Every line is written or counted, once, whatever the reader does, and never a part of one stands
//! before another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    cell::Cell,
    io::{PipeReader, Read, pipe},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{
    super::{
        queue::Bounds,
        sink::{NotWritten, Sink},
    },
    *,
};

const SMALL: Bounds = Bounds {
    lines: 20,
    bytes: 20_000,
    longest: 9000,
};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

/// A queue, and the thread that writes what is in it.
struct Log {
    queue: Arc<Queue>,
    writer: JoinHandle<()>,
}

impl Log {
    fn to(place: impl AsFd + Send + 'static) -> Self {
        let queue = Arc::new(Queue::new(SMALL));
        let lines = Arc::clone(&queue);
        let writer = thread::spawn(move || {
            write(&lines, &mut Sink::new(place), |lines| {
                format!("dropped {lines}\n").into_bytes()
            })
        });
        Self { queue, writer }
    }

    /// The end, and how many lines were dropped.
    fn end(self, limit: Duration) -> u64 {
        self.queue.end(limit);
        self.writer.join().unwrap();
        self.queue.dropped()
    }
}

/// A line with a number, of this many bytes at least.
fn line(number: usize, length: usize) -> Vec<u8> {
    format!("line {number} {}\n", "x".repeat(length)).into_bytes()
}

/// The numbers of the lines that came, each of which must be whole, and how many are said to be
/// missing.
fn received(text: &str, lengths: &[usize]) -> (Vec<usize>, u64) {
    let (mut numbers, mut missing) = (Vec::new(), 0);
    for received in text.split_inclusive('\n') {
        if let Some(dropped) = received.strip_prefix("dropped ") {
            missing += dropped.trim().parse::<u64>().unwrap();
            continue;
        }
        let number: usize = received.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(
            received.as_bytes(),
            line(number, lengths[number]),
            "a line is whole"
        );
        numbers.push(number);
    }
    (numbers, missing)
}

/// What a reader gets who reads this many bytes, again and again, whenever it is told to.
fn read_when_told(mut pipe: PipeReader, told: mpsc::Receiver<usize>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        for bytes in told {
            (&mut pipe)
                .take(bytes as u64)
                .read_to_end(&mut text)
                .unwrap();
        }
        pipe.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    })
}

#[derive(Debug, Clone)]
enum Step {
    Log(usize),
    Read(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_usize..3000).prop_map(Step::Log),
        2 => (3000_usize..12_000).prop_map(Step::Log),
        1 => (1_usize..40_000).prop_map(Step::Read),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn lines_sent_are_lines_received_and_lines_dropped(steps in steps()) {
        let (reader, place) = pipe().unwrap();
        let log = Log::to(place);
        let (tell, told) = mpsc::channel();
        let reading = read_when_told(reader, told);
        let mut lengths = Vec::new();
        for step in steps {
            match step {
                Step::Log(length) => {
                    log.queue.add(line(lengths.len(), length));
                    lengths.push(length);
                }
                Step::Read(bytes) => tell.send(bytes).unwrap(),
            }
        }
        drop(tell);
        let dropped = log.end(LIMIT);
        let (numbers, missing) = received(&reading.join().unwrap(), &lengths);
        prop_assert_eq!(numbers.len() as u64 + dropped, lengths.len() as u64);
        prop_assert_eq!(missing, dropped, "whoever reads to the end is told of all");
        prop_assert!(numbers.is_sorted(), "the order is kept");
        let too_long = lengths.iter().enumerate().filter(|(number, length)| line(*number, **length).len() > SMALL.longest);
        prop_assert!(too_long.into_iter().all(|(number, _)| !numbers.contains(&number)));
    }
}

#[test]
fn a_reader_that_left_costs_nothing_and_each_line_is_counted() {
    let (reader, place) = pipe().unwrap();
    drop(reader);
    let log = Log::to(place);
    for number in 0..500 {
        log.queue.add(line(number, 10));
        log.queue.flush(LIMIT);
    }
    assert_eq!(log.end(LIMIT), 500);

    let (reader, place) = UnixStream::pair().unwrap();
    drop(reader);
    let log = Log::to(place);
    log.queue.add(line(0, 10));
    assert_eq!(log.end(LIMIT), 1);
}

#[test]
fn the_end_waits_for_a_reader_that_stalls_no_longer_than_it_is_told_to() {
    let (reader, place) = UnixStream::pair().unwrap();
    let log = Log::to(place);
    let began = Instant::now();
    // Much more than a socket takes; who waits in vain does so once.
    let sent = 2000;
    for number in 0..sent {
        log.queue.add(line(number, 3000));
        log.queue.flush(Duration::from_millis(100));
    }
    assert!(began.elapsed() >= Duration::from_millis(100));
    let again = Instant::now();
    log.queue.flush(LIMIT);
    assert!(
        again.elapsed() < Duration::from_secs(5),
        "it was waited for in vain before"
    );
    let dropped = log.end(Duration::from_millis(100));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    let mut text = String::new();
    { reader }.read_to_string(&mut text).unwrap();
    // The last one may be torn: nothing comes behind it, and it counts as dropped.
    let whole = text.lines().filter(|line| line.len() > 3000).count();
    assert_eq!(whole as u64 + dropped, sent as u64);
}

#[test]
fn a_line_that_was_torn_ends_before_the_next() {
    let (mut reader, place) = pipe().unwrap();
    let mut sink = Sink::new(place);
    // What a pipe holds but for two chunks.
    sink.write(&[b'f'; 65_536 - 2 * 4096], || false).unwrap();
    let looks = Cell::new(0);
    let is_over = || looks.replace(looks.get() + 1) > 5;
    assert_eq!(sink.write(&line(0, 20_000), is_over), Err(NotWritten));
    let mut stands = vec![0; 65_536];
    reader.read_exact(&mut stands).unwrap();
    assert_eq!(sink.write(&line(1, 5), || false), Ok(()));
    assert_eq!(sink.write(&line(2, 5), || false), Ok(()));
    drop(sink);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "\nline 1 xxxxx\nline 2 xxxxx\n");
}

#[test]
fn of_frames_that_nobody_saw_the_last_one_counts_and_none_is_a_line() {
    let queue = Queue::new(SMALL);
    for frame in ["a", "b", "c"] {
        queue.show(frame.into());
    }
    queue.add(line(0, 1));
    queue.show(vec![b'd'; 50_000]);
    queue.show(vec![b'e'; 500]);
    let line_of_it = Entry::Line {
        text: line(0, 1),
        dropped_before: 0,
    };
    for next in [
        Entry::Frame("c".into()),
        line_of_it,
        Entry::Frame(vec![b'e'; 500]),
    ] {
        assert_eq!(queue.next(None), Next::Write(next));
    }
    assert_eq!(queue.next(Some(Duration::from_millis(1))), Next::Nothing);
    assert_eq!(queue.dropped(), 0);
}

#[test]
fn a_line_takes_the_place_of_a_frame() {
    let (mut reader, place) = pipe().unwrap();
    let log = Log::to(place);
    log.queue.show("reading".into());
    log.queue.flush(LIMIT);
    log.queue.add(b"a line\n".to_vec());
    log.queue.show("writing".into());
    assert_eq!(log.end(LIMIT), 0);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "reading\r\u{1b}[2Ka line\nwriting");
}

#[test]
fn what_a_writer_has_not_begun_with_at_the_end_is_left_to_whoever_ends_the_program() {
    let queue = Queue::new(SMALL);
    for number in 0..2 {
        queue.add(line(number, 10));
    }
    queue.show(b"frame".to_vec());
    queue.end(Duration::ZERO);
    queue.flush(Duration::ZERO);
    assert_eq!(queue.rest(), [line(0, 10), line(1, 10)]);
    assert_eq!(queue.rest(), Vec::<Vec<u8>>::new());
    // A writer that waits for its reader has begun.
    let queue = Queue::new(SMALL);
    for number in 0..2 {
        queue.add(line(number, 10));
    }
    assert!(matches!(queue.next(None), Next::Write(_)));
    assert_eq!(queue.rest(), Vec::<Vec<u8>>::new());
}
