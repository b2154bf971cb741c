use super::*;

fn of(text: &str) -> Vec<Dependency> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, state) = (words.next().unwrap(), words.next().unwrap());
        let children: Vec<&str> = words.collect();
        format!(
            "{name}\t{state}\t/b/{name}\t/d/{name}\t{}\tmix\t1.0.0\t0a\n",
            children.join(" ")
        )
    };
    parse(&text.lines().map(line).collect::<String>()).unwrap()
}

/// Compiles everything with this many VMs. The length of a dependency's name is its duration in seconds. Returns the
/// start time of each.
fn run(mut queue: Queue, vms: usize) -> Vec<(String, usize)> {
    let mut starts = Vec::new();
    let mut ends: Vec<(usize, usize)> = Vec::new();
    let mut now = 0;
    loop {
        let next = if ends.len() < vms {
            queue.next()
        } else {
            Next::Wait
        };
        match next {
            Next::Compile(at, job) => {
                ends.push((now + job.name.len(), at));
                starts.push((job.name, now));
            }
            Next::Done => return starts,
            Next::Wait => {
                ends.sort_unstable_by(|one, other| other.cmp(one));
                let (end, at) = ends.pop().expect("something is being compiled");
                now = end;
                queue.done(at);
            }
        }
    }
}

fn queue(text: &str, mentions: &[(usize, usize)]) -> Queue {
    let mentions = mentions.iter().copied().collect();
    let seconds = |dependency: &Dependency| f64::from(u8::try_from(dependency.name.len()).unwrap());
    Queue::new(&of(text), &mentions, seconds)
}

fn started(list: &[(&str, usize)]) -> Vec<(String, usize)> {
    list.iter()
        .map(|(name, at)| ((*name).to_owned(), *at))
        .collect()
}

#[test]
fn longest_path_starts_first() {
    let text = "a compile\nbb compile\nccccc compile a\ndddd compile bb";
    let all = queue(text, &[]);
    assert!((all.longest_path() - 6.0).abs() < 0.01);
    assert_eq!(
        run(all, 2),
        started(&[("a", 0), ("bb", 0), ("ccccc", 1), ("dddd", 2)])
    );
    // After a, bb has the longest remaining path.
    assert_eq!(
        run(queue(text, &[]), 1),
        started(&[("a", 0), ("bb", 1), ("ccccc", 3), ("dddd", 8)])
    );
}

#[test]
fn compiled_dependency_is_found_but_not_compiled() {
    let mut queue = queue("a compiled\nb compiled a\nc compile b", &[]);
    let Next::Compile(_, job) = queue.next() else {
        panic!("c is ready");
    };
    assert_eq!(job.finds, ["a", "b"].map(str::to_owned).into());
    assert_eq!((queue.next(), queue.len()), (Next::Wait, 1));
}

#[test]
fn users_of_local_dependency_are_left_to_mix() {
    let queue = queue("own local\na compile own\nb compile a\nc compile", &[]);
    assert_eq!(run(queue, 2), started(&[("c", 0)]));
}

#[test]
fn mentioned_package_is_compiled_first() {
    let text = "jason compile\nweb compile";
    assert_eq!(
        run(queue(text, &[]), 2),
        started(&[("jason", 0), ("web", 0)])
    );
    assert_eq!(
        run(queue(text, &[(0, 1)]), 2),
        started(&[("jason", 0), ("web", 5)])
    );
}

#[test]
fn command_of_app_runs_while_nothing_else_is_compiled() {
    let text = "cmd alone\nbb compile\nccc compile\nd compile cmd";
    let all = run(queue(text, &[]), 3);
    assert_eq!(all, started(&[("ccc", 0), ("bb", 0), ("cmd", 3), ("d", 6)]));
}

#[test]
fn abandoned_queue_ends_with_running_tasks() {
    let mut queue = queue("a compile\nb compile", &[]);
    let Next::Compile(at, _) = queue.next() else {
        panic!("a is ready");
    };
    queue.abandon();
    assert_eq!(queue.running().count(), 1);
    assert_eq!(queue.next(), Next::Wait);
    queue.done(at);
    assert_eq!(queue.next(), Next::Done);
}

#[test]
fn unknown_line_is_rejected() {
    assert_eq!(parse("a\tcompile\t/b\t/d\t\tmix\t1.0.0\n"), None);
    assert_eq!(parse("a\tother\t/b\t/d\t\tmix\t1.0.0\t0a\n"), None);
}
