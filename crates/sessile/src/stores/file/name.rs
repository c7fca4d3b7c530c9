//! How a session's file is called.

use std::borrow::Cow;
use std::path::is_separator;

/// Node's `fileExtension`.
const PLAIN: &str = ".json";
/// Marks a name that spells an id another way, so that it is no other id's name. Node
/// has no such files: it would look for the id in a folder of that name.
const SPELLED: &str = ".json%";

/// Returns the name of the file of the session `id`: a name, never a path.
///
/// It is `<id>.json` as in Node, but for ids that no file can be called.
pub(super) fn of_id(id: &str) -> String {
    if id.chars().any(needs_spelling) {
        let spelled = id.replace('%', "%25").replace('/', "%2F").replace('\\', "%5C");
        return format!("{}{SPELLED}", spelled.replace('\0', "%00"));
    }
    format!("{id}{PLAIN}")
}

/// Returns the id of the session whose file is called `name`; `None` for other files.
pub(super) fn to_id(name: &str) -> Option<Cow<'_, str>> {
    let id = match name.strip_suffix(SPELLED) {
        Some(spelled) => {
            let id = spelled.replace("%00", "\0").replace("%5C", "\\").replace("%2F", "/");
            Cow::Owned(id.replace("%25", "%"))
        }
        None => Cow::Borrowed(name.strip_suffix(PLAIN)?),
    };
    (of_id(&id) == name).then_some(id)
}

fn needs_spelling(c: char) -> bool {
    c == '\0' || is_separator(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_name_and_never_a_path() {
        for (id, name) in [
            ("Y7tQm0JcVb-1s_2d", "Y7tQm0JcVb-1s_2d.json"),
            ("", ".json"),
            (".", "..json"),
            ("..", "...json"),
            ("a.json", "a.json.json"),
            ("a%2Fb", "a%2Fb.json"),
            ("a/b", "a%2Fb.json%"),
            ("../a%", "..%2Fa%25.json%"),
            ("/etc/passwd", "%2Fetc%2Fpasswd.json%"),
            ("a\0", "a%00.json%"),
            ("%2F/", "%252F%2F.json%"),
        ] {
            assert_eq!(of_id(id), name);
            assert_eq!(to_id(name).as_deref(), Some(id));
        }
    }

    #[test]
    fn other_files_are_no_sessions() {
        // The last is what write-file-atomic leaves of a write that was interrupted.
        for name in ["", "json", "a.txt", ".sessile", "a.json%", "a%2fb.json%", "a.json.1234"] {
            assert_eq!(to_id(name), None, "{name}");
        }
    }
}
