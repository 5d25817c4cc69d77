//! The tables: rows in order, by path and by number agree; blocks in order and by number agree.

use carrack_engine::entry::Entry;
use carrack_engine::index::{BlockRow, Index, Scratch, envelope};

/// Rows that are looked up one by one at most.
const LOOKUPS: usize = 64;

/// Reads the input as an archive's tables.
pub fn check(input: &[u8]) {
    let Ok(index) = Index::open(&input) else { return };
    // So little is kept that most look-ups decode anew.
    index.keep(input.len());
    let mut blocks: Vec<BlockRow> = Vec::new();
    let each = |row: &BlockRow| {
        blocks.push(*row);
        Ok(())
    };
    let are_sound = index.for_each_block(&input, each).is_ok();
    assert!(!are_sound || blocks.len() as u64 == index.frames());
    for block in blocks.iter().take(LOOKUPS) {
        assert_eq!(index.block(&input, block.seq).ok().as_ref(), Some(block));
    }
    rows(input, &index);
    let _ = envelope::check_gaps(&input, &index);
}

fn rows(input: &[u8], index: &Index) {
    let mut rows = index.entries(&input);
    let mut number = 0;
    while let Ok(Some((at, row))) = rows.next_row() {
        assert_eq!(at, number);
        if number < LOOKUPS as u64 {
            let row = Entry::from(&row);
            let found = index.find(&input, &row.path).expect("the batch was sound").expect("the row is there");
            assert_eq!((found.number, Entry::from(&found.row(&mut Scratch::default()))), (number, row.clone()));
            let found = index.row(&input, number).expect("the row is there");
            assert_eq!(Entry::from(&found.row(&mut Scratch::default())), row);
            let below = index.below(&input, &row.path);
            assert!(below.is_err() || below.is_ok_and(|range| range.start <= range.end && range.end <= index.rows()));
        }
        number += 1;
    }
    assert!(number <= index.rows());
}
