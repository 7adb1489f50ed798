//! The reader and the judge on cases that are written here.

use super::*;

/// A case: an element is inserted, its timer armed, and fires while user space sleeps.
fn case(changes: &[(&str, &str)]) -> String {
    let mut text = r#"{"schema": "bpf-timer-oracle/1", "kind": "runtime", "id": "fires", "desc": "", "tags": [],
        "map": {"type": "hash", "max_entries": 8, "map_flags": [], "outer": null},
        "callbacks": {"0": [{"op": "bpf_timer_cancel", "key": "self", "max_run": 1}]},
        "ops": [
        {"by": "user", "op": "bpf_map_update_elem", "key": 0, "data": 10, "flags": 0, "timer_bytes": "zero", "ret": 0, "callbacks_so_far": 0},
        {"by": "prog:a", "op": "bpf_timer_init", "key": 0, "flags": 1, "ret": 0, "callbacks_so_far": 0},
        {"by": "prog:a", "op": "bpf_timer_set_callback", "key": 0, "callback": 0, "ret": 0, "callbacks_so_far": 0},
        {"by": "prog:b", "op": "bpf_timer_start", "key": 0, "nsecs": 10000000, "flags": 0, "ret": 0, "callbacks_so_far": 0},
        {"by": "user", "op": "sleep", "ns": 100000000, "ret": 0, "callbacks_so_far": 1},
        {"by": "prog:a", "op": "bpf_timer_cancel", "key": 7, "ret": null, "not_called": "no such element", "callbacks_so_far": 1}],
        "events": [{"during_op": 4, "callback": 0, "run": 1, "key": 0, "data": 10, "value_arg": "same as lookup",
        "ops": [{"op": "bpf_timer_cancel", "ret": -35, "err": "EDEADLK"}]}],
        "timing_us": {"op_end": [1, 2, 3, 4, 100005, 100006], "event": [10004]},
        "repeatable": "exact", "repetitions": 2, "kernel": "6.1", "environment": "qemu TCG emulation, 4 vCPUs"}"#
        .replace('\n', " ");
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    text
}

fn status(changes: &[(&str, &str)]) -> Status {
    let report = conform(&case(changes), &Options::default()).unwrap();
    report.cases[0].status.clone()
}

fn broken(changes: &[(&str, &str)]) -> String {
    let text = format!("\n{}", case(changes));
    let error = parse(&text).unwrap_err();
    assert_eq!(error.line, 2);
    error.what
}

fn reason(changes: &[(&str, &str)]) -> String {
    match status(changes) {
        Status::Unsupported(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_case_that_the_model_repeats_agrees() {
    assert_eq!(status(&[]), Status::Agree);
}

#[test]
fn a_line_that_is_no_case_is_named() {
    let error = parse("\n{\"schema\": 1").unwrap_err();
    assert_eq!(error.line, 2);
    assert!(error.to_string().starts_with("line 2: no JSON object"), "{error}");
    assert_eq!(parse("7").unwrap_err().what, "the line is no object");
    assert_eq!(
        broken(&[("oracle/1", "oracle/2")]),
        "schema bpf-timer-oracle/2 is not bpf-timer-oracle/1"
    );
    assert_eq!(broken(&[(r#""id": "fires","#, "")]), "the line has no id");
    assert_eq!(broken(&[(r#""flags": 1, "ret": 0"#, r#""ret": 0"#)]), "operation 1 has no flags");
    assert_eq!(
        broken(&[(r#""ret": -35"#, r#""ret": {}"#)]),
        "ret of a callback's result is no return code"
    );
    assert_eq!(
        broken(&[(r#""during_op": 4"#, r#""during_op": 6"#)]),
        "an event began during operation 6, which is none"
    );
    assert_eq!(
        broken(&[("[1, 2, 3, 4, 100005", "[1, 2, 3, 100005")]),
        "timing_us has not one end for each operation"
    );
}

#[test]
fn nothing_unknown_is_passed_over() {
    let at = |changes| reason(changes);
    assert_eq!(at(&[(r#""kind": "runtime""#, r#""kind": "strange""#)]), "unknown kind strange");
    assert_eq!(at(&[(r#""desc""#, r#""descr""#)]), "unknown field descr of the line");
    assert_eq!(at(&[(r#""op": "sleep""#, r#""op": "nap""#)]), "unknown op nap of operation 4");
    assert_eq!(
        at(&[(r#""flags": 1"#, r#""flags": 1, "cpu": 1"#)]),
        "unknown field cpu of operation 1"
    );
    assert_eq!(at(&[(r#""run": 1"#, r#""run": 1, "x": 1"#)]), "unknown field x of event 0");
    assert_eq!(at(&[(r#""type": "hash""#, r#""type": "rhash""#)]), "unknown type rhash of map");
    assert_eq!(
        at(&[(r#""no such element""#, r#""tired""#)]),
        "unknown not_called tired of operation 5"
    );
    assert_eq!(
        at(&[(r#""kernel": "6.1""#, r#""kernel": "6.3""#)]),
        "no release is known for the label 6.3"
    );
    let cpus = "the environment does not say how many CPUs there are";
    assert_eq!(at(&[("4 vCPUs", "4 processors")]), cpus);
    assert_eq!(at(&[("4 vCPUs", "0 vCPUs")]), cpus);
    assert_eq!(at(&[("4 vCPUs", "60000 vCPUs")]), cpus);
    let set_cpu = (r#""op": "sleep", "ns": 100000000"#, r#""op": "set_cpu", "cpu": 4"#);
    assert_eq!(at(&[set_cpu]), "it names a CPU that the machine does not have");
}

#[test]
fn differences_say_what_was_recorded_and_what_the_model_did() {
    let Status::Disagree(all) = status(&[(r#""flags": 1, "ret": 0"#, r#""flags": 1, "ret": -16"#)])
    else {
        panic!("it agrees");
    };
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].place, "op 1 bpf_timer_init");
    assert_eq!((all[0].recorded.as_str(), all[0].model.as_str()), ("-EBUSY", "0"));
    let Status::Disagree(all) = status(&[(r#""ret": -35"#, r#""ret": 0"#)]) else {
        panic!("it agrees");
    };
    assert_eq!(all[0].place, "event 0: op 0 bpf_timer_cancel");
}

#[test]
fn an_immediate_callback_may_fall_into_the_next_operation() {
    let now = (r#""nsecs": 10000000"#, r#""nsecs": 0"#);
    let tagged = (r#""tags": []"#, r#""tags": ["step-of-event-may-vary"]"#);
    assert!(matches!(status(&[now]), Status::Disagree(_)));
    assert_eq!(status(&[now, tagged]), Status::Agree);
    let far = (
        r#""by": "prog:b", "op": "bpf_timer_start", "key": 0, "nsecs": 10000000, "flags": 0, "ret": 0, "callbacks_so_far": 0"#,
        r#""by": "prog:b", "op": "bpf_timer_start", "key": 0, "nsecs": 10000000, "flags": 0, "ret": 0, "callbacks_so_far": 1"#,
    );
    let event = (r#""during_op": 4"#, r#""during_op": 2"#);
    assert!(matches!(status(&[tagged, far, event]), Status::Disagree(_)));
}

#[test]
fn one_of_several_recorded_outcomes_suffices() {
    let wrong = (r#""data": 10, "value_arg""#, r#""data": 99, "value_arg""#);
    let event = |data| {
        format!(
            r#""variants": [{{"events": [{{"during_op": 4, "callback": 0, "run": 1, "key": 0, "data": {data},
            "value_arg": "same as lookup", "ops": [{{"op": "bpf_timer_cancel", "ret": -35}}]}}],
            "rets": [0, 0, 0, 0, 0, null]}}], "repeatable": "varies""#
        )
        .replace('\n', " ")
    };
    let (right, other) = (event("10"), event("98"));
    let exact = r#""repeatable": "exact""#;
    assert_eq!(status(&[wrong, (exact, &right)]), Status::Agree);
    assert!(matches!(status(&[wrong, (exact, &other)]), Status::Disagree(_)));
}

#[test]
fn reports_count_and_say_why() {
    let race = r#"{"schema": "bpf-timer-oracle/1", "kind": "race", "kernel": "6.1", "environment": "", "mode": "cancel", "x": 1}"#;
    let text = format!("{}\n{race}\n", case(&[]));
    let report = conform(&text, &Options::default()).unwrap();
    let json = report.json();
    assert_eq!(json["agree"], 1);
    assert_eq!(json["unsupported"], 1);
    assert_eq!(json["cases"][0]["status"], "agree");
    assert_eq!(json["cases"][1]["id"], "race-cancel-line-2");
    assert!(report.text().ends_with("1 agree, 0 disagree, 1 unsupported\n"), "{}", report.text());
    let load = |id: &str, ret: &str| {
        let line = format!(
            r#"{{"schema": "bpf-timer-oracle/1", "kind": "load", "id": "{id}", "ret": {ret}, "kernel": "6.1", "environment": "4 vCPUs"}}"#
        );
        conform(&line, &Options::default()).unwrap().cases[0].status.name()
    };
    assert_eq!(load("verify-two", "-13"), "agree");
    assert_eq!(load("verify-two", "0"), "disagree");
    assert_eq!(load("prog-type-xdp", "0"), "agree");
    assert_eq!(load("prog-type-sk_msg", "0"), "agree");
    assert_eq!(load("verify-cb_tail_call", "-13"), "unsupported");
}
