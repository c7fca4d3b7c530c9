//! What a table calls its columns.

use sessile_core::StoreError;

use super::layout::{PostgresLayout, quote};

/// What Node calls the column of the id.
pub(super) const ID: &str = "sid";
/// The longest name that the server takes, in bytes.
const MAX_BYTES: usize = 63;

/// The name of the column of the id, if it is not Node's own.
#[derive(Clone, Debug, Default)]
pub(super) struct IdColumn(Option<String>);

impl IdColumn {
    pub(super) fn new(name: String) -> Self {
        Self(Some(name))
    }

    pub(super) fn name(&self) -> &str {
        self.0.as_deref().unwrap_or(ID)
    }

    /// Returns the name as SQL. Node's own needs no quotes.
    pub(super) fn sql(&self) -> String {
        self.0.as_deref().map_or_else(|| ID.to_owned(), quote)
    }

    /// Tells whether Node's package can have such a name, and a table such a column.
    pub(super) fn check(&self, layout: PostgresLayout) -> Result<(), StoreError> {
        let name = self.name();
        if layout == PostgresLayout::ConnectPgSimple && name != ID {
            return Err(StoreError::failed(
                "connect-pg-simple always calls its column sid: leave out with_id_column, or \
                 choose the layout ConnectSessionKnex",
            ));
        }
        let wrong = if name.is_empty() {
            "is empty: leave it out, or name a column"
        } else if name.len() > MAX_BYTES {
            "is longer than the 63 bytes of a name in PostgreSQL, which cuts it: give what is left"
        } else if name.contains('\0') {
            "has a NUL in it, as no name in PostgreSQL has: remove it"
        } else if ["sess", layout.expiry()].contains(&name) {
            "is that of another column: choose one that no other has"
        } else {
            return Ok(());
        };
        Err(StoreError::failed(format!("the column name {name:?} {wrong}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::postgres::layout::{Expiries, Records, Shape, Statements};

    const KNEX: PostgresLayout = PostgresLayout::ConnectSessionKnex;

    fn refused(name: &str, layout: PostgresLayout) -> String {
        IdColumn::new(name.to_owned()).check(layout).unwrap_err().to_string()
    }

    #[test]
    fn nodes_own_name_needs_no_quotes_and_others_get_them() {
        assert_eq!(IdColumn::default().sql(), "sid");
        assert_eq!(IdColumn::new("user".to_owned()).sql(), r#""user""#);
        assert_eq!(IdColumn::new(r#"a"b"#.to_owned()).sql(), r#""a""b""#);
    }

    #[test]
    fn another_name_changes_nothing_else() {
        let statements = |id: IdColumn, records, expiries: &Expiries| {
            let (id, expiries) = (id.sql(), expiries.clone());
            let table = "t".to_owned();
            Statements::new(&Shape { expiries, id, layout: KNEX, records, table })
        };
        let wall = |zone: Option<&str>| Expiries::Wall { zone: zone.map(str::to_owned) };
        for records in [Records::Json, Records::Jsonb, Records::Text] {
            for expiries in [Expiries::Instant, wall(None), wall(Some("UTC"))] {
                let theirs = statements(IdColumn::new("x".to_owned()), records, &expiries);
                let ours = statements(IdColumn::default(), records, &expiries);
                let renamed = theirs.every().map(|sql| sql.replace(r#""x""#, ID));
                assert_eq!(renamed, ours.every());
            }
        }
    }

    #[test]
    fn what_node_cannot_name_is_refused_under_pg_simple() {
        let why = refused("id", PostgresLayout::ConnectPgSimple);
        assert!(why.starts_with("connect-pg-simple always calls its column sid"), "{why}");
        IdColumn::new(ID.to_owned()).check(PostgresLayout::ConnectPgSimple).unwrap();
        IdColumn::new("id".to_owned()).check(KNEX).unwrap();
    }

    #[test]
    fn a_name_that_no_column_can_have_is_refused_with_advice() {
        let long = "é".repeat(31);
        IdColumn::new(format!("{long}'")).check(KNEX).unwrap();
        for (name, advice) in [
            ("", "name a column"),
            (&*format!("{long}é"), "give what is left"),
            ("a\0b", "remove it"),
            ("sess", "choose one that no other has"),
            ("expired", "choose one that no other has"),
        ] {
            let why = refused(name, KNEX);
            assert!(why.starts_with("the column name \"") && why.ends_with(advice), "{why}");
        }
    }
}
