//! A real browser, driven by WebDriver.

use std::{
    future::Future,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    error::CmdError,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::{ability::must_skip, daemon::LIMIT};

/// A Chromium and its driver, which is killed when it is dropped.
pub struct Chromium {
    driver: Child,
    pub client: Client,
}

/// A command of Chromium's own protocol.
#[derive(Debug)]
struct Own(&'static str, Value);

/// What the browser's console says.
#[derive(Debug)]
struct Console;

impl WebDriverCompatibleCommand for Console {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (
            http::Method::POST,
            Some(json!({"type": "browser"}).to_string()),
        )
    }
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let body = json!({"cmd": self.0, "params": self.1});
        (http::Method::POST, Some(body.to_string()))
    }
}

/// Runs a test in a browser, unless this machine has none, which is said.
pub fn browse<F: Future<Output = ()>>(test: &str, work: impl FnOnce(Client) -> F) {
    if must_skip(test, &["chromium", "chromedriver"]) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let chromium = Chromium::start().await;
        work(chromium.client.clone()).await;
        chromium.client.clone().close().await.unwrap();
    });
}

impl Chromium {
    async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let port = port.unwrap();
        // Whatever it says later finds a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let capabilities: Capabilities = json!({
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {
                "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars",
                         "--disable-gpu", "--no-first-run", "--disable-background-networking",
                         "--disable-component-update", "--force-color-profile=srgb"],
            },
        })
        .as_object()
        .unwrap()
        .clone();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        let at = format!("http://127.0.0.1:{port}");
        let client = builder.connect(&at);
        let client = tokio::time::timeout(LIMIT, client).await.unwrap().unwrap();
        Self { driver, client }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is as well.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// What a page looks like from now on: its width and height, and the person's colour scheme.
pub async fn look(client: &Client, (width, height): (u32, u32), scheme: &str) {
    let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
    let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
    for own in [
        Own("Emulation.setDeviceMetricsOverride", size),
        Own("Emulation.setEmulatedMedia", scheme),
    ] {
        client.issue_cmd(own).await.unwrap();
    }
}

/// What a script returns, which the driver runs and the page could not.
pub async fn value(client: &Client, script: &str) -> Value {
    let script = format!("return {script}");
    client.execute(&script, Vec::new()).await.unwrap()
}

/// What the browser complained of since it was asked last: errors, and what a policy refused.
pub async fn complaints(client: &Client) -> Vec<String> {
    let said = client.issue_cmd(Console).await.unwrap();
    let said = said.as_array().unwrap().iter();
    said.map(|line| line["message"].as_str().unwrap().to_owned())
        .collect()
}

/// Follows a link by its words.
pub async fn follow(client: &Client, words: &str) {
    click(client, "a", words).await;
}

/// Presses a button by its words.
pub async fn press(client: &Client, words: &str) {
    click(client, "button", words).await;
}

async fn click(client: &Client, what: &str, words: &str) {
    let path = format!("//{what}[normalize-space()='{words}']");
    let found = client
        .wait()
        .at_most(LIMIT)
        .for_element(Locator::XPath(&path));
    let found = found
        .await
        .unwrap_or_else(|error| panic!("{words}: {error}"));
    found.click().await.unwrap();
}

/// Waits until the page says this; it may load itself again meanwhile.
pub async fn says(client: &Client, words: &str) {
    let path = format!("//body[contains(., \"{words}\")]");
    let found = client
        .wait()
        .at_most(LIMIT)
        .for_element(Locator::XPath(&path));
    if let Err(error) = found.await {
        let page = client.source().await.unwrap();
        panic!("{words}: {error} in {page}");
    }
}

/// Types into a field.
pub async fn fill(client: &Client, name: &str, text: &str) {
    let field = format!("input[name={name:?}]:not([type=hidden])");
    let field = client.find(Locator::Css(&field)).await.unwrap();
    field.send_keys(text).await.unwrap();
}

/// Whether a dialogue is open, as a script of a page could open one.
pub async fn has_dialogue(client: &Client) -> bool {
    match client.get_alert_text().await {
        Ok(_) => true,
        Err(CmdError::Standard(_)) => false,
        Err(error) => panic!("{error}"),
    }
}
