//! Pages made of templates, in which every text is text, whatever it contains.

use std::sync::Arc;

use axum::{http::StatusCode, response::Response};
use chrono::Utc;
use chrono_tz::Tz;
use minijinja::{
    AutoEscape, Environment, Error, UndefinedBehavior, Value, context, escape_formatter,
    value::Serde,
};
use serde::Serialize;

use super::{
    Site,
    answer::{self, Answer, Refused},
    visitor::Visitor,
};
use crate::{escape::escape_control, model::readable_time::readable_time};

/// Each template with its name.
const TEMPLATES: [(&str, &str); 17] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("overview.html", include_str!("templates/overview.html")),
    ("job.html", include_str!("templates/job.html")),
    ("history.html", include_str!("templates/history.html")),
    ("run.html", include_str!("templates/run.html")),
    ("report.html", include_str!("templates/report.html")),
    ("holds.html", include_str!("templates/holds.html")),
    ("hold.html", include_str!("templates/hold.html")),
    ("changes.html", include_str!("templates/changes.html")),
    ("plan.html", include_str!("templates/plan.html")),
    ("person.html", include_str!("templates/person.html")),
    ("action.html", include_str!("templates/action.html")),
    ("actions.html", include_str!("templates/actions.html")),
    ("sign-in.html", include_str!("templates/sign-in.html")),
    ("message.html", include_str!("templates/message.html")),
    ("people.svg", include_str!("templates/people.svg")),
    ("days.svg", include_str!("templates/days.svg")),
];

/// The templates, compiled.
///
/// # Errors
/// None in practice: the templates are a part of the program.
pub(super) fn templates() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => {
            let text = Value::from(escape_control(text).into_owned());
            escape_formatter(out, state, &text)
        }
        Some(_) | None => escape_formatter(out, state, value),
    });
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

/// How a page is shown beside its own content.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Its template.
    pub template: &'static str,
    pub title: String,
    /// Which part of the navigation it is.
    pub part: &'static str,
    /// In how many seconds it is loaded again.
    pub refresh: Option<u32>,
}

impl Site {
    /// A page, made beside everything else: one with many people takes a while.
    pub(super) async fn page(
        self: &Arc<Self>,
        visitor: &Visitor,
        frame: Frame,
        content: impl Serialize + Send + 'static,
    ) -> Answer {
        let (of, whose) = (Arc::clone(self), visitor.clone());
        let make = move || of.page_with(&whose, StatusCode::OK, &frame, &content);
        self.beside(&self.renders, visitor, make).await
    }

    fn page_with(
        &self,
        visitor: &Visitor,
        status: StatusCode,
        frame: &Frame,
        content: &impl Serialize,
    ) -> Response {
        match self.rendered(visitor, frame, content) {
            Ok(page) => answer::html(status, page),
            Err(error) => answer::plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("the page cannot be made: {error:#}\n"),
            ),
        }
    }

    fn rendered(
        &self,
        visitor: &Visitor,
        frame: &Frame,
        content: &impl Serialize,
    ) -> Result<String, Error> {
        let Frame {
            template,
            title,
            part,
            refresh,
        } = frame;
        let status = self.http.commands.status();
        let zone = status.zone().unwrap_or(Tz::UTC);
        let signed_in = visitor.signed_in.as_ref();
        let csrf = signed_in.map_or("", |signed_in| &signed_in.csrf);
        let content = self.templates.get_template(template)?.render(context! {
            page => Value::from(Serde(content)),
            // Of nothing but dots and slashes.
            base => Value::from_safe_string(visitor.base.clone()),
            csrf,
            may_act => visitor.may_act(),
        })?;
        self.templates
            .get_template("layout.html")?
            .render(context! {
                title => title.as_str(),
                part => *part,
                refresh => *refresh,
                base => Value::from_safe_string(visitor.base.clone()),
                csrf,
                may_look => visitor.is_local || signed_in.is_some(),
                signed_in => signed_in.map(|signed_in| signed_in.name.as_str()),
                may_act => visitor.may_act(),
                has_tokens => !self.http.tokens().is_empty(),
                version => status.version.as_str(),
                now => readable_time(Utc::now(), &zone),
                content => Value::from_safe_string(content),
            })
    }

    /// A refusal, with what to do.
    pub(super) fn refuse(
        &self,
        visitor: &Visitor,
        status: StatusCode,
        title: &str,
        text: &str,
    ) -> Refused {
        let frame = Frame {
            template: "message.html",
            title: title.to_owned(),
            part: "",
            refresh: None,
        };
        let content = context! { title, text };
        self.page_with(visitor, status, &frame, &content).into()
    }

    /// What was asked for cannot be understood.
    pub(super) fn malformed(&self, visitor: &Visitor, why: &str) -> Refused {
        self.refuse(visitor, StatusCode::BAD_REQUEST, "Not understood", why)
    }

    /// What was asked for is not there.
    pub(super) fn missing(&self, visitor: &Visitor, what: &str) -> Refused {
        self.refuse(visitor, StatusCode::NOT_FOUND, "Not found", what)
    }

    /// The page on which people sign in, instead of the one that was asked for.
    pub(super) fn ask_to_sign_in(&self, visitor: &Visitor) -> Refused {
        self.sign_in_page(visitor, StatusCode::FORBIDDEN, &visitor.here, "")
            .into()
    }

    /// The page on which people sign in, on to another page.
    pub(super) fn sign_in_page(
        &self,
        visitor: &Visitor,
        status: StatusCode,
        next: &str,
        error: &str,
    ) -> Response {
        let frame = Frame {
            template: "sign-in.html",
            title: "Sign in".to_owned(),
            part: "",
            refresh: None,
        };
        let content = context! {
            next,
            error,
            // A browser sends no cookie from another site's link, and does from this page.
            maybe_signed_in => visitor.is_from_elsewhere,
            has_tokens => !self.http.tokens().is_empty(),
        };
        self.page_with(visitor, status, &frame, &content)
    }
}
