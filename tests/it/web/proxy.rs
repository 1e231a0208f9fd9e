//! A proxy that serves the pages below a path, as an operator's own does.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
};

use crate::daemon::LIMIT;

/// Passes what is asked for below `/sync/` on to a port of this machine, until the test ends; its own
/// port.
pub fn below_sync(to: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            // A browser that leaves is no error.
            thread::spawn(move || pass(stream, to).ok());
        }
    });
    port
}

fn pass(mut browser: TcpStream, to: u16) -> std::io::Result<()> {
    browser.set_read_timeout(Some(LIMIT))?;
    let mut asked = BufReader::new(browser.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if asked.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let Some((method, rest)) = head.split_once(" /sync/") else {
        return browser.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    let mut body = vec![0; length];
    asked.read_exact(&mut body)?;
    let mut daemon = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, to)))?;
    daemon.set_read_timeout(Some(LIMIT))?;
    write!(
        daemon,
        "{method} /{rest}X-Forwarded-For: 10.9.8.7\r\nX-Forwarded-Proto: http\r\n\r\n"
    )?;
    daemon.write_all(&body)?;
    std::io::copy(&mut daemon, &mut browser)?;
    Ok(())
}
