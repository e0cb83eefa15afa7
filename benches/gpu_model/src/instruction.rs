//! One instruction of an AMD GPU, by what it costs and what it computes.

/// What an instruction does, as far as the model tells instructions apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Multiplications with additions, so many numbers at once.
    Fused(u8),
    /// A multiplication of floats.
    Multiply,
    /// An addition of floats.
    Add,
    /// Anything else of the vector units.
    Vector,
    /// What they take four times as long for.
    Slow,
    /// A load of so many numbers of 32 bits.
    Load(u8),
    /// A store of so many.
    Store(u8),
    /// A load from or a store to memory that a workgroup shares, likewise.
    Shared(u8),
    /// A load of constants, the same for all lanes.
    Constants,
    /// Waits until no more loads, and no more accesses to constants and shared memory, than these are under way.
    Wait {
        /// `vmcnt`.
        loads: Option<u8>,
        /// `lgkmcnt`.
        others: Option<u8>,
    },
    /// Waits for the other waves of the workgroup.
    Barrier,
    /// A jump.
    Branch,
    /// Anything else of the scalar unit.
    Scalar,
}

/// Reads one line of a listing, without its comment.
pub fn kind(line: &str) -> Kind {
    let operation = line.split_whitespace().next().unwrap_or_default();
    let starts = |names: &[&str]| names.iter().any(|name| operation.starts_with(name));
    if starts(&["v_dual_"]) {
        // Two operations, of which fused ones matter.
        let fused = line.matches("fmac_f32").count() + line.matches("fmaak_f32").count();
        return if fused > 0 { Kind::Fused(fused as u8) } else { Kind::Vector };
    }
    if starts(&["v_pk_fma_f16", "v_dot2"]) {
        return Kind::Fused(2);
    }
    if starts(&["v_fma_f", "v_fmac_f", "v_mac_f", "v_mad_f", "v_fmaak_f", "v_fmamk_f", "v_fma_mix", "v_mad_mix"]) {
        return Kind::Fused(1);
    }
    if starts(&["v_mul_f"]) {
        return Kind::Multiply;
    }
    if starts(&["v_add_f", "v_sub_f", "v_subrev_f"]) {
        return Kind::Add;
    }
    let slow = ["v_exp", "v_log", "v_rcp", "v_rsq", "v_sqrt", "v_sin", "v_cos", "v_mul_lo", "v_mul_hi"];
    if starts(&slow) {
        return Kind::Slow;
    }
    if starts(&["v_"]) {
        return Kind::Vector;
    }
    if starts(&["buffer_", "global_", "flat_", "tbuffer_"]) {
        let width = width(operation);
        return if operation.contains("_store") { Kind::Store(width) } else { Kind::Load(width) };
    }
    if starts(&["ds_"]) {
        return Kind::Shared(width(operation));
    }
    if starts(&["s_load", "s_buffer_load"]) {
        return Kind::Constants;
    }
    match operation {
        "s_waitcnt" => Kind::Wait { loads: count(line, "vmcnt("), others: count(line, "lgkmcnt(") },
        "s_barrier" => Kind::Barrier,
        _ if starts(&["s_branch", "s_cbranch"]) => Kind::Branch,
        _ => Kind::Scalar,
    }
}

/// Numbers of 32 bits that an access to memory moves a lane, in RDNA 3's words and in those of the GPUs before it.
fn width(operation: &str) -> u8 {
    let twice =
        if operation.contains("read2") || operation.contains("write2") || operation.contains("_2addr") { 2 } else { 1 };
    let ends = |names: &[&str]| names.iter().any(|name| operation.ends_with(name));
    twice
        * match () {
            () if ends(&["x4", "b128", "_xyzw"]) => 4,
            () if ends(&["x3", "b96", "_xyz"]) => 3,
            () if ends(&["x2", "b64"]) => 2,
            () => 1,
        }
}

fn count(line: &str, name: &str) -> Option<u8> {
    let rest = &line[line.find(name)? + name.len()..];
    rest[..rest.find(')')?].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_told_apart() {
        let kinds = [
            ("v_fmac_f32_e32 v43, v68, v50", Kind::Fused(1)),
            ("v_fma_mix_f32 v1, v2, v3, v4 op_sel_hi:[1,1,0]", Kind::Fused(1)),
            ("v_pk_fma_f16 v1, v2, v3, v4", Kind::Fused(2)),
            ("v_mul_f32_e32 v43, v72, v51", Kind::Multiply),
            ("v_mul_lo_u32 v1, v1, s13", Kind::Slow),
            ("v_max3_f32 v1, v2, v3, v4", Kind::Vector),
            ("buffer_load_dwordx4 v[4:7], v3, s[12:15], 0 offen", Kind::Load(4)),
            ("buffer_store_b64 v[4:5], v3, s[12:15], 0 offen", Kind::Store(2)),
            ("ds_read2_b64 v[4:7], v3 offset1:1", Kind::Shared(4)),
            ("s_buffer_load_dwordx2 s[20:21], s[20:23], s13", Kind::Constants),
            ("s_waitcnt vmcnt(4)", Kind::Wait { loads: Some(4), others: None }),
            ("s_waitcnt vmcnt(0) lgkmcnt(0)", Kind::Wait { loads: Some(0), others: Some(0) }),
            ("s_waitcnt_depctr 0xfff", Kind::Scalar),
            ("s_cbranch_execz BB66", Kind::Branch),
        ];
        for (line, expected) in kinds {
            assert_eq!(kind(line), expected, "{line}");
        }
    }
}
