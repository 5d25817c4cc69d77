//! The part of each help text that teaches by example.

/// `carrack --help`.
pub(crate) const TOP: &str = "\
Examples:
  carrack pack src -o src.crk           pack a folder into one file
  carrack list -l src.crk               what is in it
  carrack cat src.crk lib/main.rs       one file of it, without unpacking the rest
  carrack verify src.crk                prove every byte
  carrack unpack src.crk -C restored    get it all back
  carrack help pack                     everything about one command

The archive is an Arrow table too; in Python: polars.read_ipc(\"src.crk\")

Exit codes:
  0  done
  1  done with warnings: each file that changed or could not be read is named
  2  failed: nothing was made, or what was asked for is not there
  3  the archive is damaged
  130, 143  stopped by SIGINT or SIGTERM; what was begun is removed
  141  the reader of standard output went away; nothing is said about it";

/// `carrack pack --help`.
pub(crate) const PACK: &str = "\
Examples:
  carrack pack src -o src.crk
      A single folder: its contents become the archive's root.
  carrack pack src docs README.md -o project.crk
      Several inputs: each under its own last name.
  carrack pack . -C /srv/data -o data.crk
      Inputs are looked for in /srv/data; data.crk is written here.
  carrack pack src -o src.crk --level 19 --block-size 16MiB
      Smaller and slower; a larger block means more to decode for one small file.
  carrack pack src -o src.crk --level 9 --order similar
      Smaller at little cost where files resemble one another: versions, packages, vendored code.
  carrack pack src -o src.crk --codec lzma
      Smallest; several times slower to read back.
  carrack pack src -o src.crk --codec lz4
      Fastest to read back.
  carrack pack . -o ../all.crk --exclude '*.o' --exclude target --exclude-from .packignore
      Leave things out: object files anywhere, what is called target, and every line of a file.
  carrack pack src -o - | ssh host 'cat > src.crk'
      To standard output.
  carrack pack src -o src.crk --verify
      Read the archive back from the disk, and prove every byte, before it gets its name.
  carrack pack src -o src.crk --io uring --stats
      Insist on io_uring, and show how long each stage took and what the run waited for.
  carrack pack src -o src.crk --stats-out times
      All percentiles: times/pack.stages.json, and times/pack.hlog for viewers of HdrHistogram logs.

Extended attributes, access control lists and capabilities are stored too; labels of security modules (SELinux,
Smack, IMA, EVM) are not, as they say what this machine thinks of a file: how many there are is told, and --selinux
stores those of SELinux.

The bytes of an archive depend on what is packed and on --codec, --level, --filter, --block-size, --dedup,
--chunk-size, --order and --dict. --io, --readers, --direct, --slots, --slot-size, --threads and --memory-limit change how fast it is made,
not one byte of it.";

/// `carrack estimate --help`.
pub(crate) const ESTIMATE: &str = "\
Examples:
  carrack estimate src
      Size and time of an archive of src with each profile.
  carrack estimate / -x proc -x sys --profile small --sample 1GiB --budget 5min
      One profile, from a larger sample.

Sizes come with the interval that holds the truth in 95 of 100 samples. Times are those of a tree that lies in memory.";

/// `carrack unpack --help`.
pub(crate) const UNPACK: &str = "\
Examples:
  carrack unpack src.crk -C restored
      Everything, into the folder restored.
  carrack unpack src.crk docs lib/main.rs
      One folder with all below it, and one file, into the current folder.
  carrack unpack src.crk '*.rs' 'docs/**/*.md' -C out
      What matches a pattern. Quote it, so that the shell leaves it alone.
  carrack unpack backup.crk -C / --force --same-owner
      Over what is there, with the owners that were packed (as root).
  carrack unpack project-1.2.crk -C project --strip-components 1
      Without the folder on top.
  carrack unpack src.crk -C out --transform 's,^docs/,manual/,;s/\\.markdown$/.md/'
      Under other names: expressions of sed, as GNU tar takes them (basic; with the flag x extended).
  carrack unpack src.crk -C restored --stats --stats-out times
      Show how long each stage took, and write times/unpack.stages.json and times/unpack.hlog.

Patterns: * and ? stay within one name, ** crosses folders, [a-z] and {a,b} choose. A pattern without a slash is
compared with the last name of each path, one with a slash with the whole path.
What is named in an argument and is not in the archive is an error. Nothing outside the destination is ever touched.

Before anything is written, the sizes are added up and the free space of the file system is asked for: what cannot fit
is refused (--no-space-check begins anyway). For archives from strangers --max-size, --max-entries and --max-ratio say
how much they may come to, and --untrusted chooses what few honest archives exceed.

As with tar, root restores owners (by name where this machine knows it), exact permissions, access control lists,
capabilities and all attributes; others get files of their own, permissions that the umask leaves, and attributes
user.*. What the archive has and this leaves away, or the system refuses, is said once a kind with the number of
entries, and the exit code is 1, unless a flag asked for it (--no-same-permissions, --no-acls, --no-xattrs).";

/// `carrack list --help`.
pub(crate) const LIST: &str = "\
Examples:
  carrack list src.crk
      One path a line. The root folder itself is shown as a dot.
  carrack list -l src.crk 'docs/**'
      With mode, owner and group, size, time (UTC), and where links lead.
  carrack list -0 src.crk '*.rs' | xargs -0 -n1 carrack cat src.crk
      Names may hold any byte but NUL, newlines too: -0 is the safe way to hand them on.
  carrack list --json src.crk | jq -r 'select(.size > 1000000) | .path'
      One JSON object a line, exact numbers; path_raw (hexadecimal) beside a path that is not UTF-8.

On a terminal control characters in names are escaped (\\x1b) and sizes have human units; in a pipe names are raw
bytes and sizes exact.";

/// `carrack cat --help`.
pub(crate) const CAT: &str = "\
Examples:
  carrack cat src.crk lib/main.rs
      One file to standard output; only the blocks that hold it are read.
  carrack cat logs.crk 2024/01.log 2024/02.log | grep error
      Several, one behind the other.

Paths are taken as they are, without patterns. A file that cannot be given is named, the others still come, and the
exit code tells. Every block's digest is checked before a byte of it is written.";

/// `carrack verify --help`.
pub(crate) const VERIFY: &str = "\
Examples:
  carrack verify src.crk && echo intact
      Read and decode everything, and compare every digest and checksum.
  carrack verify src.crk --against src
      Then compare it with the tree: contents by digest, modes, owners, times, links, attributes. Differences: exit 1.
  carrack verify --stats src.crk
      And show how long each stage took and what the run waited for.
  carrack verify --stats-out times src.crk
      Or write it, with all percentiles: times/verify.stages.json, times/verify.hlog.

Each damage is told with its place, what was expected and what was found, and so is each path that it costs.";

/// `carrack salvage --help`.
pub(crate) const SALVAGE: &str = "\
Examples:
  carrack salvage broken.crk
      Say what could be had of it, and write nothing.
  carrack salvage broken.crk -o rest.crk
      A new archive of every entry whose contents are all there, with a new index.
  carrack salvage broken.crk -C rest
      The same entries as files.

It needs neither the beginning nor the end of the archive: frames are searched byte by byte, and each is proved by its digest. What is
lost is told by name where its name is known. Exit code 3 while anything is damaged.";

/// `carrack info --help`.
pub(crate) const INFO: &str = "\
Examples:
  carrack info src.crk
      Counts, sizes, ratio, which codecs its blocks use, and the options it was packed with.
  carrack info --json src.crk | jq .root
      The same as one JSON object, exact numbers.

A ratio is stored bytes divided by raw bytes: smaller is better.";

/// `carrack tune --help`.
pub(crate) const TUNE: &str = "\
Examples:
  carrack tune /srv/data
      A minute of trying: packs and unpacks a part of /srv/data with many settings, and remembers the best.
  carrack pack /srv/data -o data.crk --verbose
      Uses what is remembered, and says so. A flag that is given wins; --no-tune ignores all of it.
  carrack tune /srv/data --budget 10m --for pack --cache cold
      Longer, for packing what is not in memory (as root).
  carrack tune --only slots,threads
      With a generated folder; only the number and size of read buffers, and the threads.
  carrack tune src --exhaustive 3 --results results
      Every setting of the grid three times, and all runs as results/tune.json.
  carrack tune --show
      What is remembered, for which file system, and why.
  carrack tune --forget
      Forget it.

Settings are searched by successive halving; the best few are then measured again side by side with the defaults. What
is remembered changes how fast an archive is made, not one byte of it. Where nothing is surely better, the defaults stay.";

/// `carrack completions --help`.
pub(crate) const COMPLETIONS: &str = "\
Examples:
  carrack completions bash > ~/.local/share/bash-completion/completions/carrack
  carrack completions zsh > ~/.zfunc/_carrack
  carrack completions fish > ~/.config/fish/completions/carrack.fish";

/// `carrack man --help`.
pub(crate) const MAN: &str = "\
Examples:
  carrack man | man -l -
      Read the overview.
  carrack man pack | man -l -
      Read about one command.
  carrack man --out ~/.local/share/man/man1
      Write a page for every command: carrack.1, carrack-pack.1, …";
