//! Reads `trace.pftrace` files with the schema that Perfetto itself uses, and holds what a viewer relies on: every field is
//! known, every event is on a track that was described, the slices of a track nest, flows begin before they end.

use perfetto_protos::trace::Trace;
use perfetto_protos::track_descriptor::TrackDescriptor;
use perfetto_protos::track_event::{TrackEvent, track_event};
use protobuf::{Message, MessageFull, reflect::MessageRef, reflect::ReflectValueRef};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    for file in &files {
        let checked = std::fs::read(file).map_err(|e| e.to_string()).and_then(|b| check(&b));
        match checked {
            Ok(said) => println!("{file}: {said}"),
            Err(why) => {
                eprintln!("{file}: {why}");
                return ExitCode::FAILURE;
            }
        }
    }
    if files.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[derive(Default)]
struct Seen {
    tracks: BTreeMap<u64, String>,
    open: BTreeMap<u64, Vec<String>>,
    last: BTreeMap<u64, u64>,
    flows: BTreeSet<u64>,
    ended: usize,
    slices: usize,
}

fn check(bytes: &[u8]) -> Result<String, String> {
    let trace = Trace::parse_from_bytes(bytes).map_err(|e| e.to_string())?;
    known(&trace)?;
    let mut seen = Seen::default();
    for p in &trace.packet {
        if p.trusted_packet_sequence_id() == 0 {
            return Err("a packet of no sequence".to_string());
        }
        if p.has_track_descriptor() {
            seen.track(p.track_descriptor())?;
        } else if p.has_track_event() {
            seen.event(p.timestamp(), p.track_event())?;
        } else {
            return Err("a packet that is neither track nor event".to_string());
        }
    }
    if let Some((track, _)) = seen.open.iter().find(|(_, open)| !open.is_empty()) {
        return Err(format!("a slice of {} does not end", seen.tracks[track]));
    }
    if seen.slices == 0 || seen.ended != seen.flows.len() {
        return Err(format!("{} slices, {} of {} flows end", seen.slices, seen.ended, seen.flows.len()));
    }
    Ok(format!("{} tracks, {} slices, {} flows", seen.tracks.len(), seen.slices, seen.ended))
}

/// No field is left that the schema does not know, in no message.
fn known<M: MessageFull>(m: &M) -> Result<(), String> {
    fn look(m: MessageRef<'_>) -> Result<(), String> {
        let descriptor = m.descriptor_dyn();
        if m.special_fields_dyn().unknown_fields().iter().next().is_some() {
            return Err(format!("a field that {} does not have", descriptor.full_name()));
        }
        for f in descriptor.fields() {
            use protobuf::reflect::ReflectFieldRef;
            let values: Vec<ReflectValueRef<'_>> = match f.get_reflect(&*m) {
                ReflectFieldRef::Optional(v) => v.value().into_iter().collect(),
                ReflectFieldRef::Repeated(r) => r.into_iter().collect(),
                ReflectFieldRef::Map(_) => Vec::new(),
            };
            for v in values {
                if let ReflectValueRef::Message(m) = v {
                    look(m)?;
                }
            }
        }
        Ok(())
    }
    look(MessageRef::new(m))
}

impl Seen {
    fn track(&mut self, d: &TrackDescriptor) -> Result<(), String> {
        let parent = d.parent_uuid();
        if d.has_parent_uuid() && !self.tracks.contains_key(&parent) {
            return Err(format!("track {} is below one that was not described", d.name()));
        }
        if d.name().is_empty() || self.tracks.insert(d.uuid(), d.name().to_string()).is_some() {
            return Err(format!("track {} has no name, or is described twice", d.uuid()));
        }
        Ok(())
    }

    fn event(&mut self, at: u64, e: &TrackEvent) -> Result<(), String> {
        let track = e.track_uuid();
        let name = self.tracks.get(&track).ok_or_else(|| format!("track {track} was not described"))?;
        let last = self.last.entry(track).or_default();
        if at < *last {
            return Err(format!("{name}: time goes back to {at}"));
        }
        *last = at;
        let open = self.open.entry(track).or_default();
        match e.type_() {
            track_event::Type::TYPE_SLICE_BEGIN => {
                if e.name().is_empty() {
                    return Err(format!("{name}: a slice without a name at {at}"));
                }
                open.push(e.name().to_string());
                self.slices += 1;
            }
            track_event::Type::TYPE_SLICE_END => {
                open.pop().ok_or_else(|| format!("{name}: an end without a begin at {at}"))?;
            }
            other => return Err(format!("{name}: {other:?} at {at}")),
        }
        for flow in &e.terminating_flow_ids {
            if !self.flows.contains(flow) {
                return Err(format!("{name}: flow {flow} ends at {at} before it begins"));
            }
            self.ended += 1;
        }
        self.flows.extend(&e.flow_ids);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_is_no_trace_is_refused() {
        for bad in [&b"\x0a\x02\x50"[..], b"\x0a\x02\x50\x01", b"\x0a\x05\x50\x01\xf8\xff\x01", b""] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
