//! Erlang terms in files that Mix and the compiler write: compared by value.

use eetf::{FixInteger, Term};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{Cursor, Read};

/// Chunks that hold one term: debug information, documentation, and what Elixir's type checker keeps.
const TERMS: [&[u8]; 3] = [b"Dbgi", b"Docs", b"ExCk"];

/// Whether the chunks of two `.beam` files are equal. The form is that of `beam_lib`: `FOR1`, a length,
/// `BEAM`, and chunks of a name, a length and bytes up to a multiple of four.
pub(super) fn equal_beams(one: &[u8], other: &[u8]) -> bool {
    let (Some(one), Some(other)) = (chunks(one), chunks(other)) else {
        return false;
    };
    one.len() == other.len()
        && one.iter().all(|(name, bytes)| {
            other.get(name).is_some_and(|found| {
                found == bytes
                    || TERMS.contains(name)
                        && decode(found).is_some()
                        && decode(found) == decode(bytes)
                    || *name == b"LitT"
                        && literals(found).is_some()
                        && literals(found) == literals(bytes)
            })
        })
}

fn chunks(file: &[u8]) -> Option<BTreeMap<&[u8], &[u8]>> {
    let mut rest = file.strip_prefix(b"FOR1")?.get(8..)?;
    let mut chunks = BTreeMap::new();
    while !rest.is_empty() {
        let (name, behind) = rest.split_at_checked(4)?;
        let (length, behind) = behind.split_at_checked(4)?;
        let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
        chunks.insert(name, behind.get(..length)?);
        rest = behind.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(chunks)
}

fn decode(bytes: &[u8]) -> Option<Term> {
    Term::decode(Cursor::new(bytes)).ok()
}

/// The literals of a module: a size, then in zlib's form a count, and each with its size.
fn literals(chunk: &[u8]) -> Option<Vec<Term>> {
    let mut text = Vec::new();
    flate2::read::ZlibDecoder::new(chunk.get(4..)?)
        .read_to_end(&mut text)
        .ok()?;
    let mut rest = text.get(4..)?;
    let mut literals = Vec::new();
    while let Some((size, behind)) = rest.split_at_checked(4) {
        let size = usize::try_from(u32::from_be_bytes(size.try_into().ok()?)).ok()?;
        literals.push(decode(behind.get(..size)?)?);
        rest = &behind[size..];
    }
    Some(literals)
}

/// Whether two manifests of Mix's compiler are equal but for times, the order of atoms in lists, and what
/// Mix brings up to date only with the next compilation that has something to do: the exports of path
/// dependencies, and the lock (`local_exports` and `deps_config` in
/// lib/mix/lib/mix/compilers/elixir.ex). Before Elixir 1.15, modules and sources are lists in the order
/// in which the compiler was done with each.
pub(super) fn equal_compiler_manifests(one: &[u8], other: &[u8]) -> bool {
    let lasting = |bytes: &[u8]| match without_times(decode(bytes)?) {
        Term::Tuple(tuple) => {
            let has_lock = |term: &Term| {
                let lock = Term::from(eetf::Atom::from("lock"));
                matches!(term, Term::Map(map) if map.map.contains_key(&lock))
            };
            let fields = tuple.elements.into_iter().enumerate();
            let fields = fields.filter(|(at, field)| *at != 3 && !has_lock(field));
            Some(
                fields
                    .map(|(at, field)| (at, sorted_records(field)))
                    .collect::<Vec<_>>(),
            )
        }
        _ => None,
    };
    let one = lasting(one);
    one.is_some() && one == lasting(other)
}

/// A list of records by their first field: the name of a module, or the path of a source.
fn sorted_records(term: Term) -> Term {
    let first = |term: &Term| match term {
        Term::Tuple(tuple) => tuple.elements.get(1).map(ToString::to_string),
        _ => None,
    };
    match term {
        Term::List(mut list) => {
            list.elements.sort_by_key(first);
            list.into()
        }
        term => term,
    }
}

/// Whether two tables of the modules of each application are equal for all applications in both, but for path
/// dependencies: what Elixir before 1.15 has in place of a cache. Mix brings the table up to date only with the
/// next compilation that has something to do (`prepare` in
/// `lib/mix/lib/mix/compilers/application_tracer.ex`). Each file also holds the identifier, the owner and the
/// memory of the VM's own table, and its objects in the order of their hashes.
pub(super) fn equal_app_tables(one: &[u8], other: &[u8]) -> bool {
    let (Some(mut one), Some(mut other)) = (app_table(one), app_table(other)) else {
        return false;
    };
    for table in [&mut one, &mut other] {
        table.remove(&eetf::Atom::from("shared").into());
    }
    let elixir = Term::from(eetf::Atom::from("elixir"));
    one.contains_key(&elixir)
        && one
            .iter()
            .all(|(app, modules)| other.get(app).is_none_or(|found| found == modules))
}

/// The objects `{{application, App}, Modules}` and `{Module, App}` of each application.
fn app_table(file: &[u8]) -> Option<HashMap<Term, HashSet<Term>>> {
    let of_the_vm = 1;
    let mut apps: HashMap<Term, HashSet<Term>> = HashMap::new();
    for object in logged(file)?.into_iter().skip(of_the_vm) {
        let Term::Tuple(tuple) = &object else {
            return None;
        };
        let app = match tuple.elements.first()? {
            Term::Tuple(key) => key.elements.get(1)?,
            _ => tuple.elements.get(1)?,
        };
        apps.entry(app.clone()).or_default().insert(object.clone());
    }
    Some(apps)
}

/// The terms in a file of Erlang's `disk_log` that was closed: eight bytes, then each term with its size
/// and four bytes that mark it (`lib/kernel/src/disk_log_1.erl`; larger ones have a digest too).
fn logged(file: &[u8]) -> Option<Vec<Term>> {
    let mut rest = file.strip_prefix(&[1, 2, 3, 4, 99, 88, 77, 11])?;
    let mut terms = Vec::new();
    while !rest.is_empty() {
        let (size, behind) = rest.split_at_checked(4)?;
        let behind = behind.strip_prefix(&[98, 87, 76, 65])?;
        let size = usize::try_from(u32::from_be_bytes(size.try_into().ok()?)).ok()?;
        terms.push(decode(behind.get(..size)?)?);
        rest = &behind[size..];
    }
    Some(terms)
}

/// Whether two caches of the modules of each application are equal but for those of path dependencies.
/// Mix lists those as they were before it has compiled them (`lib/mix/lib/mix/app_loader.ex`).
pub(super) fn equal_app_caches(one: &[u8], other: &[u8]) -> bool {
    let others = |bytes: &[u8]| match without_times(decode(bytes)?) {
        Term::Tuple(tuple) => match tuple.elements.into_iter().nth(1)? {
            Term::Map(mut map) => {
                map.map.remove(&eetf::Atom::from("shared").into());
                Some(map)
            }
            _ => None,
        },
        _ => None,
    };
    let one = others(one);
    one.is_some() && one == others(other)
}

/// Whether two files hold terms that are equal but for the order of atoms in lists, and times: seconds since 1970, or a
/// date and a time of day.
pub(super) fn equal_but_for_times(one: &[u8], other: &[u8]) -> bool {
    let [one, other] = [one, other].map(|bytes| decode(bytes).map(without_times));
    one.is_some() && one == other
}

fn without_times(term: Term) -> Term {
    let all = |terms: Vec<Term>| terms.into_iter().map(without_times).collect::<Vec<_>>();
    match term {
        // 2017 to 2033.
        Term::FixInteger(number) if (1_500_000_000..2_000_000_000).contains(&number.value) => {
            FixInteger::from(0).into()
        }
        // Of the keys of maps, whose order is that of the VM's atoms.
        Term::List(mut list)
            if list
                .elements
                .iter()
                .all(|term| matches!(term, Term::Atom(_))) =>
        {
            list.elements.sort_by_key(ToString::to_string);
            list.into()
        }
        Term::List(list) => eetf::List::from(all(list.elements)).into(),
        Term::ImproperList(list) => Term::ImproperList(eetf::ImproperList {
            elements: all(list.elements),
            last: Box::new(without_times(*list.last)),
        }),
        Term::Tuple(tuple) if is_date(&tuple) => FixInteger::from(0).into(),
        Term::Tuple(tuple) => eetf::Tuple::from(all(tuple.elements)).into(),
        Term::Map(map) => {
            let map = map.map.into_iter();
            let map = map.map(|(key, value)| (without_times(key), without_times(value)));
            Term::Map(eetf::Map { map: map.collect() })
        }
        term => term,
    }
}

/// `{{2026, 11, 28}, {6, 2, 43}}`.
fn is_date(tuple: &eetf::Tuple) -> bool {
    tuple.elements.len() == 2
        && tuple.elements.iter().all(|part| {
            let Term::Tuple(part) = part else {
                return false;
            };
            let is_number = |term: &Term| matches!(term, Term::FixInteger(_));
            part.elements.len() == 3 && part.elements.iter().all(is_number)
        })
}
