//! Costs fitted to recordings of a real machine: the simulation is as late as the machine was.

use std::io::Read;
use std::path::Path;
use timerace_core::step::CostClass;
use timerace_core::timed::Costs;
use timerace_kernel::KernelVersion;
use timerace_scenarios::calibrate::{Calibration, Recording, calibrate, ks, read};

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
    let c = calibrate(std::slice::from_ref(&r), kernel(), &Costs::default(), setup);
    println!("{setup}: {:?}", c.checks[0]);
    c
}

/// Fitted to every second block of ten samples, the simulation is within 0.05 of the others.
fn fits(setup: &str, samples: usize) -> Calibration {
    let c = fitted(setup, samples);
    let check = &c.checks[0];
    assert_eq!((check.samples, check.independent), (samples / 2, samples / 2));
    assert!(check.ks > 0.0 && check.ks <= 0.05, "{setup}: {check:?}");
    assert!(c.costs.calibrated);
    // The fit is what makes it so: the generic costs are nowhere near.
    let generic = Costs::default().get(CostClass::IrqEntry).mean();
    assert!(c.costs.get(CostClass::IrqEntry).mean() > 10.0 * generic);
    c
}

#[test]
fn one_timer_on_an_idle_cpu() {
    fits("idle-rel", 3000);
}

#[test]
fn one_pinned_timer_with_an_absolute_expiry() {
    fits("idle-abspin", 3000);
}

#[test]
fn one_timer_on_a_busy_cpu() {
    fits("loaded-rel", 3000);
}

#[test]
fn one_timer_under_a_flood_of_packets() {
    fits("softirq-rel", 3000);
}

/// Timers of a round share their delay, and there are few rounds. Their halves are further apart than 0.05 themselves, so
/// the simulation can only be asked to be no further than chance allows for so many rounds.
fn of_few_rounds(setup: &str, samples: usize, rounds: usize) -> Calibration {
    let c = fitted(setup, samples);
    let check = &c.checks[0];
    assert_eq!(check.independent, rounds);
    assert!(check.halves > 0.1, "{setup}: {check:?}");
    assert!(check.ok() && check.ks <= 0.3, "{setup}: {check:?}");
    c
}

#[test]
fn many_timers() {
    let c = of_few_rounds("many-rel", 5207, 20);
    for class in [CostClass::SoftirqEntry, CostClass::Call, CostClass::Hrtimer] {
        assert!(c.fitted.iter().any(|f| f.class == class), "{} is fitted", class.name());
    }
    let call = c.costs.get(CostClass::Call).mean();
    assert!((150.0..350.0).contains(&call), "a callback took about 250 ns, not {call}");
}

#[test]
fn many_timers_with_one_expiry() {
    of_few_rounds("many-abspin", 5215, 17);
}

#[test]
fn a_trace() {
    let r = recording("trace-6.12-periodic.txt");
    assert_eq!(r.samples(), 67);
    let c = calibrate(&[r], kernel(), &Costs::default(), "trace");
    assert!(c.checks[0].ok(), "distance {}", c.checks[0].ks);
}

#[test]
fn recordings_that_contradict_each_other_are_not_called_calibrated() {
    let mut slow = recording("latency-6.18-host-idle-abspin.csv");
    for s in slow.rounds.iter_mut().flatten() {
        s.actual += 200_000;
    }
    let both = [recording("latency-6.18-host-idle-abspin.csv"), slow];
    let c = calibrate(&both, kernel(), &Costs::default(), "both");
    assert!(!c.costs.calibrated && c.checks.iter().all(|c| c.ks > 0.4), "{:?}", c.checks);
}

#[test]
fn distances() {
    assert_eq!(ks(&[1, 2, 3], &[1, 2, 3]), 0.0);
    assert_eq!(ks(&[1, 2], &[3, 4]), 1.0);
    assert_eq!(ks(&[], &[3, 4]), 1.0);
    assert_eq!(ks(&[1, 1, 1, 2], &[1, 2, 2, 2]), 0.5);
}
