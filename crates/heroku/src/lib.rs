//! The classic buildpack API of Heroku, spoken by Dokku/herokuish and Gigalixir too: `detect`,
//! `compile` and `release` (devcenter.heroku.com/articles/buildpack-api).

pub mod compile;
pub mod detect;
pub mod release;
