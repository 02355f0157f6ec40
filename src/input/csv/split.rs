//! Where rows end.

use std::sync::Arc;

use memchr::{memchr, memchr_iter, memrchr};

use super::{Bad, Columns, fields, without_end};
use crate::error::{Error, ErrorKind, Result};
use crate::scan::Reason;

/// Finds the ends of rows in a buffer that is filled bit by bit. All positions are those of the buffer.
pub(in crate::input) struct Splitter {
    delimiter: u8,
    header: bool,
    /// Known from the first row on.
    columns: Option<Arc<Columns>>,
    /// The size of a block.
    block: usize,
    /// The most rows of a block, so that the lines that are made of it have a bounded length.
    most: usize,
    /// The rows before `start`.
    rows: usize,
    /// Where the row in progress begins.
    start: usize,
    /// What is before was looked at.
    at: usize,
    state: State,
    /// The end of the header, if it is in the buffer.
    skip: usize,
    bad: Vec<Bad>,
}

/// Where in a row a splitter is.
#[derive(Clone, Copy)]
enum State {
    Unquoted,
    Quoted {
        /// Where the quote is that opened the field.
        opened: usize,
    },
    /// On the first line of a row that is wrong.
    Wrong(Bad),
}

impl Splitter {
    /// A splitter of a buffer whose first row begins at `start`.
    pub(in crate::input) fn new(delimiter: u8, header: bool, block: usize, start: usize) -> Splitter {
        Splitter {
            delimiter,
            header,
            columns: None,
            block,
            most: usize::MAX,
            rows: 0,
            start,
            at: start,
            state: State::Unquoted,
            skip: start,
            bad: Vec::new(),
        }
    }

    /// Looks at what is new in the buffer, and gives the end of the last whole row, or of the last that a block may have.
    /// `ended` says that nothing follows: all that is there are rows then.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the header is wrong.
    pub(in crate::input) fn advance(&mut self, text: &[u8], ended: bool) -> Result<usize> {
        while self.rows < self.most {
            match self.state {
                State::Unquoted => {
                    let quote = memchr(b'"', &text[self.at..]).map(|quote| self.at + quote);
                    let end = quote.unwrap_or(text.len());
                    if self.end_rows(text, end)? {
                        continue;
                    }
                    match quote {
                        Some(quote) => {
                            if quote == self.start || text[quote - 1] == self.delimiter {
                                self.state = State::Quoted { opened: quote };
                            }
                            self.at = quote + 1;
                        }
                        None if ended && self.start < end => self.end_row(text, end)?,
                        None => break,
                    }
                }
                State::Quoted { opened } => match self.close(text, ended) {
                    Close::Closed(end) => {
                        self.at = end;
                        self.state = State::Unquoted;
                    }
                    Close::Wrong(quote) => self.wrong(text, opened, quote, Reason::TextAfterQuote)?,
                    Close::Open if ended => self.wrong(text, opened, text.len(), Reason::UnterminatedQuote)?,
                    Close::Open => break,
                },
                State::Wrong(bad) => match memchr(b'\n', &text[self.at..]) {
                    Some(newline) => self.end_bad_row(text, self.at + newline + 1, bad)?,
                    None if ended => self.end_bad_row(text, text.len(), bad)?,
                    None => {
                        self.at = text.len();
                        break;
                    }
                },
            }
        }
        Ok(self.start)
    }

    /// The row in progress is longer than is allowed. If that is for want of a quote, only its first line is wrong: says
    /// whether it is so, and there is more to look at.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if it is the header.
    pub(in crate::input) fn give_up(&mut self, text: &[u8]) -> Result<bool> {
        match self.state {
            State::Quoted { opened } if memchr(b'\n', &text[self.start..]).is_some() => {
                self.wrong(text, opened, text.len(), Reason::UnterminatedQuote)?;
                Ok(true)
            }
            _ if self.columns.is_none() && self.header => Err(wrong_header("is longer than the longest line")),
            _ => Ok(false),
        }
    }

    /// Forgets the buffer up to `end`; all of it, if the rest of the row in progress is dropped. Gives what is needed to
    /// make rows of it: the columns, where the first row begins, and the rows that are wrong.
    pub(in crate::input) fn take(&mut self, end: usize, dropped: bool) -> (Arc<Columns>, usize, Vec<Bad>) {
        let taken = (self.columns.clone().unwrap_or_default(), self.skip, std::mem::take(&mut self.bad));
        self.rows = 0;
        self.start = 0;
        self.skip = 0;
        self.at = self.at.saturating_sub(end);
        if dropped {
            self.at = 0;
            self.state = State::Unquoted;
        }
        if let State::Quoted { opened } = &mut self.state {
            *opened -= end;
        }
        if let State::Wrong(bad) = &mut self.state {
            bad.start -= end;
        }
        taken
    }

    /// Looks for the quote that closes a field.
    fn close(&mut self, text: &[u8], ended: bool) -> Close {
        while let Some(quote) = memchr(b'"', &text[self.at..]) {
            let quote = self.at + quote;
            let closed = match (text.get(quote + 1), text.get(quote + 2)) {
                (Some(b'"'), _) => {
                    self.at = quote + 2;
                    continue;
                }
                (Some(b'\n'), _) | (Some(b'\r'), Some(b'\n')) => true,
                (Some(&byte), _) if byte == self.delimiter => true,
                (None, _) | (Some(b'\r'), None) if ended => true,
                (None, _) | (Some(b'\r'), None) => {
                    self.at = quote;
                    return Close::Open;
                }
                _ => false,
            };
            return if closed { Close::Closed(quote + 1) } else { Close::Wrong(quote) };
        }
        self.at = text.len();
        Close::Open
    }

    /// Ends the rows whose newlines are from `at` up to `end`. Says whether it stopped before `end`.
    fn end_rows(&mut self, text: &[u8], end: usize) -> Result<bool> {
        let region = &text[self.at..end];
        let Some(last) = memrchr(b'\n', region) else {
            self.at = end;
            return Ok(false);
        };
        if self.columns.is_none() {
            let first = memchr(b'\n', region).unwrap_or(last);
            self.end_row(text, self.at + first + 1)?;
            return Ok(true);
        }
        let count = memchr_iter(b'\n', &region[..last]).count() + 1;
        let wanted = count.min(self.most - self.rows);
        let last = if wanted < count { memchr_iter(b'\n', region).nth(wanted - 1).unwrap_or(last) } else { last };
        self.rows += wanted;
        self.start = self.at + last + 1;
        self.at = if wanted < count { self.start } else { end };
        Ok(wanted < count)
    }

    /// Ends one row.
    fn end_row(&mut self, text: &[u8], end: usize) -> Result<()> {
        let row = without_end(&text[self.start..end]);
        self.start = end;
        self.at = end;
        self.rows += 1;
        if self.columns.is_none() && !row.is_empty() {
            let names = fields(row, self.delimiter);
            let columns = if self.header {
                if names.iter().any(|name| std::str::from_utf8(name).is_err()) {
                    return Err(wrong_header("is not UTF-8"));
                }
                self.skip = end;
                Columns::new(&names)
            } else {
                Columns::unnamed(names.len())
            };
            self.most = (self.block.saturating_mul(4) / columns.overhead()).max(1);
            self.columns = Some(Arc::new(columns));
        }
        Ok(())
    }

    fn end_bad_row(&mut self, text: &[u8], end: usize, bad: Bad) -> Result<()> {
        if self.columns.is_none() && self.header {
            let what = match bad.reason {
                Reason::UnterminatedQuote => "has a quote that is not closed",
                _ => "has text after a closing quote",
            };
            return Err(wrong_header(what));
        }
        let line = without_end(&text[self.start..end]).len();
        self.bad.push(Bad { at: bad.at.min(line), ..bad });
        self.start = end;
        self.at = end;
        self.rows += 1;
        self.state = State::Unquoted;
        Ok(())
    }

    /// The field that was opened with one quote goes wrong at another, or at the end of the text.
    fn wrong(&mut self, text: &[u8], opened: usize, quote: usize, reason: Reason) -> Result<()> {
        let start = self.start;
        match memchr(b'\n', &text[start..quote]) {
            Some(newline) => self.end_bad_row(text, start + newline + 1, Bad { start, reason, at: opened - start }),
            None => {
                let at = if reason == Reason::TextAfterQuote { quote + 1 } else { opened };
                self.at = quote;
                self.state = State::Wrong(Bad { start, reason, at: at - start });
                Ok(())
            }
        }
    }
}

/// Whether a quoted field closes.
enum Close {
    /// It does before this place.
    Closed(usize),
    /// Something is wrong after this quote.
    Wrong(usize),
    /// Not in what is there.
    Open,
}

fn wrong_header(what: &str) -> Error {
    Error::new(ErrorKind::Input, format!("the header {what}"))
        .hint("--no-header reads the first row as a record; --input-format says what else the input is")
}
