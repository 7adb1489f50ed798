//! Costs fitted to recordings of a real machine: the simulation is as late as the machine was.

use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;
use timerace_core::step::CostClass;
use timerace_core::timed::Costs;
use timerace_kernel::KernelVersion;
use timerace_scenarios::calibrate::{Calibration, Recording, Split, calibrate, ks, read};

fn recording(name: &str) -> Recording {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings").join(format!("{name}.gz"));
    let file = std::fs::File::open(at).expect("the recording is there");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("it is packed text");
    read(name, &text).expect("it is right")
}

fn kernel() -> KernelVersion {
    KernelVersion::parse("v6.18").expect("the table has v6.18")
}

fn fitted(setup: &str, samples: usize) -> Calibration {
    let r = recording(&format!("latency-6.18-host-{setup}.csv"));
    assert_eq!(r.samples(), samples);
    let c = calibrate(std::slice::from_ref(&r), kernel(), None, &Costs::default(), setup);
    println!("{setup}: {:?}", c.checks[0]);
    c
}

/// That of many timers takes long: two tests look at it.
fn many_rel() -> &'static Calibration {
    static ONE: OnceLock<Calibration> = OnceLock::new();
    ONE.get_or_init(|| fitted("many-rel", 5207))
}

/// Fitted to one half of the samples, the simulation is within 0.05 of the other half.
fn fits(c: &Calibration, setup: &str, samples: usize) {
    let d = &c.checks[0].samples;
    // Half of them, but for the ends of the blocks.
    assert!((samples / 2).abs_diff(d.samples) <= samples / 100, "{setup}: {d:?}");
    assert!(d.ks > 0.0 && d.ks <= 0.05 && d.limit == 0.05, "{setup}: {d:?}");
    assert!(c.costs.calibrated);
    // The fit is what makes it so: the generic costs are nowhere near.
    let generic = Costs::default().get(CostClass::IrqEntry).mean();
    assert!(c.costs.get(CostClass::IrqEntry).mean() > 10.0 * generic);
}

/// Each is a round of its own: no sample shares anything with one that was fitted.
fn single_timers_fit(setup: &str) {
    let c = fitted(setup, 3000);
    fits(&c, setup, 3000);
    assert_eq!(c.checks[0].samples.rounds, 1500);
    assert_eq!(c.checks[0].samples, c.checks[0].rounds);
}

#[test]
fn one_timer_on_an_idle_cpu() {
    single_timers_fit("idle-rel");
}

#[test]
fn one_pinned_timer_with_an_absolute_expiry() {
    single_timers_fit("idle-abspin");
}

#[test]
fn one_timer_on_a_busy_cpu() {
    single_timers_fit("loaded-rel");
}

#[test]
fn one_timer_under_a_flood_of_packets() {
    single_timers_fit("softirq-rel");
}

/// Timers of a round share their delay, and there are few rounds. Whole rounds that were not fitted are further from the
/// others than 0.05 themselves, so there the simulation can only be asked to be no further than chance allows.
fn many_timers_fit(c: &Calibration, setup: &str, samples: usize, all_rounds: usize) {
    fits(c, setup, samples);
    let check = &c.checks[0];
    assert_eq!(check.samples.rounds, all_rounds, "a half of the samples of every round");
    let d = &check.rounds;
    assert_eq!(d.rounds, all_rounds / 2);
    assert!(d.halves > 0.1 && d.limit > 0.3, "{setup}: {d:?}");
    assert!(d.ok() && d.ks <= 0.3, "{setup}: {d:?}");
}

#[test]
fn many_timers() {
    let c = many_rel();
    many_timers_fit(c, "many-rel", 5207, 41);
    for class in [CostClass::SoftirqEntry, CostClass::Call, CostClass::Hrtimer] {
        assert!(c.fitted.iter().any(|f| f.class == class), "{} is fitted", class.name());
    }
    let call = c.costs.get(CostClass::Call).mean();
    assert!((150.0..350.0).contains(&call), "a callback took about 250 ns, not {call}");
}

#[test]
fn many_timers_with_one_expiry() {
    many_timers_fit(&fitted("many-abspin", 5215), "many-abspin", 5215, 35);
}

/// Halves of samples are even over the places of a round, whatever its length: places differ.
#[test]
fn no_place_in_a_round_is_always_in_the_same_half() {
    let r = recording("latency-6.18-host-many-abspin.csv");
    for place in 0..r.timers() {
        let fitted = (0..r.rounds.len()).filter(|i| r.for_fitting(Split::Samples, *i, place));
        assert!((14..=21).contains(&fitted.count()), "place {place}");
    }
}

/// What is fitted comes from the fitting half alone: without the other the costs are the same.
#[test]
fn samples_for_the_check_are_not_fitted() {
    let r = recording("latency-6.18-host-many-rel.csv");
    let mut other = r.clone();
    for (i, round) in other.rounds.iter_mut().enumerate() {
        for (place, s) in round.iter_mut().enumerate() {
            if !r.for_fitting(Split::Samples, i, place) {
                s.actual += 77_777;
            }
        }
    }
    let (a, b) = (many_rel(), calibrate(&[other], kernel(), None, &Costs::default(), "x"));
    assert_eq!(a.fitted, b.fitted);
    assert!(a.costs.calibrated && !b.costs.calibrated);
    assert!(b.checks[0].samples.ks > 0.4, "{:?}", b.checks);
}

#[test]
fn a_trace() {
    let r = recording("trace-6.12-periodic.txt");
    assert_eq!(r.samples(), 67);
    let c = calibrate(&[r], kernel(), None, &Costs::default(), "trace");
    assert!(c.checks[0].ok(), "{:?}", c.checks);
}

#[test]
fn recordings_that_contradict_each_other_are_not_called_calibrated() {
    let mut slow = recording("latency-6.18-host-idle-abspin.csv");
    for s in slow.rounds.iter_mut().flatten() {
        s.actual += 200_000;
    }
    let both = [recording("latency-6.18-host-idle-abspin.csv"), slow];
    let c = calibrate(&both, kernel(), None, &Costs::default(), "both");
    assert!(!c.costs.calibrated && c.checks.iter().all(|c| c.samples.ks > 0.4), "{:?}", c.checks);
}

#[test]
fn distances() {
    assert_eq!(ks(&[1, 2, 3], &[1, 2, 3]), 0.0);
    assert_eq!(ks(&[1, 2], &[3, 4]), 1.0);
    assert_eq!(ks(&[], &[3, 4]), 1.0);
    assert_eq!(ks(&[1, 1, 1, 2], &[1, 2, 2, 2]), 0.5);
}
