//! The table of commands, QEMU's schema, the README and the pages of `docs/commands/` say the same.

use std::{collections::BTreeMap, fs, path::Path};

use agent_core::{COMMANDS, Command, Field, Needs, Response};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The schema's own way to write a type has quotation marks.
fn plain(name: &str) -> String {
    name.replace('\'', "")
}

/// `name: type, name?: type`
fn signature(arguments: &[Field]) -> String {
    let one = |field: &Field| {
        let optional = if field.optional { "?" } else { "" };
        format!("{}{optional}: {}", field.name, plain(field.r#type.name))
    };
    arguments.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The lines of QEMU's schema as facts, in their columns.
fn qemu() -> Vec<Vec<String>> {
    let text = read("tests/corpus/qga-schema.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('|').map(|column| column.trim().to_owned()).collect()).collect()
}

#[test]
fn every_command_of_qemu_has_its_row() {
    let expected: Vec<_> = qemu().into_iter().map(|columns| columns[..5].to_vec()).collect();
    let rows: Vec<_> = COMMANDS
        .iter()
        .map(|command| {
            let answered = match command.response {
                Response::Silent => "not answered",
                Response::Line | Response::Delimited => "",
            };
            [
                command.name.to_owned(),
                command.since.to_owned(),
                signature(command.arguments),
                plain(command.returns),
                answered.to_owned(),
            ]
            .to_vec()
        })
        .collect();
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(row, expected);
    }
    assert_eq!(rows.len(), expected.len());
}

/// What QEMU 2.3 could be asked can be asked still: the same names, of the same types or wider ones.
#[test]
fn the_schema_of_2015_is_all_there() {
    let mut count = 0;
    for columns in qemu() {
        let (name, then) = (&columns[0], &columns[5]);
        if then.is_empty() {
            continue;
        }
        count += 1;
        let command = COMMANDS.iter().find(|command| command.name == *name).unwrap();
        let now = format!("{} -> {}", signature(command.arguments), plain(command.returns));
        match then.as_str() {
            "yes" => {}
            // `whence` may be a word by now, and the outcome of a trim is told.
            "handle: int, offset: int, whence: int -> GuestFileSeek" => {
                assert_eq!(now, then.replace("whence: int", "whence: GuestFileWhence"));
            }
            "minimum?: int ->" => assert_eq!(now, format!("{then} GuestFilesystemTrimResponse")),
            other => panic!("{name}: {other}"),
        }
    }
    assert_eq!(count, 29, "QEMU 2.3 has 29 commands");
}

fn capability(command: &Command) -> String {
    match command.needs {
        Needs::Nothing => String::new(),
        Needs::FilesystemsOrIdentity => "`Filesystems` or `Identity`".to_owned(),
        Needs::Suspend(_) => "`Suspend`".to_owned(),
        needs => format!("`{needs:?}`"),
    }
}

/// The rows of the README's table by command, without the columns of the images, and the page that
/// each links to.
fn readme() -> BTreeMap<String, (String, String)> {
    let mut rows = BTreeMap::new();
    for line in read("README.md").lines() {
        let Some(row) = line.strip_prefix("| [guest-") else { continue };
        let (name, rest) = row.split_once("](").unwrap();
        let (page, rest) = rest.split_once(") | ").unwrap();
        let columns: Vec<&str> = rest.split(" | ").take(4).collect();
        let twice = rows.insert(format!("guest-{name}"), (page.to_owned(), columns.join(" | ")));
        assert!(twice.is_none(), "guest-{name} is twice in the README");
    }
    rows
}

#[test]
fn the_readme_has_every_row() {
    let mut readme = readme();
    for command in COMMANDS {
        let signature = signature(command.arguments);
        let arguments = if signature.is_empty() { signature } else { format!("`{signature}`") };
        let expected = [command.since, &arguments, &plain(command.returns), &capability(command)];
        let row = readme.remove(command.name).map(|(_, row)| row);
        assert_eq!(row, Some(expected.join(" | ")), "{}", command.name);
    }
    assert!(readme.is_empty(), "there are no such commands: {:?}", readme.keys());
}

#[test]
fn every_command_is_on_its_page() {
    let readme = readme();
    let lacks: Vec<String> =
        COMMANDS.iter().flat_map(|command| lacks(command, &readme[command.name].0)).collect();
    assert!(lacks.is_empty(), "{}", lacks.join("\n"));
}

/// What a page should say of a command and does not.
fn lacks(command: &Command, page: &str) -> Vec<String> {
    let text = read(page);
    let heading = format!("\n## {} ({})\n", command.name, command.since);
    let mut parts = text.split(&heading);
    let (Some(_), Some(rest), None) = (parts.next(), parts.next(), parts.next()) else {
        return vec![format!("{page}: {heading:?} must be there once")];
    };
    let section = rest.split("\n## ").next().unwrap();
    let members = command.arguments.iter().flat_map(|field| field.r#type.members);
    let mut wanted: Vec<String> = command.arguments.iter().chain(members).map(described).collect();
    wanted.push("**Returns**".to_owned());
    if !command.arguments.is_empty() {
        wanted.push("**Arguments**".to_owned());
    }
    wanted.retain(|wanted| !section.contains(wanted));
    // That may stand above, for the whole page, and this at its end.
    let of_page = capability(command);
    let of_page = of_page.split(" or ").chain(["\n## What differs from qemu-ga\n"]);
    wanted.extend(of_page.filter(|part| !text.contains(part)).map(str::to_owned));
    wanted.iter().map(|wanted| format!("{page}, {}: no {wanted}", command.name)).collect()
}

/// How a page begins to describe an argument.
fn described(field: &Field) -> String {
    let what = match plain(field.r#type.name).as_str() {
        "[str]" => "a list of str".to_owned(),
        name if name.starts_with('[') => "a list of structures".to_owned(),
        // An alternate, whose page says what it may be.
        name if name.starts_with("Guest") => String::new(),
        name => name.to_owned(),
    };
    format!("`{}`, {what}", field.name)
}
