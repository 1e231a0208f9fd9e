//! A small ftrack server in memory that speaks the real protocol over HTTP.
