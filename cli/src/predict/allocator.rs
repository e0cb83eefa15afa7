//! What the C library's allocator does with memory that is freed.

/// Keeps up to 64 MiB of it for what comes next. Each image takes megabytes and frees them; glibc would give them back to the
/// system each time, which would clear them anew for the next image. On one thread that took a quarter of the time.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const KEPT: libc::c_int = 64 << 20;
        // The most that glibc takes: what is larger is mapped, and unmapped when it is freed.
        const MAPPED: libc::c_int = 32 << 20;
        for (parameter, value) in [(libc::M_TRIM_THRESHOLD, KEPT), (libc::M_MMAP_THRESHOLD, MAPPED)] {
            // SAFETY: mallopt takes any numbers; no other thread runs yet.
            #[allow(unsafe_code, reason = "no crate has it")]
            unsafe {
                libc::mallopt(parameter, value);
            }
        }
    }
}
