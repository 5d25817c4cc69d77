# Lists what changed, from what criterion prints while it compares with kept figures: -v base=NAME.

# A benchmark's name stands before its time, or alone in the line above when it is long.
$1 ~ "/" && (NF == 1 || $2 == "time:") { name = $1; in_change = 0 }

/change:/ { in_change = 1 }

/time: / && !in_change { measured++; compared[name] = 0; order[measured] = name }

# With a throughput the change of the time has a line of its own, without one it follows the word.
in_change && /\[/ && !/thrpt:/ {
    match($0, /\[[^]]*\]/)
    change = substr($0, RSTART, RLENGTH)
}

/Performance has regressed/ { slower[++slower_count] = sprintf("  %-44s %s", name, change); compared[name] = 1 }
/Performance has improved/ { faster[++faster_count] = sprintf("  %-44s %s", name, change); compared[name] = 1 }
/Change within noise threshold|No change in performance detected/ { same++; compared[name] = 1 }

END {
    for (at = 1; at <= measured; at++)
        if (!compared[order[at]])
            fresh[++fresh_count] = "  " order[at]
    printf "\nChange of time since %s: lower bound, estimate, upper bound\n", base
    list("slower", slower, slower_count)
    list("faster", faster, faster_count)
    list("not kept in " base ", so not compared", fresh, fresh_count)
    printf "as before: %d of %d\n", same, measured
}

function list(title, lines, count,    at) {
    printf "%s: %d\n", title, count
    for (at = 1; at <= count; at++)
        print lines[at]
}
