//! Files for spreadsheets and data lakes: CSV, XLSX, Parquet; one row a delivery, with the version of the columns.
//!
//! A file has the numbers of the first and the last record of the journal it follows from in its name, and the same rows at
//! every attempt: it is written whole once, and what reads folders by name never reads a row twice. Columns are only added;
//! when one changes its meaning, `v1` becomes `v2`.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook};

use super::{Action, Answer, Ask, At, Delivery, Memo, Pace, Step, Told, Traits};
use crate::config::export::{FileFormat, Files};
use crate::limits;

/// Version of the columns.
pub const SCHEMA: u32 = 1;

#[derive(Debug)]
pub struct Destination {
    files: Files,
    name: String,
}

impl Destination {
    pub fn new(files: Files, name: String) -> Destination {
        Destination { files, name }
    }
}

impl super::Destination for Destination {
    fn traits(&self) -> Traits {
        let (action, batch, pace) = (Action::Call, limits::EXPORT_ROWS, Pace::per_second(10, 10));
        Traits { action, batch, parallel: 1, pace, rings: false, label: true, value: true, retraction: true }
    }

    fn step(&self, batch: &[Delivery], _memo: &mut Memo, answer: Option<&Answer>, _at: &At<'_>) -> Step {
        let name = file_name(&self.name, batch, self.files.format);
        match answer {
            None => match write(batch, self.files.format, self.files.numbers) {
                Ok(body) => Step::Ask(Box::new(Ask::File { name, body })),
                Err(why) => Step::refused("file_failed", why),
            },
            Some(answer) => answer.trouble().unwrap_or_else(|| {
                let detail = format!("{name}, {} rows", batch.len());
                Step::Done(super::Done { status: "written".into(), detail, ..super::Done::default() })
            }),
        }
    }
}

fn file_name(export: &str, batch: &[Delivery], format: FileFormat) -> String {
    let seqs = || batch.iter().map(|delivery| delivery.seq);
    let (first, last) = (seqs().min().unwrap_or(0), seqs().max().unwrap_or(0));
    let (year, month, day) = batch.first().map_or((0, 0, 0), |delivery| delivery.made_at.date());
    format!("{export}-v{SCHEMA}-{year:04}{month:02}{day:02}-{first:012}-{last:012}.{}", format.name())
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Text(Option<String>),
    Whole(i64),
    Number(f64),
    Flag(bool),
}

/// Name and type of every column, as Parquet writes types.
const COLUMNS: [(&str, &str); 36] = [
    ("schema_version", "required int64"),
    ("delivery_id", "text"),
    ("action", "text"),
    ("made_at", "text"),
    ("call_id", "text"),
    ("company", "text"),
    ("pool", "text"),
    ("number", "text"),
    ("caller", "text"),
    ("started_at", "text"),
    ("answered_at", "text"),
    ("ended_at", "text"),
    ("outcome", "text"),
    ("ring_ms", "required int64"),
    ("talk_ms", "required int64"),
    ("qualified", "required boolean"),
    ("first_call", "required boolean"),
    ("label", "text"),
    ("value", "text"),
    ("currency", "text"),
    ("attribution", "text"),
    ("method", "text"),
    ("confidence", "required double"),
    ("visitor_id", "text"),
    ("source", "text"),
    ("medium", "text"),
    ("campaign", "text"),
    ("term", "text"),
    ("content", "text"),
    ("landing_page", "text"),
    ("referrer", "text"),
    ("gclid", "text"),
    ("yclid", "text"),
    ("fbclid", "text"),
    ("caller_region", "text"),
    ("recording_sha256", "text"),
];

fn row(delivery: &Delivery, told: &Told, numbers: bool) -> Vec<Cell> {
    let call = &told.call;
    let text = |text: &str| Cell::Text(Some(text.to_owned()));
    let some = |text: Option<&str>| Cell::Text(text.map(str::to_owned));
    let whole = |n: u64| Cell::Whole(i64::try_from(n).unwrap_or(i64::MAX));
    let time = |at: Option<crate::time::Wall>| Cell::Text(at.map(|at| at.to_rfc3339()));
    let caller = call.caller.as_deref().map(|caller| if numbers { caller.to_owned() } else { masked(caller) });
    let kind = serde_json::to_value(call.attribution.kind).unwrap_or_default();
    vec![
        Cell::Whole(SCHEMA.into()),
        text(&delivery.id),
        text(delivery.action.as_str()),
        time(Some(delivery.made_at)),
        text(&call.call_id.to_string()),
        text(&call.company),
        text(&call.pool),
        text(call.number.as_str()),
        Cell::Text(caller),
        time(Some(call.started_at)),
        time(call.answered_at),
        time(call.ended_at),
        some(call.outcome.map(crate::core::event::Outcome::as_str)),
        whole(call.ring_ms),
        whole(call.talk_ms),
        Cell::Flag(told.qualified),
        Cell::Flag(told.first_call),
        some(told.label.as_deref()),
        Cell::Text(told.value.as_ref().map(super::Amount::decimal)),
        some(told.value.as_ref().map(|value| value.currency.as_str())),
        some(kind.as_str()),
        text(&call.attribution.method),
        Cell::Number(call.attribution.confidence),
        some(call.attribution.visitor_id.as_deref()),
        some(told.campaign("source")),
        some(told.campaign("medium")),
        some(told.campaign("campaign")),
        some(told.campaign("term")),
        some(told.campaign("content")),
        some(told.session().and_then(|session| session.landing_page.as_deref())),
        some(told.session().and_then(|session| session.referrer.as_deref())),
        some(told.click("gclid")),
        some(told.click("yclid")),
        some(told.click("fbclid")),
        some(call.attribution.caller_region.as_deref()),
        some(call.recording.as_ref().and_then(|recording| recording.sha256.as_deref())),
    ]
}

/// All but the last two digits hidden.
pub fn masked(number: &str) -> String {
    let shown = number.chars().count().saturating_sub(2);
    number.chars().enumerate().map(|(at, c)| if at < shown && c.is_ascii_digit() { '•' } else { c }).collect()
}

fn write(batch: &[Delivery], format: FileFormat, numbers: bool) -> Result<Vec<u8>, String> {
    let rows: Vec<Vec<Cell>> =
        batch.iter().filter_map(|delivery| Some(row(delivery, delivery.told()?, numbers))).collect();
    match format {
        FileFormat::Csv => csv(&rows).map_err(|error| error.to_string()),
        FileFormat::Xlsx => xlsx(&rows, batch).map_err(|error| error.to_string()),
        FileFormat::Parquet => parquet(&rows).map_err(|error| error.to_string()),
    }
}

fn csv(rows: &[Vec<Cell>]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS.iter().map(|(name, _)| *name))?;
    for row in rows {
        writer.write_record(row.iter().map(|cell| match cell {
            Cell::Text(text) => neutral(text.as_deref().unwrap_or_default()),
            Cell::Whole(n) => n.to_string(),
            Cell::Number(n) => n.to_string(),
            Cell::Flag(flag) => flag.to_string(),
        }))?;
    }
    Ok(writer.into_inner()?)
}

/// A text that a spreadsheet would take for a formula gets an apostrophe; a telephone number is left as it is.
fn neutral(text: &str) -> String {
    let is_number = text.strip_prefix('+').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

fn xlsx(rows: &[Vec<Cell>], batch: &[Delivery]) -> Result<Vec<u8>, rust_xlsxwriter::XlsxError> {
    let mut book = Workbook::new();
    // The same bytes at every attempt: the book's date is the batch's.
    let made = batch.first().map_or(0, |delivery| delivery.made_at.seconds());
    let created = ExcelDateTime::from_timestamp(i64::try_from(made).unwrap_or(0))?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&created));
    let sheet = book.add_worksheet();
    sheet.set_name(format!("calls v{SCHEMA}"))?;
    for (column, (name, _)) in (0_u16..).zip(COLUMNS) {
        sheet.write_string(0, column, name)?;
    }
    for (line, row) in (1_u32..).zip(rows) {
        for (column, cell) in (0_u16..).zip(row) {
            match cell {
                Cell::Text(None) => continue,
                Cell::Text(Some(text)) => sheet.write_string(line, column, text)?,
                #[allow(clippy::cast_precision_loss)] // milliseconds of a call
                Cell::Whole(n) => sheet.write_number(line, column, *n as f64)?,
                Cell::Number(n) => sheet.write_number(line, column, *n)?,
                Cell::Flag(flag) => sheet.write_boolean(line, column, *flag)?,
            };
        }
    }
    book.save_to_buffer()
}

fn parquet(rows: &[Vec<Cell>]) -> Result<Vec<u8>, parquet::errors::ParquetError> {
    let fields: String = COLUMNS
        .iter()
        .map(|(name, kind)| match *kind {
            "text" => format!("optional binary {name} (UTF8);"),
            kind => format!("{kind} {name};"),
        })
        .collect();
    let schema = Arc::new(parse_message_type(&format!("message calls_v{SCHEMA} {{ {fields} }}"))?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    let mut at = 0;
    while let Some(mut column) = group.next_column()? {
        let cells = || rows.iter().filter_map(|row| row.get(at));
        match cells().next() {
            Some(Cell::Whole(_)) => {
                let values: Vec<i64> = cells().map(|cell| if let Cell::Whole(n) = cell { *n } else { 0 }).collect();
                column.typed::<Int64Type>().write_batch(&values, None, None)?;
            }
            Some(Cell::Number(_)) => {
                let values: Vec<f64> = cells().map(|cell| if let Cell::Number(n) = cell { *n } else { 0.0 }).collect();
                column.typed::<DoubleType>().write_batch(&values, None, None)?;
            }
            Some(Cell::Flag(_)) => {
                let values: Vec<bool> = cells().map(|cell| matches!(cell, Cell::Flag(true))).collect();
                column.typed::<BoolType>().write_batch(&values, None, None)?;
            }
            _ => {
                let text = |cell: &Cell| if let Cell::Text(text) = cell { text.clone() } else { None };
                let texts: Vec<Option<String>> = cells().map(text).collect();
                let levels: Vec<i16> = texts.iter().map(|text| i16::from(text.is_some())).collect();
                let values: Vec<ByteArray> =
                    texts.into_iter().flatten().map(|text| ByteArray::from(text.into_bytes())).collect();
                column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
            }
        }
        column.close()?;
        at += 1;
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
}
