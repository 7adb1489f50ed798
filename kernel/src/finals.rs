//! Values at the end of a run, for expectations about it.

use crate::kernel::Kernel;
use crate::world::{FieldIx, MapId, VarId, VarKind};
use timerace_core::Word;
use timerace_core::mem::{Mem, Ptr};

impl Kernel {
    /// A shared variable; of a per-CPU one the sum over all CPUs. Pointers are words, NULL is 0.
    pub fn final_var(&self, mem: &Mem, var: VarId) -> Option<i64> {
        let var = self.vars.get(var.index())?;
        let values = var.objs.iter().map(|o| mem.peek(*o) as i64);
        Some(values.fold(0, i64::wrapping_add))
    }

    /// A member of the object that a variable points to; `None` if the pointer is NULL or the variable no pointer.
    pub fn final_var_member(&self, mem: &Mem, var: VarId, field: FieldIx) -> Option<i64> {
        let var = self.vars.get(var.index())?;
        if !matches!(var.kind, VarKind::New(_) | VarKind::NullPtr) {
            return None;
        }
        let p = Option::<Ptr>::from_word(mem.peek(*var.objs.first()?))?;
        Some(mem.peek(p.field::<u64>(field.0).obj()) as i64)
    }

    /// Whether a look-up of the key would find an element.
    pub fn final_elem_present(&self, mem: &Mem, map: MapId, key: i64) -> bool {
        let Some(map) = self.maps.get(map.index()) else { return false };
        map.peek_lookup(mem, key as u64).is_some()
    }

    /// A member of the element that a look-up of the key would find.
    pub fn final_elem_member(
        &self,
        mem: &Mem,
        map: MapId,
        key: i64,
        field: FieldIx,
    ) -> Option<i64> {
        let e = self.maps.get(map.index())?.peek_lookup(mem, key as u64)?;
        Some(mem.peek(e.member(field.index()).obj()) as i64)
    }
}
