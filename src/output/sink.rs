//! The sink: rows in order, with what the format wants before, between and after them.

use std::io::{BufWriter, Write};

use super::format::{Format, delimited, delimited_field};
use super::target::{Target, write_error};
use super::{chart, table};
use crate::error::Result;
use crate::memory::{Budget, Reservation};

/// Takes the rows of a run in order and writes them to a target.
pub struct Sink<W: Write> {
    writer: BufWriter<W>,
    format: Format,
    /// The rows of a table, which is laid out when all of them are there.
    held: Vec<u8>,
    reservation: Reservation,
    names: Option<Vec<String>>,
    look: Look,
    rows: u64,
}

/// How a table or a chart may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The columns that lines are to fit into, if that is known.
    pub width: Option<usize>,
    /// Whether escape sequences for colours are understood.
    pub color: bool,
}

impl<W: Write> Sink<W> {
    /// A sink in a format, for columns of these names.
    ///
    /// # Errors
    /// Any error of writing the header.
    pub fn new(target: W, format: Format, names: Option<Vec<String>>, budget: &Budget) -> Result<Sink<W>> {
        let mut sink = Sink {
            writer: BufWriter::with_capacity(1 << 16, target),
            format,
            held: Vec::new(),
            reservation: budget.reservation("rows of a table"),
            names,
            look: Look::default(),
            rows: 0,
        };
        if let (Some(delimiter), Some(names)) = (format.delimiter(), &sink.names) {
            let mut header = Vec::new();
            let mut writer = csv_core::WriterBuilder::new().delimiter(delimiter).build();
            for (i, name) in names.iter().enumerate() {
                if i > 0 {
                    delimited(&mut header, |buffer| writer.delimiter(buffer));
                }
                delimited_field(&mut writer, name.as_bytes(), &mut header);
            }
            delimited(&mut header, |buffer| writer.terminator(buffer));
            sink.writer.write_all(&header).map_err(write_error)?;
        }
        Ok(sink)
    }

    /// The sink, with this look of what it lays out.
    pub fn with_look(mut self, look: Look) -> Sink<W> {
        self.look = look;
        self
    }

    /// Takes rows, each with its line end.
    ///
    /// # Errors
    /// [`Output`](crate::ErrorKind::Output) or [`ClosedPipe`](crate::ErrorKind::ClosedPipe) when writing fails,
    /// [`Resource`](crate::ErrorKind::Resource) when a table grows beyond the memory limit.
    pub fn write(&mut self, rows: &[u8]) -> Result<()> {
        match self.format {
            Format::Jsonl | Format::Csv | Format::Tsv => self.writer.write_all(rows).map_err(write_error),
            Format::Json => {
                for row in rows.split_inclusive(|&byte| byte == b'\n') {
                    let before: &[u8] = if self.rows == 0 { b"[\n" } else { b",\n" };
                    self.rows += 1;
                    self.writer.write_all(before).map_err(write_error)?;
                    self.writer.write_all(row.trim_ascii_end()).map_err(write_error)?;
                }
                Ok(())
            }
            Format::Table | Format::Markdown | Format::Chart => {
                self.reservation.resize((self.held.len() + rows.len()) * 2)?;
                self.held.extend_from_slice(rows);
                Ok(())
            }
        }
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// As [`write`](Sink::write).
    pub fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(write_error)
    }

    /// The target, to which nothing is left to be handed on.
    ///
    /// # Errors
    /// As [`write`](Sink::write).
    pub fn writer(&mut self) -> Result<&mut W> {
        self.flush()?;
        Ok(self.writer.get_mut())
    }

    /// Writes what the format wants at the end, and gives the target back.
    ///
    /// # Errors
    /// As [`write`](Sink::write), and [`Usage`](crate::ErrorKind::Usage) if the rows are none that a chart can show.
    pub fn finish(mut self) -> Result<W> {
        let end = match self.format {
            Format::Json if self.rows == 0 => b"[]\n".to_vec(),
            Format::Json => b"\n]\n".to_vec(),
            Format::Table => table::layout(&self.held, self.names.as_deref(), self.look.width).into_bytes(),
            Format::Chart => chart::draw(&self.held, self.names.as_deref(), self.look)?.into_bytes(),
            Format::Markdown => table::markdown(&self.held, self.names.as_deref()).into_bytes(),
            Format::Jsonl | Format::Csv | Format::Tsv => Vec::new(),
        };
        self.writer.write_all(&end).map_err(write_error)?;
        self.writer.into_inner().map_err(|err| write_error(err.into_error()))
    }
}

impl Sink<Target> {
    /// [`finish`](Sink::finish), then makes the output visible under its name.
    ///
    /// # Errors
    /// As [`write`](Sink::write), and when the file cannot be put in its place.
    pub fn commit(self) -> Result<()> {
        self.finish()?.commit()
    }
}
