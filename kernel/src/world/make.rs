//! Worlds that are built in code: what is declared with nothing out of the ordinary.

use super::{
    Body, Call, ElemRef, KeyRef, LineId, MapDef, MapFlags, MapId, MapKind, MapRef, ObjRef, Op,
    OpKind, ProgDef, ProgKind, Returns, Sched, TaskDef, TypeIx, ValueRef,
};

impl MapDef {
    /// A map with keys of four bytes and values of the world's first type, empty before the start.
    pub fn new(name: &str, kind: MapKind, max_entries: u32) -> MapDef {
        MapDef {
            name: name.into(),
            kind,
            max_entries,
            flags: MapFlags::default(),
            key_size: 4,
            value: TypeIx(0),
            slots: Vec::new(),
            memcg: None,
            init: Vec::new(),
            at: LineId::default(),
        }
    }
}

impl ProgDef {
    /// A program that may not sleep and is attached nowhere.
    pub fn new(name: &str, kind: ProgKind, ops: Vec<Op>) -> ProgDef {
        ProgDef {
            name: name.into(),
            kind,
            sleepable: false,
            attach: None,
            body: Body::of(ops),
            at: LineId::default(),
        }
    }
}

impl TaskDef {
    /// A thread of a process of its own, with all capabilities, that runs from the start.
    pub fn new(name: &str, cpu: u16, ops: Vec<Op>) -> TaskDef {
        TaskDef {
            name: name.into(),
            cpu,
            sched: Sched::Other,
            cap_bpf: true,
            cap_net_admin: true,
            memcg: None,
            blocked: false,
            body: Body::of(ops),
            at: LineId::default(),
        }
    }
}

impl ElemRef {
    /// The element of a map with that key.
    pub fn of(map: MapId, key: i64) -> ElemRef {
        ElemRef { map: MapRef::Map(map), key: KeyRef::Int(key) }
    }
}

impl ObjRef {
    /// The only timer (or work queue) in an element's value.
    pub fn in_elem(elem: ElemRef) -> ObjRef {
        ObjRef { value: ValueRef::Elem(elem), field: None, byte: None }
    }
}

impl Op {
    /// An operation that stands on no line of a file.
    pub fn of(kind: OpKind) -> Op {
        Op { kind, at: LineId::default(), text: String::new() }
    }

    /// A call that has to succeed; anything else is a finding.
    pub fn call(call: Call) -> Op {
        Op::of(OpKind::Call { call, returns: Returns::Success, bind: None })
    }

    /// A call that may return these codes; an errno is negative.
    pub fn returning(codes: &[i64], call: Call) -> Op {
        Op::of(OpKind::Call { call, returns: Returns::OneOf(codes.to_vec()), bind: None })
    }
}
