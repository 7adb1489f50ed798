//! Error numbers that the modelled functions return, negative as the kernel does.

macro_rules! errnos {
    ($($name:ident = $n:expr),* $(,)?) => {
        $(#[doc = concat!("`-", stringify!($name), "`")] pub const $name: i64 = -$n;)*

        /// The name of an error code such as -22, without the minus: `EINVAL`.
        pub fn name(code: i64) -> Option<&'static str> {
            match code {
                $($name => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

errnos! {
    EPERM = 1, ENOENT = 2, EINTR = 4, E2BIG = 7, EBADF = 9, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EBUSY = 16,
    EEXIST = 17, EINVAL = 22, ENOSPC = 28, EDEADLK = 35, EOPNOTSUPP = 95, ETIMEDOUT = 110, ECANCELED = 125,
    ENOTSUPP = 524,
}
