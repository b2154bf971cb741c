//! The classic buildpack API of Heroku, Dokku/herokuish and Gigalixir: `compile` and `release`
//! (devcenter.heroku.com/articles/buildpack-api), `test-compile` and `test`
//! (devcenter.heroku.com/articles/testpack-api).

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

pub mod compile;
pub mod release;
pub mod test;
pub mod test_compile;
