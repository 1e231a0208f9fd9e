//! The daemon's pages: the real daemon over plain HTTP, and in a real browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod acting;
mod begun;
mod browsing;
pub mod chromium;
mod proxy;
mod reading;
mod signing_in;

use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
};

use crate::{
    daemon::{Daemon, LIMIT},
    rules::leave,
    slapd::{free_port, wait_until},
    studio::{Studio, person},
};

/// The token that may act.
pub const TOKEN: &str = "0f4c-token-of-the-coordinator";
/// The token that may look.
pub const GUEST: &str = "77aa-token-of-the-guest";

/// A daemon with its pages.
pub struct Pages {
    pub studio: Studio,
    pub daemon: Daemon,
    pub port: u16,
}

/// A name that would be markup.
pub const HOSTILE: &str = "<script>alert(1)</script> \"><img src=x onerror=alert(2)> '\u{202e}";

/// The configuration of both tokens.
const TOKENS: &str = "tokens = [{ name = \"coordinator\", token_file = \"web-token\", may = [\"read\", \"act\"] }, \
                      { name = \"guest\", token_file = \"guest-token\", may = [\"read\"] }]\n";

/// A synced studio of ten, of whom three left and are held, and one has a hostile name.
pub fn held() -> Studio {
    let studio = Studio::empty();
    for number in 0..10 {
        let last = if number == 0 {
            HOSTILE.to_owned()
        } else {
            format!("Last{number}")
        };
        studio
            .tree()
            .add(person(&format!("user{number}"), "Given", &last))
            .unwrap();
    }
    studio.sync();
    for number in 0..3 {
        leave(&studio, &format!("user{number}"));
    }
    studio.sync();
    studio
}

impl Pages {
    /// The pages of a studio, with both tokens.
    pub fn of(studio: Studio) -> Self {
        Self::with(studio, "127.0.0.1", TOKENS)
    }

    /// The pages of a studio at an address.
    pub fn with(mut studio: Studio, address: &str, tokens: &str) -> Self {
        let port = free_port();
        let job = studio.job.clone();
        studio = studio.for_a_daemon(&job);
        fs::write(studio.folder().join("web-token"), format!("{TOKEN}\n")).unwrap();
        fs::write(studio.folder().join("guest-token"), format!("{GUEST}\n")).unwrap();
        studio.top += &format!("[http]\nlisten = \"{address}:{port}\"\n{tokens}");
        let daemon = Daemon::start(&studio);
        let pages = Self {
            studio,
            daemon,
            port,
        };
        let is_ready = || pages.browser().get("readyz").status == 200;
        assert!(wait_until(LIMIT, is_ready));
        pages
    }

    /// A browser on this machine.
    pub fn browser(&self) -> Browser {
        Browser {
            address: (Ipv4Addr::LOCALHOST, self.port).into(),
            host: format!("127.0.0.1:{}", self.port),
            more: String::new(),
            cookie: String::new(),
        }
    }

    /// The same, signed in with a token.
    pub fn signed_in(&self, token: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.sign_in(token);
        assert_eq!(answer.status, 303, "{answer:?}");
        browser
    }

    /// How many of the studio's people are active.
    pub fn active(&self) -> usize {
        let users = self.studio.ftrack().users();
        users
            .iter()
            .filter(|user| user.is_active && user.username.starts_with("user"))
            .count()
    }
}

/// A plain HTTP client that keeps one cookie.
#[derive(Clone)]
pub struct Browser {
    pub address: SocketAddr,
    pub host: String,
    /// Further headers of each request.
    pub more: String,
    pub cookie: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Browser {
    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET /{path} HTTP/1.1\r\n{}\r\n", self.headers()))
    }

    /// A form of a page of the daemon.
    pub fn post(&self, path: &str, form: &str) -> Answer {
        self.post_from(path, form, &format!("Origin: http://{}\r\n", self.host))
    }

    /// A form with these headers about where it comes from.
    pub fn post_from(&self, path: &str, form: &str, origin: &str) -> Answer {
        self.ask(&format!(
            "POST /{path} HTTP/1.1\r\n{}{origin}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            self.headers(),
            form.len()
        ))
    }

    /// A form of a page, with the secret of the page.
    pub fn act(&self, path: &str, form: &str) -> Answer {
        let csrf = self.csrf();
        self.post(path, &format!("csrf={csrf}&{form}"))
    }

    /// The secret that the pages of this session have in each form.
    pub fn csrf(&self) -> String {
        let page = self.get("").body;
        let (_, rest) = page
            .split_once("name=\"csrf\" value=\"")
            .unwrap_or_default();
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    pub fn sign_in(&mut self, token: &str) -> Answer {
        let answer = self.post("sign-in", &format!("token={token}&next=holds"));
        let cookie = answer.header("set-cookie").unwrap_or_default();
        self.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        answer
    }

    fn headers(&self) -> String {
        let cookie = if self.cookie.is_empty() {
            String::new()
        } else {
            format!("Cookie: other=1; {}\r\n", self.cookie)
        };
        format!("Host: {}\r\n{}{cookie}", self.host, self.more)
    }

    fn ask(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer to {request}: {text:?}"));
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// The page, as soon as it contains this.
    pub fn when(&self, path: &str, part: &str) -> String {
        let mut page = String::new();
        let is_there = wait_until(LIMIT, || {
            page = self.get(path).body;
            page.contains(part)
        });
        assert!(is_there, "{part} is not in {page}");
        page
    }
}

impl Answer {
    /// A header that occurs once, if it does.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// An address of this machine that is not loopback, where it has one.
pub fn other_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system says by which address it would be.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}
