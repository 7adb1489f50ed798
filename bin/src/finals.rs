//! Values at the end of a run: the kernel knows them, the judge asks.

use timerace_core::Mem;
use timerace_kernel::Kernel;
use timerace_kernel::world::{FieldIx, MapId, VarId};
use timerace_scenarios::judge::FinalState;

/// The kernel of a run, for the judge.
pub struct Finals<'k>(pub &'k Kernel);

impl FinalState for Finals<'_> {
    fn var(&self, mem: &Mem, var: VarId) -> Option<i64> {
        self.0.final_var(mem, var)
    }
    fn var_member(&self, mem: &Mem, var: VarId, field: FieldIx) -> Option<i64> {
        self.0.final_var_member(mem, var, field)
    }
    fn elem_present(&self, mem: &Mem, map: MapId, key: i64) -> bool {
        self.0.final_elem_present(mem, map, key)
    }
    fn elem_member(&self, mem: &Mem, map: MapId, key: i64, field: FieldIx) -> Option<i64> {
        self.0.final_elem_member(mem, map, key, field)
    }
}
