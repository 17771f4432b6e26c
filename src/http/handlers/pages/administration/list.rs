//! Lists: a table that a phone shows as cards, filters above it, and links to the pages beside this one.

use serde_json::{Value, json};

use crate::base::clock::Timestamp;
use crate::flow::directory::{Leaf, Turn};
use crate::http::pages::{Reply, Visit};

/// Rows of a page: as many as keep it small.
pub(super) const ROWS: usize = 25;

/// A table: columns and rows of cells.
pub(super) struct Table {
    columns: Vec<Value>,
    rows: Vec<Value>,
}

impl Table {
    /// A table with columns of these names: `administration.column.<name>`.
    pub(super) fn new(visit: &Visit<'_>, columns: &[&str]) -> Self {
        let column = |name: &&str| json!(visit.say(&format!("administration.column.{name}")));
        Self { columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    /// One more row.
    pub(super) fn row(&mut self, cells: Vec<Value>) {
        self.rows.push(Value::Array(cells));
    }

    /// For a template.
    pub(super) fn view(self) -> Value {
        json!({ "columns": self.columns, "rows": self.rows })
    }
}

/// A page of a list about to be shown.
pub(super) struct List {
    title: &'static str,
    /// What stands in it.
    pub(super) table: Table,
    filters: Vec<Value>,
    actions: Vec<Value>,
    /// What was asked for, to ask for it again on the next page.
    asked: Vec<(&'static str, String)>,
    previous: Option<String>,
    next: Option<String>,
}

impl List {
    /// A list with columns as [`Table::new`] has them.
    pub(super) fn new(visit: &Visit<'_>, title: &'static str, columns: &[&str]) -> Self {
        Self {
            title,
            table: Table::new(visit, columns),
            filters: Vec::new(),
            actions: Vec::new(),
            asked: Vec::new(),
            previous: None,
            next: None,
        }
    }

    /// A field to search by. Gives what it holds.
    pub(super) fn search(&mut self, visit: &Visit<'_>, name: &'static str, label: &str) -> String {
        let value = visit.asked(name).trim().to_owned();
        self.filters.push(json!({ "name": name, "label": visit.say(label), "value": value }));
        self.asked.push((name, value.clone()));
        value
    }

    /// A choice among values, of which the first stands where none is chosen. Each is a text
    /// `<label>_options.<value>`. Gives what is chosen.
    pub(super) fn choice<'c>(
        &mut self,
        visit: &Visit<'_>,
        name: &'static str,
        label: &str,
        values: &[&'c str],
    ) -> &'c str {
        let asked = visit.asked(name);
        let first = values.first().copied().unwrap_or_default();
        let chosen = values.iter().copied().find(|value| *value == asked).unwrap_or(first);
        let option = |value: &&str| {
            let text = visit.say(&format!("{label}_options.{value}"));
            json!({ "value": value, "text": text, "chosen": *value == chosen })
        };
        let options: Vec<_> = values.iter().map(option).collect();
        self.filters.push(json!({ "name": name, "label": visit.say(label), "options": options }));
        self.asked.push((name, chosen.to_owned()));
        chosen
    }

    /// A button above the list that leads somewhere.
    pub(super) fn action(&mut self, visit: &Visit<'_>, text: &str, href: &str) {
        self.actions.push(json!({ "text": visit.say(text), "href": href }));
    }

    /// The links to the pages beside this one, which begin where it ends: `place` writes the place of a row.
    pub(super) fn pages<T>(
        &mut self,
        visit: &Visit<'_>,
        leaf: &Leaf<T>,
        place: impl Fn(&T) -> String,
    ) {
        let asked = self.asked.iter().filter(|(_, value)| !value.is_empty());
        let link = |name, row: Option<&T>| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(asked.clone());
            row.map(|row| {
                let query = query.append_pair(name, &place(row)).finish();
                format!("{}?{query}", visit.path)
            })
        };
        self.previous = link("before", leaf.items.first()).filter(|_| leaf.has_previous);
        self.next = link("after", leaf.items.last()).filter(|_| leaf.has_next);
    }

    /// The page.
    pub(super) fn reply(self, visit: &Visit<'_>, current: &str) -> Reply {
        let view = json!({
            "current": current,
            "title": visit.say(self.title),
            "done": super::done(visit),
            "table": self.table.view(),
            "filters": self.filters,
            "actions": self.actions,
            "previous": self.previous,
            "next": self.next,
        });
        Reply::page("administration/list.html", view)
    }
}

/// Which way to go from which place, as the links of [`List::pages`] say it. What is no place leads to the
/// beginning.
pub(super) fn turn<P>(visit: &Visit<'_>, parse: impl Fn(&str) -> Option<P>) -> Turn<P> {
    match (parse(visit.asked("after")), parse(visit.asked("before"))) {
        (Some(place), _) => Turn::After(place),
        (None, Some(place)) => Turn::Before(place),
        (None, None) => Turn::First,
    }
}

/// A cell with a text.
pub(super) fn text(text: &str) -> Value {
    json!({ "text": text })
}

/// A cell with a text of which every letter counts.
pub(super) fn code(text: &str) -> Value {
    json!({ "code": text })
}

/// A cell that leads somewhere.
pub(super) fn link(text: &str, href: &str) -> Value {
    json!({ "text": text, "href": href })
}

/// A cell with a button: `administration.button.<text>`, for what `whose` names.
pub(super) fn button(visit: &Visit<'_>, name: &str, value: &str, text: &str, whose: &str) -> Value {
    let text = visit.say(&format!("administration.button.{text}"));
    let label = format!("{text}: {whose}");
    json!({ "button": { "name": name, "value": value, "text": text, "label": label } })
}

/// A cell with a moment; empty where there is none.
pub(super) fn moment(moment: Option<Timestamp>) -> Value {
    json!({ "moment": moment.map(Timestamp::seconds) })
}

/// A cell with words that catch the eye: texts `administration.tag.<name>`.
pub(super) fn tags(visit: &Visit<'_>, names: &[&str]) -> Value {
    let said = names.iter().map(|name| visit.say(&format!("administration.tag.{name}")));
    json!({ "tags": said.collect::<Vec<_>>() })
}
