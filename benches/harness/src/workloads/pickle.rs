//! Records serialised to a file in one piece, and read back in one piece.
//!
//! Python's pickle is stood in for by a binary serde format; what matters here is the same: the whole text of
//! the file lies in memory beside the records.

use std::fs;

use super::record::Record;
use crate::Result;
use crate::lines;
use crate::report::Task;
use crate::stage::Stage;

const FILE: &str = "records.pickle";

pub fn write(stage: &mut Stage) -> Result<()> {
    let count = stage.count(1_000_000);
    let path = stage.scratch(FILE);
    lines! { stage;
        let records: Vec<Record> = (0..count).map(Record::nth).collect();
        let pickled = postcard::to_stdvec(&records)?;
        fs::write(&path, &pickled)?;
        drop(pickled);
        drop(records);
    }
    stage.idle(0);
    Ok(())
}

pub fn prepare(task: &Task) -> Result<()> {
    let records: Vec<Record> = (0..task.count(1_000_000)).map(Record::nth).collect();
    fs::write(task.prepared.join(FILE), postcard::to_stdvec(&records)?)?;
    Ok(())
}

pub fn read(stage: &mut Stage) -> Result<()> {
    let path = stage.prepared(FILE);
    lines! { stage;
        let pickled = fs::read(&path)?;
        let records: Vec<Record> = postcard::from_bytes(&pickled)?;
        drop(pickled);
        drop(records);
    }
    stage.idle(0);
    Ok(())
}
