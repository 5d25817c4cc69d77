use super::*;

const MIB: u64 = 1 << 20;

fn wish() -> Wish {
    Wish {
        limit: None,
        codec: Codec::default(),
        filter: FilterChoice::Auto,
        block_size: 1 << 20,
        dedup: true,
        order: Order::Path,
        dictionary: None,
        slots: None,
        slot_size: None,
        threads: None,
        cores: 4,
    }
}

fn limited(mib: u64) -> Wish {
    Wish { limit: Some(mib * MIB), ..wish() }
}

/// As much as it takes to have every slot.
fn some(entries: u64, bytes: u64) -> Tables {
    Tables { entries, bytes, most_chunks: 100, blocks: 1000, groups: 0 }
}

#[test]
fn what_fits_is_as_by_default() {
    let free = wish().settings(&some(10, 1000)).unwrap();
    assert_eq!((free.slots, free.slot_size, free.frames, free.threads), (12, 1 << 20, 10, 4));
    assert!(free.bytes < LIMIT_LEAST, "{}", free.bytes);
    assert_eq!(limited(1000).settings(&some(10, 1000)).unwrap(), free);
    assert_eq!(limited(1000).note(&some(10, 1000), &free), None);
}

#[test]
fn slots_and_frames_go_before_threads_and_nothing_exceeds_the_limit() {
    let tables = some(10, 1000);
    let mut before = wish().settings(&tables).unwrap();
    let mut seen = (false, false);
    for mib in (40..=100).rev() {
        let Ok(now) = limited(mib).settings(&tables) else { break };
        assert!(now.bytes <= mib * MIB, "{mib} MiB: {now:?}");
        assert!(now.threads <= before.threads, "{mib} MiB: {now:?} after {before:?}");
        assert!(now.slots >= 2 && now.frames >= 1);
        if now.threads > 1 {
            assert!(now.slots as usize > now.threads && now.frames > now.threads, "{now:?}");
        }
        seen.0 |= now.threads == 4 && now.slots < 12;
        seen.1 |= now.threads == 1;
        assert_eq!(limited(mib).note(&tables, &now).is_some(), now.slots < 12 || now.frames < 10 || now.threads < 4);
        before = now;
    }
    assert_eq!(seen, (true, true), "the limits went from a little too low to nothing left");
}

#[test]
fn the_default_limit_trims_but_never_fails_and_never_takes_a_thread() {
    let tables = some(10_000_000, 3000 * MIB);
    let settings = wish().settings(&tables).unwrap();
    assert_eq!((settings.slots, settings.frames, settings.threads), (6, 5, 4));
    let by_name = Wish { slots: Some(64), slot_size: Some(64 << 20), threads: Some(16), ..wish() };
    let settings = by_name.settings(&tables).unwrap();
    assert_eq!((settings.slots, settings.threads), (16, 16), "as many slots as there are loads");
}

#[test]
fn a_limit_that_cannot_be_kept_says_what_is_needed_and_what_to_lower() {
    let complaint = |wish: Wish, tables: &Tables| {
        let error = wish.settings(tables).expect_err("it cannot be kept");
        assert_eq!(error.kind(), ErrorKind::Usage);
        error.to_string()
    };
    let text = complaint(limited(8), &some(10, 1000));
    assert!(text.contains("limit of 8 MiB") && text.contains("at least"), "{text}");
    let text = complaint(limited(200), &some(1_000_000, 300 * MIB));
    assert!(text.contains("301 MiB for the tables of 1000000 entries"), "{text}");
    assert!(text.ends_with("or pack fewer entries at once"), "{text}");
    let text = complaint(Wish { block_size: 64 << 20, ..limited(200) }, &some(10, 1000));
    assert!(text.contains("2 slots of 64 MiB") && text.ends_with("use a smaller block size"), "{text}");
    let text = complaint(Wish { slots: Some(200), ..limited(200) }, &some(10, 1000));
    assert!(text.contains("200 slots of 1 MiB") && text.ends_with("ask for fewer slots"), "{text}");
    let text = complaint(Wish { slot_size: Some(100 << 20), ..limited(200) }, &some(10, 1000));
    assert!(text.ends_with("ask for smaller slots"), "{text}");
    let text = complaint(Wish { threads: Some(50), ..limited(200) }, &some(10, 1000));
    assert!(text.ends_with("ask for fewer threads"), "{text}");
    let text = complaint(Wish { codec: Codec::Zstd { level: 22 }, ..limited(50) }, &some(10, 1000));
    assert!(text.contains("at level 22") && text.ends_with("use a lower level or a smaller block size"), "{text}");
}

#[test]
fn what_cannot_fit_is_known_before_the_walk() {
    assert!(limited(8).check().is_err());
    assert!(limited(100).check().is_ok() && wish().check().is_ok());
    assert_eq!((limited(64).entries_max(), wish().entries_max()), (Some(MIB), None));
}

#[test]
fn no_wish_overflows() {
    let most = Wish {
        slots: Some(u32::MAX),
        slot_size: Some(u32::MAX),
        threads: Some(usize::MAX / 8),
        block_size: 64 << 20,
        ..wish()
    };
    let tables = Tables { entries: u64::MAX, bytes: u64::MAX / 2, most_chunks: 1 << 32, blocks: u64::MAX, groups: 8 };
    assert_eq!(most.settings(&tables).unwrap().threads, usize::MAX / 8);
    assert!(Wish { limit: Some(1), ..most }.settings(&tables).is_err());
}

#[test]
fn dictionaries_count_for_the_groups_that_may_have_one() {
    let with = Wish { dictionary: Some(256 << 10), block_size: 64 << 10, ..wish() };
    let bytes = |groups| with.settings(&Tables { groups, ..some(10, 1000) }).unwrap().bytes;
    assert_eq!(bytes(0), Wish { dictionary: None, ..with }.settings(&some(10, 1000)).unwrap().bytes);
    assert!(bytes(8) > bytes(1) + 7 * (256 << 10) && bytes(1) > bytes(0) + (256 << 10), "{} {}", bytes(1), bytes(8));
    // Where the run itself takes little, making them may take more.
    let small = Tables { blocks: 1, ..some(10, 1000) };
    let alone = Wish { threads: Some(1), block_size: 4 << 10, ..with };
    let error =
        Wish { limit: Some(40 * MIB), ..alone }.settings(&Tables { groups: 1, ..small }).unwrap_err().to_string();
    assert!(error.contains("without dictionaries"), "{error}");
    let making = alone.settings(&Tables { groups: 1, ..small }).unwrap().bytes - alone.settings(&small).unwrap().bytes;
    let kept = Dictionaries::bytes_for(&alone.dictionaries().unwrap(), 1, 10);
    assert!(making > kept + MIB, "{making}, of which {kept} are kept");
}

/// Where contents are cut into pieces, each of them may become an extent, and what is kept of files until their rows come, and
/// of their rows in the index, is counted by extents.
#[test]
fn what_pieces_may_come_to_is_counted() {
    let mut entries = Entries::default();
    let sizes = [3 << 30, 5 << 20, 700];
    let folder = std::sync::Arc::new(std::fs::File::open("/").unwrap().into());
    let mut paths = carrack_backends::path::PathTable::new();
    let base = paths.push_base(carrack_backends::path::Base { folder, skip: 0 });
    for (name, size) in ["a.sh", "b.rs", "c.sh"].into_iter().zip(sizes) {
        paths.push(base, name.as_bytes());
        entries.kinds.push(crate::entry::Kind::File);
        entries.witnesses.push(carrack_backends::witness::Witness { size, ..Default::default() });
    }
    entries.paths = std::sync::Arc::new(paths);
    let files = crate::plan::Files::by_type(&entries);
    let plan = Plan::ordered(&entries, &crate::plan::PlanOptions { block_size: 1 << 20 }, &files).unwrap();
    let wish = Wish { order: Order::Type, ..wish() };
    let bytes = |pieces| Tables::of(&entries, &plan, &wish, pieces, 0).bytes;
    let whole = bytes(None);
    for mean in [1 << 10, 16 << 10] {
        let sizes_of = PieceSizes::new(mean).unwrap();
        let pieces = sizes.iter().sum::<u64>() / u64::from(mean);
        let known = Tables::known_bytes(&plan, Some(sizes_of)) - Tables::known_bytes(&plan, None);
        let more = bytes(Some(sizes_of)) - whole - known;
        // An extent takes 12 bytes until its row is emitted, and 8 in the index.
        let expected = pieces * (12 + INDEX_EXTENT) - plan.chunks().len() as u64 * (12 + INDEX_EXTENT);
        assert!((expected..expected * 5 / 4).contains(&more), "pieces of {mean}: {more} bytes, {expected} expected");
    }
}
