use carrack_backends::witness::Witness;
use proptest::prelude::*;

use super::*;
use crate::entry::Kind;

const B: u32 = 4096;

fn entries(files: &[(u64, Vec<Hole>)]) -> Entries {
    let mut entries = Entries::default();
    for (row, (size, holes)) in files.iter().enumerate() {
        entries.kinds.push(Kind::File);
        entries.witnesses.push(Witness { size: *size, ..Witness::default() });
        if !holes.is_empty() {
            entries.holes.push(row as u32, holes.clone().into_boxed_slice());
        }
    }
    entries
}

fn dense(sizes: &[u64]) -> Entries {
    entries(&sizes.iter().map(|&size| (size, Vec::new())).collect::<Vec<_>>())
}

fn plan(entries: &Entries) -> Plan {
    Plan::new(entries, &PlanOptions { block_size: B }).unwrap()
}

fn ranges(plan: &Plan) -> Vec<(u32, u64, u32, ChunkKind)> {
    plan.chunks().iter().map(|c| (c.row(), c.offset(), c.len(), c.kind())).collect()
}

fn blocks(plan: &Plan) -> Vec<Range<usize>> {
    (0..plan.blocks()).map(|k| plan.block(k)).collect()
}

#[test]
fn boundary_lengths_are_cut_at_multiples_of_the_block() {
    use ChunkKind::Data;
    let sizes = [0, 1, 4095, 4096, 4097, 8192, 8193];
    let plan = plan(&dense(&sizes));
    assert_eq!(
        ranges(&plan),
        [
            (1, 0, 1, Data),
            (2, 0, 4095, Data),
            (3, 0, 4096, Data),
            (4, 0, 4096, Data),
            (4, 4096, 1, Data),
            (5, 0, 4096, Data),
            (5, 4096, 4096, Data),
            (6, 0, 4096, Data),
            (6, 4096, 4096, Data),
            (6, 8192, 1, Data),
        ]
    );
    assert_eq!(blocks(&plan), [0..2, 2..3, 3..4, 4..5, 5..6, 6..7, 7..8, 8..9, 9..10]);
    assert_eq!(plan.block_len(0), 4096);
    let whole: Vec<bool> = plan.chunks().iter().map(Chunk::is_whole).collect();
    assert_eq!(whole, [true, true, true, false, false, false, false, false, false, false]);
    assert_eq!((plan.total_bytes(), plan.data_bytes()), (sizes.iter().sum(), sizes.iter().sum()));
}

#[test]
fn holes_become_chunks_that_take_no_room() {
    use ChunkKind::{Data, Hole as H};
    let holes = vec![Hole { offset: 4096, len: 8192 }, Hole { offset: 20480, len: 1000 }];
    let plan = plan(&entries(&[(21480, holes), (100, vec![])]));
    assert_eq!(
        ranges(&plan),
        [
            (0, 0, 4096, Data),
            (0, 4096, 8192, H),
            (0, 12288, 4096, Data),
            (0, 16384, 4096, Data),
            (0, 20480, 1000, H),
            (1, 0, 100, Data)
        ]
    );
    assert_eq!(blocks(&plan), [0..2, 2..3, 3..5, 5..6]);
    let chunks = plan.chunks();
    assert!(chunks[0].is_first() && !chunks[0].is_whole());
    assert!(chunks[3].is_last_data() && !chunks[3].is_last());
    assert!(chunks[4].is_last() && !chunks[4].is_last_data());
    assert!(chunks[5].is_whole() && chunks[5].is_last_data());
    assert_eq!((plan.total_bytes(), plan.data_bytes()), (21580, 12388));
}

#[test]
fn a_file_that_is_one_hole_is_never_read() {
    let plan = plan(&entries(&[(5000, vec![Hole { offset: 0, len: 5000 }])]));
    let [chunk] = plan.chunks() else { panic!("one chunk expected") };
    assert!(chunk.is_first() && chunk.is_last() && !chunk.is_whole() && !chunk.is_last_data());
    assert_eq!((plan.data_bytes(), plan.block_len(0), chunk.data_len()), (0, 0, 0));
}

#[test]
fn long_holes_are_spread_over_blocks() {
    let hole = 10 * HOLE_CHUNK_MAX + 4096;
    let plan = plan(&entries(&[(hole + 4096, vec![Hole { offset: 4096, len: hole }])]));
    assert_eq!(plan.chunks().len(), 12);
    for block in 0..plan.blocks() {
        let holes: u64 = plan.chunks()[plan.block(block)]
            .iter()
            .filter(|c| c.kind() == ChunkKind::Hole)
            .map(|c| u64::from(c.len()))
            .sum();
        assert!(holes <= HOLES_PER_BLOCK_MAX, "block {block} gathered {holes} bytes of holes");
    }
    assert!(plan.chunks()[2..11].iter().all(|c| c.offset() % HOLE_CHUNK_MAX == 0), "subtrees of their digest");
}

#[test]
fn nothing_is_planned_for_what_has_no_content() {
    let mut entries = dense(&[0, 700]);
    entries.kinds[1] = Kind::Hardlink;
    let plan = plan(&entries);
    assert_eq!((plan.chunks().len(), plan.blocks(), plan.total_bytes()), (0, 0, 0));
}

#[test]
fn impossible_input_is_an_error() {
    let small = |block_size| Plan::new(&dense(&[1]), &PlanOptions { block_size });
    for size in [0, 1, 2048, 4097, 1 << 27] {
        assert_eq!(small(size), Err(PlanError::BlockSize(size)));
    }
    let options = PlanOptions { block_size: limits::BLOCK_SIZE_MAX };
    let size = limits::FILE_SIZE_MAX + 1;
    assert_eq!(Plan::new(&dense(&[size]), &options), Err(PlanError::FileSize { row: 0, size }));
    // The last two rows overflow 2^64; a plan of the first two alone would hold 2^38 chunks.
    let max = limits::FILE_SIZE_MAX;
    assert_eq!(Plan::new(&dense(&[max, max, 2]), &options), Err(PlanError::TooManyBytes));
    assert_eq!(Plan::new(&dense(&[max, max, 1]), &options), Err(PlanError::TooManyChunks((1 << 38) + 1)));

    let bad: [&[Hole]; 6] = [
        &[Hole { offset: 0, len: 0 }],
        &[Hole { offset: 100, len: 3996 }],
        &[Hole { offset: 4096, len: 100 }],
        &[Hole { offset: 8192, len: 4096 }],
        &[Hole { offset: 0, len: 4096 }, Hole { offset: 4096, len: 4096 }],
        &[Hole { offset: 4096, len: u64::MAX }],
    ];
    for holes in bad {
        let offset = holes.last().unwrap().offset;
        let result = Plan::new(&entries(&[(9000, holes.to_vec())]), &PlanOptions { block_size: B });
        assert_eq!(result, Err(PlanError::Holes { row: 0, offset }), "{holes:?}");
    }
}

#[test]
fn after_duplicates_the_open_block_is_brought_back_in_step() {
    let mut filler = BlockFiller::new(B);
    assert_eq!(filler.put(3071), Put { closed: None, offset: 0 });
    assert_eq!(filler.end_of_planned(), None, "less than three quarters full");
    assert_eq!(filler.put(1), Put { closed: None, offset: 3071 });
    assert_eq!(filler.end_of_planned(), Some(3072));
    assert_eq!(filler.put(1), Put { closed: None, offset: 0 });
    assert_eq!(filler.put(B), Put { closed: Some(1), offset: 0 });
    assert_eq!((filler.close(), filler.used()), (B, 0));
}

/// A file of up to 12 pages with some of its pages missing.
fn any_file() -> impl Strategy<Value = (u64, Vec<Hole>)> {
    let dense = prop_oneof![4 => 0..3000_u64, 2 => 0..40_000_u64, 1 => Just(4096_u64), 1 => Just(8192)];
    let sparse = (prop::collection::vec(any::<bool>(), 1..12), 1..=4096_u64).prop_map(|(pages, tail)| {
        let size = (pages.len() as u64 - 1) * 4096 + tail;
        let mut holes: Vec<Hole> = Vec::new();
        for (page, _) in pages.iter().enumerate().filter(|&(_, &hole)| hole) {
            let offset = page as u64 * 4096;
            let len = (size - offset).min(4096);
            match holes.last_mut() {
                Some(last) if last.offset + last.len == offset => last.len += len,
                _ => holes.push(Hole { offset, len }),
            }
        }
        (size, holes)
    });
    prop_oneof![3 => dense.prop_map(|size| (size, Vec::new())), 1 => sparse]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_planned_once_and_in_order(
        files in prop::collection::vec(any_file(), 0..40),
        block_size in prop_oneof![Just(4096_u32), Just(8192), Just(65536)],
    ) {
        let entries = entries(&files);
        let plan = Plan::new(&entries, &PlanOptions { block_size }).unwrap();
        prop_assert_eq!(&plan, &Plan::new(&entries, &PlanOptions { block_size }).unwrap());
        prop_assert_eq!(plan.chunks.capacity(), plan.chunks.len(), "the count was not exact");

        let mut chunks = plan.chunks().iter().peekable();
        for (row, (size, holes)) in files.iter().enumerate() {
            let mut at = 0;
            let mut of_row = Vec::new();
            while let Some(chunk) = chunks.next_if(|c| c.row() as usize == row) {
                prop_assert_eq!(chunk.offset(), at);
                prop_assert!(chunk.len() > 0);
                let end = at + u64::from(chunk.len());
                let in_hole = holes.iter().any(|h| h.offset <= at && end <= h.offset + h.len);
                let meets_hole = holes.iter().any(|h| h.offset < end && at < h.offset + h.len);
                prop_assert_eq!(in_hole, meets_hole, "a chunk is half data, half hole");
                prop_assert_eq!(chunk.kind() == ChunkKind::Hole, in_hole);
                let window = u64::from(block_size);
                prop_assert!(in_hole || at / window == (end - 1) / window);
                at = end;
                of_row.push(*chunk);
            }
            prop_assert_eq!(at, *size);
            let n = of_row.len();
            let last_data = of_row.iter().rposition(|c| c.kind() == ChunkKind::Data);
            for (i, chunk) in of_row.iter().enumerate() {
                prop_assert_eq!(chunk.is_first(), i == 0);
                prop_assert_eq!(chunk.is_last(), i == n - 1);
                prop_assert_eq!(chunk.is_last_data(), Some(i) == last_data);
            }
            if holes.is_empty() && *size > 0 && *size <= u64::from(block_size) {
                prop_assert!(n == 1 && of_row[0].is_whole(), "a file that fits in a block is one chunk");
            } else {
                prop_assert!(!of_row.iter().any(Chunk::is_whole));
            }
        }
        prop_assert!(chunks.next().is_none());
        prop_assert_eq!(plan.total_bytes(), files.iter().map(|f| f.0).sum::<u64>());
        prop_assert_eq!(plan.data_bytes(), plan.chunks().iter().map(|c| u64::from(c.data_len())).sum::<u64>());
    }

    #[test]
    fn blocks_hold_all_chunks_and_close_only_when_the_next_does_not_fit(
        files in prop::collection::vec(any_file(), 0..40),
    ) {
        let plan = plan(&entries(&files));
        let mut at = 0;
        for block in blocks(&plan) {
            prop_assert_eq!(block.start, at);
            prop_assert!(block.end > at, "an empty block");
            let len: u32 = plan.chunks()[block.clone()].iter().map(Chunk::data_len).sum();
            prop_assert!(len <= B);
            if let Some(next) = plan.chunks().get(block.end) {
                prop_assert!(len + next.data_len() > B, "closed too early");
            }
            at = block.end;
        }
        prop_assert_eq!(at, plan.chunks().len());
    }

    #[test]
    fn placing_without_duplicates_gives_the_planned_blocks(files in prop::collection::vec(any_file(), 0..60)) {
        let plan = plan(&entries(&files));
        let planned: Vec<u32> = (0..plan.blocks()).map(|k| plan.block_len(k)).collect();
        let mut filler = BlockFiller::new(B);
        let mut placed = Vec::new();
        for block in blocks(&plan) {
            for chunk in &plan.chunks()[block] {
                match chunk.kind() {
                    ChunkKind::Data => {
                        let put = filler.put(chunk.len());
                        placed.extend(put.closed);
                        prop_assert_eq!(put.offset + chunk.len(), filler.used());
                    }
                    ChunkKind::Hole => placed.extend(filler.put_hole(chunk.len())),
                }
            }
            placed.extend(filler.end_of_planned());
        }
        let rest = filler.close();
        placed.extend((rest > 0).then_some(rest));
        let data = |blocks: Vec<u32>| blocks.into_iter().filter(|&len| len > 0).collect::<Vec<_>>();
        prop_assert_eq!(data(placed), data(planned));
    }
}
