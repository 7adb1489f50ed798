# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_timerace_global_optspecs
    string join \n format= o/out= j/jobs= color= theme= png width= q/quiet v/verbose timing h/help V/version
end

function __fish_timerace_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_timerace_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_timerace_using_subcommand
    set -l cmd (__fish_timerace_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c timerace -n "__fish_timerace_needs_command" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_needs_command" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_needs_command" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_needs_command" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_needs_command" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_needs_command" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_needs_command" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_needs_command" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_needs_command" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_needs_command" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_needs_command" -s h -l help -d 'Print help'
complete -c timerace -n "__fish_timerace_needs_command" -s V -l version -d 'Print version'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "demo" -d 'Run a built-in race; nothing else needed'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "new" -d 'Write a commented scenario to start from'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "check" -d 'Read scenarios and report every problem; run nothing'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "run" -d 'One timed, deterministic execution: what happened, and how late timers were'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "explore" -d 'Every inequivalent interleaving within the bounds, or a sample'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "replay" -d 'One schedule again, step by step'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "report" -d 'Pictures and pages of a saved result again'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "shrink" -d 'The smallest schedule, then the smallest scenario, that still shows the same finding'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "verify" -d 'Search again as a certificate says, and compare'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "test" -d 'Expectations of many scenarios, on one or more kernels'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "sweep" -d 'Run or explore a scenario over a grid of its parameters'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "conform" -d 'Play recordings of real kernels on the model and compare'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "calibrate" -d 'Fit the costs of timed runs to latency samples or traces of a real machine'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "compare" -d 'Two kernels, or two settings: verdicts, where the same schedule goes two ways, latencies'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "kernels" -d 'Versions, the fixes each has, commit ids'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "explain" -d 'Help on codes, bug classes, helpers, words of scenarios, rules of the model, kernels, built-in scenarios'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "gen" -d 'Write man pages, completions, or the reference of scenario files'
complete -c timerace -n "__fish_timerace_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c timerace -n "__fish_timerace_using_subcommand demo" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand demo" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand demo" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand demo" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand demo" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand demo" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand demo" -l list -d 'Print the names of all built-in scenarios'
complete -c timerace -n "__fish_timerace_using_subcommand demo" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand demo" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand demo" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand demo" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand demo" -s h -l help -d 'Print help'
complete -c timerace -n "__fish_timerace_using_subcommand new" -l kind -d 'What kind of scenario' -r -f -a "periodic\t'A periodic timer and its latency'
cancel\t'A cancel that races with a delete'
uref\t'The last user reference goes while a timer is armed'
lru\t'An eviction from a full LRU map meets a running callback'
raw\t'A small concurrency pattern in raw steps'"
complete -c timerace -n "__fish_timerace_using_subcommand new" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand new" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand new" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand new" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand new" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand new" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand new" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand new" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand new" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand new" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand new" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c timerace -n "__fish_timerace_using_subcommand check" -l kernel -d 'A release, a range such as v6.7..v6.9, or v6.7+0281b919e175; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand check" -l with -d 'Add a fix, by its 12-digit commit id or its name; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand check" -l without -d 'Remove a fix; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand check" -l set -d 'Replace a parameter of the scenario; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand check" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand check" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand check" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand check" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand check" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand check" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand check" -l fix -d 'Upgrade files of an older schema to the newest one; comments stay'
complete -c timerace -n "__fish_timerace_using_subcommand check" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand check" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand check" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand check" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand check" -s h -l help -d 'Print help'
complete -c timerace -n "__fish_timerace_using_subcommand run" -l set -d 'Replace a parameter of the scenario; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand run" -l kernel -d 'A release such as v6.7 or v6.1.192, or one with fixes: v6.7+0281b919e175' -r
complete -c timerace -n "__fish_timerace_using_subcommand run" -l with -d 'Add a fix, by its 12-digit commit id or its name; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand run" -l without -d 'Remove a fix; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand run" -l costs -d 'What steps cost, instead of the generic costs' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand run" -l seed -d 'All draws follow from it' -r
complete -c timerace -n "__fish_timerace_using_subcommand run" -l seeds -d 'The same for each seed, both ends included' -r
complete -c timerace -n "__fish_timerace_using_subcommand run" -l for -d 'So much virtual time, such as 10s, instead of what `stop` of the scenario says' -r
complete -c timerace -n "__fish_timerace_using_subcommand run" -l trace -d 'What tracepoints say: trace.txt in the folder of -o, or instead of the result on standard output' -r -f -a "ftrace\t'That of the kernel\'s ftrace'"
complete -c timerace -n "__fish_timerace_using_subcommand run" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand run" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand run" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand run" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand run" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand run" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand run" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand run" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand run" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand run" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l set -d 'Replace a parameter of the scenario; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l kernel -d 'A release such as v6.7 or v6.1.192, or one with fixes: v6.7+0281b919e175' -r
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l with -d 'Add a fix, by its 12-digit commit id or its name; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l without -d 'Remove a fix; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l policy -d 'Who answers at choice points' -r -f -a "exhaustive\t'Every inequivalent schedule'
random\t'Uniformly random choices'
pct\t'Random priorities with few change points'"
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l preemptions -d 'At most so many preemptions, or `all`' -r
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l irqs -d 'Ticks that may come at any point' -r
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l max-schedules -d 'Run at most this many schedules' -r
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l max-memory -d 'Most memory for each table of states, such as 512M; without it 4G' -r
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l seed -d 'Seed of random and pct' -r
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l costs -d 'What steps cost, instead of the generic costs: for `timing: Respect`, and for how wide windows are' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand explore" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand explore" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l keep-going -d 'Go on after the first schedule with a finding'
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l full -d 'Draw every step of the interleaving'
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand explore" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand explore" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand explore" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand explore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l set -d 'Replace a parameter of the scenario; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l kernel -d 'A release such as v6.7 or v6.1.192, or one with fixes: v6.7+0281b919e175' -r
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l with -d 'Add a fix, by its 12-digit commit id or its name; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l without -d 'Remove a fix; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l schedule -d 'The short text (`1x4,2x7,1`) or the path of a schedule.ron' -r
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l irqs -d 'Ticks that may come at any point, as in the search' -r
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l until -d 'Stop after this step' -r
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand replay" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand replay" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l full -d 'Print every step, also those that belong to another'
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand replay" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand replay" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand replay" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand replay" -s h -l help -d 'Print help'
complete -c timerace -n "__fish_timerace_using_subcommand report" -l only -d 'Only this file, such as race.svg; the others stay' -r
complete -c timerace -n "__fish_timerace_using_subcommand report" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand report" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand report" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand report" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand report" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand report" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand report" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand report" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand report" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand report" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand report" -s h -l help -d 'Print help'
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -l set -d 'Replace a parameter of the scenario; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -l kernel -d 'A release such as v6.7 or v6.1.192, or one with fixes: v6.7+0281b919e175' -r
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -l with -d 'Add a fix, by its 12-digit commit id or its name; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -l without -d 'Remove a fix; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -l schedule -d 'A schedule that shows it: the short text (`1x4,2x7,1`) or the path of a schedule.ron' -r
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand shrink" -s h -l help -d 'Print help'
complete -c timerace -n "__fish_timerace_using_subcommand verify" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand verify" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand verify" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand verify" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand verify" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand verify" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand verify" -l recount -d 'Count again without the reduction, where that is small enough'
complete -c timerace -n "__fish_timerace_using_subcommand verify" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand verify" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand verify" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand verify" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand verify" -s h -l help -d 'Print help'
complete -c timerace -n "__fish_timerace_using_subcommand test" -l kernel -d 'A release, a range such as v6.7..v6.9, or v6.7+0281b919e175; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand test" -l with -d 'Add a fix, by its 12-digit commit id or its name; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand test" -l without -d 'Remove a fix; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand test" -s k -d 'Only scenarios whose name contains this; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand test" -l max-schedules -d 'Run at most this many schedules of each' -r
complete -c timerace -n "__fish_timerace_using_subcommand test" -l max-memory -d 'Most memory for each table of states of each, such as 512M; without it 4G' -r
complete -c timerace -n "__fish_timerace_using_subcommand test" -l set -d 'Replace a parameter of those scenarios that have it' -r
complete -c timerace -n "__fish_timerace_using_subcommand test" -l max-cells -d 'Scenarios with parameters of several values: at most so many combinations of each' -r
complete -c timerace -n "__fish_timerace_using_subcommand test" -l shard -d 'Only the K-th of N parts; a case keeps its part when others come and go' -r
complete -c timerace -n "__fish_timerace_using_subcommand test" -l junit -d 'Write JUnit XML' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand test" -l sarif -d 'Write SARIF, with a code flow for each interleaving' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand test" -l annotations -d 'Say failures where a CI system shows them at their lines; auto: under GitHub Actions' -r -f -a "auto\t'GitHub, under GitHub Actions'
github\t'GitHub: `::error` lines, and the matrix in the step summary'
none\t'Nobody'"
complete -c timerace -n "__fish_timerace_using_subcommand test" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand test" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand test" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand test" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand test" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand test" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand test" -l ktap -d 'Print KTAP instead of the table'
complete -c timerace -n "__fish_timerace_using_subcommand test" -l allow-inconclusive -d 'Exit with 0 although a bound was hit before all was decided'
complete -c timerace -n "__fish_timerace_using_subcommand test" -l ksft-exit -d 'Exit codes of kselftest: 0 pass, 1 fail, 4 skip'
complete -c timerace -n "__fish_timerace_using_subcommand test" -l bless -d 'Write the `golden:` digests of the named scenarios anew, and show what is different; not in CI'
complete -c timerace -n "__fish_timerace_using_subcommand test" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand test" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand test" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand test" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l set -d 'Replace a parameter of the scenario; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l axis -d 'A parameter with its values, instead of those of the file: NAME=FROM..TO/STEP or NAME=VALUE,VALUE; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l kernel -d 'A release, a range such as v6.7..v6.9, or v6.7+0281b919e175; several are an axis of their own' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l with -d 'Add a fix, by its 12-digit commit id or its name; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l without -d 'Remove a fix; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l mode -d 'What to do in each cell; without it, scenarios with `stop:` are run, all others explored' -r -f -a "run\t'Timed runs'
explore\t'Searches'"
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l policy -d 'Who answers at choice points' -r -f -a "exhaustive\t'Every inequivalent schedule'
random\t'Uniformly random choices'
pct\t'Random priorities with few change points'"
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l preemptions -d 'At most so many preemptions, or `all`' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l irqs -d 'Ticks that may come at any point' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l max-schedules -d 'Run at most this many schedules' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l max-memory -d 'Most memory for each table of states, such as 512M; without it 4G' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l seed -d 'Seed of random and pct' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l seeds -d 'Timed runs: one for each seed, both ends included, instead of one with --seed' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l costs -d 'Timed runs: what steps cost, instead of the generic costs' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l keep-going -d 'Go on after the first schedule with a finding'
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand sweep" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c timerace -n "__fish_timerace_using_subcommand conform" -s k -d 'Only cases whose id contains this' -r
complete -c timerace -n "__fish_timerace_using_subcommand conform" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand conform" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand conform" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand conform" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand conform" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand conform" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand conform" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand conform" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand conform" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand conform" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand conform" -s h -l help -d 'Print help'
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l kernel -d 'A release such as v6.7 or v6.1.192, or one with fixes: v6.7+0281b919e175' -r
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l with -d 'Add a fix, by its 12-digit commit id or its name; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l without -d 'Remove a fix; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l costs -d 'Costs that the recordings do not tell, instead of the generic ones' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l load -d 'What the machine did besides: a fragment of background load (it can use others), of this name or built in. Costs are those of the machine without it' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l set -d 'Replace a parameter of the load; repeat for more' -r
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l name -d 'What the costs are called' -r
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand calibrate" -s h -l help -d 'Print help'
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l set -d 'Replace a parameter of the scenario, on both sides' -r
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l versus -d 'Replace a parameter on the second side only' -r
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l kernel -d 'The kernel of both sides' -r
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l with -d 'Add a fix on both sides' -r
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l without -d 'Remove a fix on both sides' -r
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l seeds -d 'Seeds of the timed runs, both ends included; without it 1..10' -r
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l mode -d 'What to do; without it, scenarios with `stop:` are run, all others explored and run' -r -f -a "run\t'Timed runs'
explore\t'Searches'"
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l max-schedules -d 'Run at most this many schedules on each side' -r
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand compare" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand compare" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand compare" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand compare" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand compare" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand compare" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -s h -l help -d 'Print help'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -f -a "diff" -d 'The fixes that only one of two kernels has'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and not __fish_seen_subcommand_from diff help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from diff" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from diff" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from diff" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from diff" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from diff" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from diff" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from diff" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from diff" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from diff" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from diff" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from help" -f -a "diff" -d 'The fixes that only one of two kernels has'
complete -c timerace -n "__fish_timerace_using_subcommand kernels; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c timerace -n "__fish_timerace_using_subcommand explain" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand explain" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand explain" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand explain" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand explain" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand explain" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand explain" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand explain" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand explain" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand explain" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand explain" -s h -l help -d 'Print help'
complete -c timerace -n "__fish_timerace_using_subcommand gen" -l format -d 'What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner of `perf sched timehist`)' -r -f -a "human\t'Text for people'
json\t'One JSON object, keys sorted'
short\t'`check` only: one line per message, as compilers print them'
rtla\t'`run` only: the histogram in the shape of `rtla timerlat hist`'
timehist\t'`run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`'"
complete -c timerace -n "__fish_timerace_using_subcommand gen" -s o -l out -d 'Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone' -r -F
complete -c timerace -n "__fish_timerace_using_subcommand gen" -s j -l jobs -d 'Threads; the result is the same for any number' -r
complete -c timerace -n "__fish_timerace_using_subcommand gen" -l color -d 'Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c timerace -n "__fish_timerace_using_subcommand gen" -l theme -d 'Colours of pictures: light or dark; without it light, and pages follow the system' -r -f -a "light\t'White'
dark\t'Nearly black'"
complete -c timerace -n "__fish_timerace_using_subcommand gen" -l width -d 'Columns of the interleaving; made to be pasted into mail' -r
complete -c timerace -n "__fish_timerace_using_subcommand gen" -l png -d 'A PNG beside every SVG file'
complete -c timerace -n "__fish_timerace_using_subcommand gen" -s q -l quiet -d 'No progress, no notes'
complete -c timerace -n "__fish_timerace_using_subcommand gen" -s v -l verbose -d 'More about what was read and chosen'
complete -c timerace -n "__fish_timerace_using_subcommand gen" -l timing -d 'Wall time on stderr (and in JUnit); results never hold any'
complete -c timerace -n "__fish_timerace_using_subcommand gen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "demo" -d 'Run a built-in race; nothing else needed'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "new" -d 'Write a commented scenario to start from'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "check" -d 'Read scenarios and report every problem; run nothing'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "run" -d 'One timed, deterministic execution: what happened, and how late timers were'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "explore" -d 'Every inequivalent interleaving within the bounds, or a sample'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "replay" -d 'One schedule again, step by step'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "report" -d 'Pictures and pages of a saved result again'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "shrink" -d 'The smallest schedule, then the smallest scenario, that still shows the same finding'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "verify" -d 'Search again as a certificate says, and compare'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "test" -d 'Expectations of many scenarios, on one or more kernels'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "sweep" -d 'Run or explore a scenario over a grid of its parameters'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "conform" -d 'Play recordings of real kernels on the model and compare'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "calibrate" -d 'Fit the costs of timed runs to latency samples or traces of a real machine'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "compare" -d 'Two kernels, or two settings: verdicts, where the same schedule goes two ways, latencies'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "kernels" -d 'Versions, the fixes each has, commit ids'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "explain" -d 'Help on codes, bug classes, helpers, words of scenarios, rules of the model, kernels, built-in scenarios'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "gen" -d 'Write man pages, completions, or the reference of scenario files'
complete -c timerace -n "__fish_timerace_using_subcommand help; and not __fish_seen_subcommand_from demo new check run explore replay report shrink verify test sweep conform calibrate compare kernels explain gen help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c timerace -n "__fish_timerace_using_subcommand help; and __fish_seen_subcommand_from kernels" -f -a "diff" -d 'The fixes that only one of two kernels has'
