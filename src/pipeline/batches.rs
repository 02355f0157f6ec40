//! Batches of records for a closure.

use super::{Callbacks, Pipeline, failure};
use crate::error::Result;
use crate::exec::{Callbacks as Worker, Failure, Found, Summary};
use crate::record::Record;

impl Pipeline<'_> {
    /// Calls a closure with the records that pass the filters, in batches of at most
    /// [`batch_records`](Pipeline::batch_records), each of which is not empty and in the order of its file. Batches come
    /// in order only where there is one file and one thread.
    ///
    /// An error of the closure ends the run; its place is the batch's first record, unless it is one of
    /// [`Record::deserialize`]. Batches that come later in the input may have been given to the closure before.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use foldl::Pipeline;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct User<'a> {
    ///     country: &'a str,
    /// }
    ///
    /// let danes = AtomicU64::new(0);
    /// let summary = Pipeline::files(["fixtures/users.jsonl"]).batch_records(100).for_each_batch(|batch| {
    ///     for record in batch {
    ///         let user: User = record.deserialize()?;
    ///         danes.fetch_add(u64::from(user.country == "DK"), Ordering::Relaxed);
    ///     }
    ///     Ok::<(), foldl::Error>(())
    /// })?;
    /// assert_eq!((danes.into_inner(), summary.used), (19, 1000));
    /// # Ok::<(), foldl::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`fold`](Pipeline::fold).
    pub fn for_each_batch<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        self,
        callback: impl Fn(&[Record<'_>]) -> Result<(), E> + Send + Sync,
    ) -> Result<Summary> {
        let (run, callbacks) = self.open()?;
        let (result, summary) = run.call(|| Batches { callbacks: &callbacks, callback: &callback });
        result.map(|_| summary)
    }
}

struct Batches<'c, 'a, F> {
    callbacks: &'c Callbacks<'a, ()>,
    callback: &'c F,
}

impl<E, F> Worker for Batches<'_, '_, F>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
    F: Fn(&[Record<'_>]) -> Result<(), E> + Send + Sync,
{
    fn work(&mut self, found: &Found<'_>) -> Result<u64, Failure> {
        let call = |batch: &mut Vec<Record<'_>>| {
            if let Some(first) = batch.first() {
                (self.callback)(batch).map_err(|error| failure(found, first, error.into()))?;
                batch.clear();
            }
            Ok(())
        };
        let mut used = 0;
        let mut batch = Vec::new();
        for record in found.records() {
            if self.callbacks.passes(&record).map_err(|error| failure(found, &record, error))? {
                used += 1;
                batch.push(record);
                if batch.len() == self.callbacks.batch_records {
                    call(&mut batch)?;
                }
            }
        }
        call(&mut batch)?;
        Ok(used)
    }
}
