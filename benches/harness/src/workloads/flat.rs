//! The records as text, a line each: written and read as a stream, so that no second copy lies in memory.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};

use super::record::Record;
use crate::Result;
use crate::lines;
use crate::report::Task;
use crate::stage::Stage;

const FILE: &str = "records.txt";

pub fn write(stage: &mut Stage) -> Result<()> {
    let count = stage.count(1_000_000);
    let path = stage.scratch(FILE);
    lines! { stage;
        let records: Vec<Record> = (0..count).map(Record::nth).collect();
        let mut file = BufWriter::new(File::create(&path)?);
        for record in &records {
            writeln!(file, "{} {} {}", record.ratio, record.name, record.number)?;
        };
        file.flush()?;
        drop(file);
        drop(records);
    }
    stage.idle(0);
    Ok(())
}

pub fn prepare(task: &Task) -> Result<()> {
    let mut file = BufWriter::new(File::create(task.prepared.join(FILE))?);
    for record in (0..task.count(1_000_000)).map(Record::nth) {
        writeln!(file, "{} {} {}", record.ratio, record.name, record.number)?;
    }
    file.flush()?;
    Ok(())
}

pub fn read(stage: &mut Stage) -> Result<()> {
    let path = stage.prepared(FILE);
    lines! { stage;
        let file = BufReader::new(File::open(&path)?);
        let mut records = Vec::new();
        for line in file.lines() {
            records.push(Record::parse(&line?)?);
        };
        drop(records);
    }
    stage.idle(0);
    Ok(())
}
