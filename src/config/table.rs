//! Declares a table of the configuration once, for its two forms: as it is written, where every key
//! may be absent, and as the program uses it, where nothing is missing.

/// From the value of a key as it is written to the value that the program uses.
pub trait Complete<C> {
    /// `None` when it is missing or wrong, which is a finding.
    fn complete(self) -> Option<C>;
}

impl<C> Complete<C> for C {
    fn complete(self) -> Option<C> {
        Some(self)
    }
}

impl<C> Complete<C> for Option<C> {
    fn complete(self) -> Option<C> {
        self
    }
}

/// Declares the keys of a table: `key: written => used = default`. The attributes and the
/// description belong to the written form, from which the schema is made. A key without `=>` exists
/// only in the written form. The used form is declared as well where it is introduced by `struct`.
///
/// The written form gets `complete()`, and is made from the used one to be shown.
macro_rules! table {
    (
        $(#[$meta:meta])*
        struct $Written:ident => struct $Used:ident {
            $( $(#[$attribute:meta])* $key:ident: $W:ty $(=> $C:ty)? = $default:expr, )*
        }
    ) => {
        #[doc = concat!("What the program uses of `", stringify!($Written), "`, which describes the keys.")]
        #[derive(Debug, Clone)]
        #[allow(missing_docs, reason = "the written form describes the keys")]
        pub struct $Used {
            $( $( pub $key: $C, )? )*
        }

        table! {
            $(#[$meta])*
            struct $Written => $Used {
                $( $(#[$attribute])* $key: $W $(=> $C)? = $default, )*
            }
        }
    };
    (
        $(#[$meta:meta])*
        struct $Written:ident => $Used:ident {
            $( $(#[$attribute:meta])* $key:ident: $W:ty $(=> $C:ty)? = $default:expr, )*
        }
    ) => {
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields, expecting = "a table")]
        $(#[$meta])*
        pub struct $Written {
            $( $(#[$attribute])* pub $key: $W, )*
        }

        impl Default for $Written {
            fn default() -> Self {
                Self { $( $key: $default, )* }
            }
        }

        impl $Written {
            /// `None` when a value is missing.
            pub fn complete(self) -> Option<$Used> {
                Some($Used {
                    $( $( $key: $crate::config::table::Complete::<$C>::complete(self.$key)?, )? )*
                })
            }
        }

        impl From<$Used> for $Written {
            #[allow(clippy::needless_update, reason = "some tables have keys of the written form alone")]
            fn from(used: $Used) -> Self {
                Self {
                    $( $( $key: <$C as Into<$W>>::into(used.$key), )? )*
                    ..Self::default()
                }
            }
        }
    };
}

pub(in crate::config) use table;
