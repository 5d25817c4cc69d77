//! The page in a real browser: it runs without a complaint, holds every mark that the data asks for, and at the widths
//! of a desk and of a telephone, in light and in dark, no text is cut off or lies upon another, and nothing overflows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::report::data;
use crate::support::{err, program};

/// Puts the checks of `layout.js` behind the page.
const LAYOUT: &str = include_str!("layout.js");

/// How long a browser may take to show a file.
const PATIENCE: Duration = Duration::from_secs(120);

/// Set where the lack of a browser must not go unnoticed.
const REQUIRED: &str = "CARRACK_REQUIRE_BROWSER";

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let places = std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    let found = places.into_iter().find(|place| place.is_file());
    if found.is_none() {
        let required = std::env::var_os(REQUIRED).is_some_and(|value| value == "1");
        assert!(!required, "{REQUIRED}=1, but there is neither {} on the PATH", names.join(" nor "));
        eprintln!("skipped: there is no Chromium to look at the page with");
    }
    found
}

/// What a page told of itself.
struct Seen {
    dom: String,
    /// What the console said.
    console: Vec<String>,
}

impl Seen {
    /// An attribute of the root element.
    fn data(&self, name: &str) -> &str {
        let root = &self.dom[..self.dom.find("<head").expect("a page has a head")];
        let from = format!("data-{name}=\"");
        root.split(&from).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("(nothing)")
    }
}

/// Opens a page in a frame of this width, as a window cannot be as narrow as a telephone. The page sends what it found
/// to the frame's parent.
fn look(browser: &Path, page: &Path, fragment: &str, width: u32) -> Seen {
    let place = tempfile::tempdir().unwrap();
    let frame = place.path().join("frame.html");
    let source = format!("file://{}#{fragment}", page.display());
    fs::write(
        &frame,
        format!(
            "<!DOCTYPE html><head><script>onmessage = (event) => Object.assign(document.documentElement.dataset, \
             event.data);</script></head><iframe width={width} height=1000 style='border: 0' src='{source}'></iframe>"
        ),
    )
    .unwrap();
    let (dom, log) = (place.path().join("dom"), place.path().join("log"));
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--enable-logging=stderr", "--v=0", "--dump-dom"])
        .arg(format!("--user-data-dir={}", place.path().join("profile").display()))
        .args(["--window-size=1400,1000", "--virtual-time-budget=10000"])
        .arg(format!("file://{}", frame.display()))
        .stdin(Stdio::null())
        .stdout(fs::File::create(&dom).unwrap())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("no answer within {PATIENCE:?}:\n{}", fs::read_to_string(&log).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let log = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    assert!(status.success(), "{status}: {log}");
    let console = log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    Seen { dom: String::from_utf8_lossy(&fs::read(&dom).unwrap()).into_owned(), console }
}

/// The report of a folder, with everything unfolded and the checks of the layout behind it.
fn page(results: &Path, place: &Path) -> PathBuf {
    let page = place.join("report.html");
    let output = program().arg("report").arg("--results").arg(results).arg("--out").arg(&page).output().unwrap();
    assert!(page.is_file(), "{}", err(&output));
    let text = fs::read_to_string(&page).unwrap();
    let open = text.replace("<details>", "<details open>").replace("class=\"inner\">", "class=\"inner\" open>");
    let checked = open.replace("</body>", &format!("<script>{LAYOUT}</script></body>"));
    assert!(checked.len() > text.len() + LAYOUT.len());
    fs::write(&page, checked).unwrap();
    page
}

fn check(seen: &Seen, what: &str, width: u32) {
    assert!(seen.console.is_empty(), "{what}: the console says {:#?}", seen.console);
    assert_eq!(seen.data("checked"), "ok", "{what}");
    assert_eq!(seen.data("window"), width.to_string(), "{what}");
    assert_eq!(seen.data("layout"), "ok", "{what}");
}

#[test]
fn a_browser_shows_every_chart_at_every_width_in_light_and_dark() {
    let Some(browser) = browser() else { return };
    let place = tempfile::tempdir().unwrap();
    let page = page(&data(), place.path());
    let mut papers = Vec::new();
    for (fragment, width) in [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)] {
        let seen = look(&browser, &page, fragment, width);
        let what = format!("{fragment}, {width} wide");
        check(&seen, &what, width);
        let number = |name: &str| seen.data(name).parse::<usize>().unwrap();
        assert!(number("charts") > 100 && number("texts") > 2000, "{what}: too little to tell anything");
        papers.push(seen.data("paper").to_owned());
    }
    assert!(papers[0] != papers[1] && papers[0] == papers[2] && papers[1] == papers[3], "{papers:?}");
}

#[test]
fn hostile_names_run_nothing_and_break_nothing() {
    let Some(browser) = browser() else { return };
    let place = tempfile::tempdir().unwrap();
    for name in ["run.json", "compare.json", "tune.json"] {
        let text = fs::read_to_string(data().join(name)).unwrap();
        // Long, without a place to break, and full of what HTML, attributes and scripts take for their own.
        let evil = "</script><script>throw 1</script>\\\"'><img src=x onerror=throw(1)>&amp;".repeat(3);
        let text = text.replace("source", &evil).replace("uring", "</title><u>uring").replace("codec", "\\u2028<b>");
        fs::write(place.path().join(name), text).unwrap();
    }
    let page = page(place.path(), place.path());
    let seen = look(&browser, &page, "light", 390);
    check(&seen, "hostile", 390);
    assert_eq!(seen.data("foreign"), "0", "markup from a document");
}
