//! Of states: what can be had on the file system of the temporary folder is tried, the rest is judged on paper.

use super::*;

#[test]
fn every_name_is_read_as_it_is_written() {
    for cache in Cache::ALL {
        assert_eq!(cache.to_string().parse(), Ok(cache));
        assert_eq!(serde_json::to_string(&cache).unwrap(), format!("\"{cache}\""));
    }
    let error = "warm".parse::<Cache>().unwrap_err();
    assert!(error.contains("\"warm\"") && error.ends_with("hot, data-cold, cold"), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn what_was_evicted_is_gone_and_what_was_read_is_there() {
    // Not in /tmp, which may be memory.
    let place = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    for (name, len) in [("a", 1), ("b", 5000), ("c", 3 << 20), ("empty", 0)] {
        fs::write(place.path().join(name), vec![1; len]).unwrap();
    }
    let files = Files::below(&[place.path()]);
    Cache::Hot.establish(&files).unwrap();
    assert_eq!(resident(&files), Some(1.0));
    // ext4, xfs, btrfs: what lies in memory only, or is not our kernel's, may keep what it likes.
    let kind = rustix::fs::statfs(place.path()).unwrap().f_type;
    if ![0xEF53, 0x5846_5342, 0x9123_683E].contains(&(kind as i64)) {
        return;
    }
    assert!(probe(place.path()).iter().all(|refused| refused.cache != Cache::DataCold));
    Cache::DataCold.establish(&files).unwrap();
    assert_eq!(resident(&files), Some(0.0));
    assert_eq!(State::of(&files).files, 4);
    Cache::Hot.establish(&files).unwrap();
    assert_eq!(resident(&files), Some(1.0));
}

#[test]
#[cfg(target_os = "linux")]
fn a_state_that_cannot_be_had_is_refused_with_its_reason() {
    // Nothing can be written here, so nothing can be tried.
    let refused = probe(Path::new("/proc"));
    let data_cold = refused.iter().find(|refused| refused.cache == Cache::DataCold).unwrap();
    assert!(data_cold.why.contains("/proc"), "{}", data_cold.why);
    assert!(refused.iter().all(|refused| refused.cache != Cache::Hot));
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_to_ask_about_is_no_answer() {
    assert_eq!(resident(&Files::default()), None);
}

#[test]
fn a_run_is_judged_by_pages_before_and_by_the_disk_after() {
    let state = |resident| State { files: 1, bytes: 200_000_000, occupied_bytes: 100_000_000, resident };
    let read = |disk_read_bytes| Usage { disk_read_bytes, ..Usage::default() };
    let held = |cache, resident, bytes| state(resident).held(cache, &read(bytes));
    assert!(held(Cache::Hot, Some(1.0), 0) && held(Cache::Hot, None, 0));
    assert!(!held(Cache::Hot, Some(0.9), 0) && !held(Cache::Hot, Some(1.0), 50_000_000));
    for cold in [Cache::DataCold, Cache::Cold] {
        // What holes would take does not have to come from the disk.
        assert!(held(cold, Some(0.0), 100_000_000) && held(cold, None, 95_000_000));
        assert!(!held(cold, Some(0.5), 100_000_000) && !held(cold, Some(0.0), 40_000_000));
    }
}
