//! System calls that a container does not allow.

/// One instruction of a classic filter.
const fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Has these system calls refused with EPERM from now on, as containers do.
pub(crate) fn refuse(calls: &[libc::c_long]) -> bool {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let is_equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    // The number of the call is the first word.
    let mut filter = vec![instruction(load, 0, 0, 0)];
    for &call in calls {
        filter.push(instruction(is_equal, call as u32, 0, 1));
        filter.push(instruction(answer, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0, 0));
    }
    filter.push(instruction(answer, libc::SECCOMP_RET_ALLOW, 0, 0));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: numbers only.
    let is_meek = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == 0;
    let (set, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC);
    // SAFETY: the program is readable for the length of the call.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, set, flags, &raw const program) };
    is_meek && result == 0
}
