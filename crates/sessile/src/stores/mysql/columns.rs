//! What a table calls its columns.

use sessile_core::StoreError;

use super::layout::{MysqlLayout, quote};

/// The longest name that the server takes, in characters.
const MAX_CHARS: usize = 64;

/// The names of columns that are not the layout's own.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    pub(super) expiry: Option<String>,
    pub(super) id: Option<String>,
    pub(super) record: Option<String>,
}

impl Columns {
    /// Returns what the id, the record and the expiry are called in a table of `layout`.
    pub(super) fn names(&self, layout: MysqlLayout) -> [&str; 3] {
        self.each(layout).map(|(own, usual)| own.unwrap_or(usual))
    }

    /// Returns the [`names`](Self::names) as SQL. The layout's own need no quotes.
    pub(super) fn sql(&self, layout: MysqlLayout) -> [String; 3] {
        self.each(layout).map(|(own, usual)| own.map_or_else(|| usual.to_owned(), quote))
    }

    fn each(&self, layout: MysqlLayout) -> [(Option<&str>, &'static str); 3] {
        [
            (self.id.as_deref(), layout.id()),
            (self.record.as_deref(), layout.record()),
            (self.expiry.as_deref(), layout.expiry()),
        ]
    }

    /// Tells whether Node's package can have such names, and a table such columns.
    pub(super) fn check(&self, layout: MysqlLayout) -> Result<(), StoreError> {
        let names = self.names(layout);
        let [id, record, expiry] = names;
        let fixed = [layout.record(), layout.expiry()];
        if layout == MysqlLayout::ConnectSessionKnex && [record, expiry] != fixed {
            return Err(StoreError::failed(
                "connect-session-knex always calls its columns sess and expired: leave out \
                 with_record_column and with_expiry_column, or choose the layout \
                 ExpressMysqlSession",
            ));
        }
        names.into_iter().try_for_each(check)?;
        if is_same(id, record) || is_same(id, expiry) || is_same(record, expiry) {
            return Err(StoreError::failed(format!(
                "the columns {names:?} need a name each that no other has"
            )));
        }
        Ok(())
    }
}

/// Tells whether two names are one column's: upper and lower case are the same to MySQL.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Tells whether a column can have this name.
fn check(name: &str) -> Result<(), StoreError> {
    let wrong = if name.is_empty() {
        "is empty: leave it out, or name a column"
    } else if name.chars().count() > MAX_CHARS {
        "is longer than the 64 characters of a name in MySQL: shorten it"
    } else if name.ends_with(' ') {
        "ends with a blank, as no name in MySQL does: remove it"
    } else if name.contains(|c| c == '\0' || c > '\u{ffff}') {
        "has a letter that no name in MySQL has, NUL or one beyond U+FFFF: remove it"
    } else {
        return Ok(());
    };
    Err(StoreError::failed(format!("the column name {name:?} {wrong}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::mysql::layout::{Records, Statements};

    const LAYOUTS: [MysqlLayout; 2] =
        [MysqlLayout::ConnectSessionKnex, MysqlLayout::ExpressMysqlSession];

    fn columns(id: &str, record: &str, expiry: &str) -> Columns {
        let [id, record, expiry] = [id, record, expiry].map(|name| Some(name.to_owned()));
        Columns { expiry, id, record }
    }

    fn refused(columns: &Columns, layout: MysqlLayout) -> String {
        columns.check(layout).unwrap_err().to_string()
    }

    #[test]
    fn the_names_of_a_layout_need_no_quotes_and_others_get_them() {
        let [knex, express] = LAYOUTS.map(|layout| Columns::default().sql(layout));
        assert_eq!(knex, ["sid", "sess", "expired"]);
        assert_eq!(express, ["session_id", "data", "expires"]);
        assert_eq!(columns("key", "a`b", "a b").sql(LAYOUTS[1]), ["`key`", "`a``b`", "`a b`"]);
    }

    #[test]
    fn other_names_change_nothing_else() {
        let (usual, others) = (Columns::default(), columns("x1", "x2", "x3"));
        for layout in LAYOUTS {
            let [usual, others] = [usual.sql(layout), others.sql(layout)];
            let renamed = |sql: &str| {
                others
                    .iter()
                    .zip(&usual)
                    .fold(sql.to_owned(), |sql, (other, usual)| sql.replace(other.as_str(), usual))
            };
            assert_eq!(renamed(&layout.columns(&others, "c")), layout.columns(&usual, "c"));
            for records in [Records::Json, Records::Text] {
                let theirs = Statements::new(layout, &others, records, "t");
                let ours = Statements::new(layout, &usual, records, "t");
                assert_eq!(theirs.every().map(renamed), ours.every());
            }
        }
    }

    #[test]
    fn what_node_cannot_name_is_refused_under_knex() {
        let [knex, express] = LAYOUTS;
        columns("id", "body", "ends").check(express).unwrap();
        columns("id", "sess", "expired").check(knex).unwrap();
        for columns in [columns("sid", "body", "expired"), columns("sid", "sess", "ends")] {
            let why = refused(&columns, knex);
            assert!(why.starts_with("connect-session-knex always calls its columns"), "{why}");
        }
    }

    #[test]
    fn a_name_that_no_column_can_have_is_refused_with_advice() {
        let long = "é".repeat(MAX_CHARS);
        columns(&long, "a\\b`'\";:c ?", "Ж").check(LAYOUTS[1]).unwrap();
        for (name, advice) in [
            ("", "name a column"),
            (&*format!("{long}é"), "shorten it"),
            ("data ", "remove it"),
            ("a\0b", "remove it"),
            ("🦀", "remove it"),
        ] {
            for columns in [columns(name, "data", "expires"), columns("session_id", "b", name)] {
                let why = refused(&columns, LAYOUTS[1]);
                assert!(why.starts_with("the column name \"") && why.ends_with(advice), "{why}");
            }
        }
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        for columns in [columns("a", "A", "b"), columns("a", "b", "a"), columns("b", "é", "É")] {
            let why = refused(&columns, LAYOUTS[1]);
            assert!(why.ends_with("need a name each that no other has"), "{why}");
        }
        let expires = Columns { id: Some("Expired".to_owned()), ..Columns::default() };
        assert!(expires.check(LAYOUTS[0]).is_err());
    }
}
