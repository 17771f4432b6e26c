//! Lists: a table that a phone shows as cards, filters above it, and links to the pages beside this one.

use serde_json::{Value, json};

use crate::base::clock::Timestamp;
use crate::flow::directory::{Leaf, Turn};
use crate::http::pages::{Reply, Visit};
use crate::page::form::Form;

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
    asks: Vec<Value>,
    form: Form,
    secret: Option<Value>,
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
            asks: Vec::new(),
            form: Form::default(),
            secret: None,
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

    /// A day to search by. Gives what was typed.
    pub(super) fn day(&mut self, visit: &Visit<'_>, name: &'static str, label: &str) -> String {
        let day = self.search(visit, name, label);
        if let Some(filter) = self.filters.last_mut() {
            filter["kind"] = "date".into();
        }
        day
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
        let option = |value: &&'c str| (*value, visit.say(&format!("{label}_options.{value}")));
        let options: Vec<_> = values.iter().map(option).collect();
        self.chosen(visit, name, label, &options)
    }

    /// As [`List::choice`], among values that come with their texts.
    pub(super) fn chosen<'c>(
        &mut self,
        visit: &Visit<'_>,
        name: &'static str,
        label: &str,
        options: &[(&'c str, String)],
    ) -> &'c str {
        let asked = visit.asked(name);
        let first = options.first().map_or("", |(value, _)| value);
        let chosen = options.iter().map(|(value, _)| *value).find(|value| *value == asked);
        let chosen = chosen.unwrap_or(first);
        let option = |(value, text): &(&str, String)| json!({ "value": value, "text": text, "chosen": *value == chosen });
        let options: Vec<_> = options.iter().map(option).collect();
        self.filters.push(json!({ "name": name, "label": visit.say(label), "options": options }));
        self.asked.push((name, chosen.to_owned()));
        chosen
    }

    /// A button above the list that leads somewhere.
    pub(super) fn action(&mut self, visit: &Visit<'_>, text: &str, href: &str) {
        self.actions.push(json!({ "text": visit.say(text), "href": href }));
    }

    /// A form above the list with one field or none: `does` is what its button says as `do`. The texts are
    /// `administration.ask.<does>`, and of the field `administration.field.<name>`.
    pub(super) fn ask(&mut self, visit: &Visit<'_>, does: &str, name: Option<&str>) {
        let label = name.map(|name| visit.say(&format!("administration.field.{name}")));
        let text = visit.say(&format!("administration.ask.{does}"));
        self.asks.push(json!({ "do": does, "text": text, "name": name, "label": label }));
    }

    /// What was typed into such a form, and what is wrong with it.
    pub(super) fn form(&mut self, form: Form) {
        self.form = form;
    }

    /// Something that is shown this once, and what it is.
    pub(super) fn secret(&mut self, text: &str, secret: &str) {
        self.secret = Some(json!({ "text": text, "secret": secret }));
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
            "asks": self.asks,
            "form": self.form.view(),
            "secret": self.secret,
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

/// A cell with several buttons, as [`button`] makes them.
pub(super) fn buttons(buttons: &[Value]) -> Value {
    json!({ "buttons": buttons.iter().map(|cell| &cell["button"]).collect::<Vec<_>>() })
}

/// A cell with a button: `administration.button.<text>`, for what `whose` names.
pub(super) fn button(visit: &Visit<'_>, name: &str, value: &str, text: &str, whose: &str) -> Value {
    let text = visit.say(&format!("administration.button.{text}"));
    let label = format!("{text}: {whose}");
    let button = json!({ "name": name, "value": value, "text": text, "label": label });
    json!({ "button": button, "buttons": [button] })
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
