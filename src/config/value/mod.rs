//! The values of keys: each is parsed once, while the configuration is read, into the type that the
//! program uses, and says what is wrong with it.

mod address;
mod attribute;
mod expression;
mod filter;
mod limit;
mod list;
mod mailbox;
mod network;
mod number;
mod pattern;
mod period;
mod socket;
mod template;
mod text;
mod window;
mod zone;

pub use address::{Address, FtrackAddress, MailServerAddress, PageAddress, is_loopback, listen};
pub use attribute::{Base, GroupDn, attribute, is_attribute};
pub use expression::CronExpression;
pub use filter::{Asserted, Filter};
pub use limit::Limit;
pub use list::List;
pub use mailbox::MailAddress;
pub use network::Network;
pub use number::Number;
pub use pattern::Pattern;
pub use period::{CENTURY, DAY, HOUR, Period, SECOND, YEAR};
pub use socket::{is_socket, sockets};
pub use template::{Source, Template};
pub use text::{Line, check_name, line, line_problem};
pub use window::Day;
pub use zone::Zone;
