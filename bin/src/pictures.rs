//! The files that show one recorded run, and those that show a search as a whole: what `explore`, `replay` and `report` write.

use crate::args::Common;
use crate::saved::File;
use crate::session::Session;
use serde_json::Value;
use timerace_core::record::Record;
use timerace_reports::final_states::FinalStates;
use timerace_reports::final_states_svg::final_states_svg;
use timerace_reports::graphs::{happens_before_dot, waits_for_dot, waits_for_svg};
use timerace_reports::happens_before_svg::happens_before_svg;
use timerace_reports::interleaving::{Detail, interleaving};
use timerace_reports::lock_order::LockOrder;
use timerace_reports::origin::line;
use timerace_reports::page::{Page, report_html};
use timerace_reports::race_svg::race_svg;
use timerace_reports::race_text::race_text;
use timerace_reports::schedule_ron::SavedSchedule;
use timerace_reports::shiviz::shiviz;
use timerace_reports::splat::splat;

/// The final states of a search and the order of its locks, from its result: graphs as text, and as pictures if small.
pub fn of_search(common: &Common, result: &Value, command: &[String]) -> Vec<File> {
    let command = &format!("timerace {}", line(command));
    let theme = common.theme.map(|t| t.of()).unwrap_or_default();
    let states = FinalStates::read(result);
    let locks = LockOrder::read(result);
    let texts = [
        ("lock-order.dot", locks.as_ref().map(LockOrder::dot)),
        ("lock-order.svg", locks.as_ref().and_then(|l| l.svg(command, theme))),
        ("states.dot", states.as_ref().and_then(FinalStates::dot)),
        ("states.svg", states.as_ref().and_then(|f| final_states_svg(f, command, theme))),
    ];
    let written = texts.into_iter().filter_map(|(name, text)| Some((name, text?)));
    written.map(|(name, text)| (name.to_string(), text.into_bytes())).collect()
}

/// The files of a run and of one of its findings, by index.
pub fn files(
    common: &Common,
    s: &Session,
    rec: &Record,
    finding: Option<usize>,
    cover: &str,
) -> Vec<File> {
    let detail = if finding.is_some() { Detail::Chosen } else { Detail::End };
    let il = interleaving(rec, finding, detail);
    let saved = SavedSchedule::of(rec, &s.scenario.name.node, &s.kernel_name());
    let origin = s.origin();
    let theme = common.theme.map(|t| t.of());
    let page = Page { source: &s.source.text, cover, theme, timed: None };
    let mut texts = vec![
        ("race.txt", race_text(&il, usize::from(common.width))),
        ("race.svg", race_svg(rec, finding, &origin, theme.unwrap_or_default())),
        ("schedule.ron", saved.write()),
        ("report.html", report_html(rec, finding, &origin, &page)),
    ];
    texts.extend(shiviz(rec).map(|t| ("trace.shiviz", t)));
    if let Some(i) = finding {
        texts.push(("splat.txt", splat(rec, i, &origin)));
        texts.extend(happens_before_dot(rec, i).map(|t| ("happens-before.dot", t)));
        let drawn = happens_before_svg(rec, i, &origin, theme.unwrap_or_default());
        texts.extend(drawn.map(|t| ("happens-before.svg", t)));
        texts.extend(waits_for_dot(rec, i).map(|t| ("waits-for.dot", t)));
        let drawn = waits_for_svg(rec, i, &origin, theme.unwrap_or_default());
        texts.extend(drawn.map(|t| ("waits-for.svg", t)));
    }
    texts.into_iter().map(|(name, text)| (name.to_string(), text.into_bytes())).collect()
}
