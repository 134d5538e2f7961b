//! Replacing `memmap2::` by `mmap_ahead::` compiles: same traits, same signatures, same output.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::RawFd;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Whether a type implements a trait, as a constant: the inherent constant wins where its bound
/// holds.
macro_rules! implements {
    ($type:ty: $($bound:tt)+) => {{
        #[allow(dead_code, reason = "not taken where the bound holds")]
        trait Otherwise {
            const ANSWER: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}
        #[allow(dead_code, reason = "the trait's constant is taken where the bound does not hold")]
        struct Asked<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "as above")]
        impl<T: ?Sized + $($bound)+> Asked<T> {
            const ANSWER: bool = true;
        }
        <Asked<$type>>::ANSWER
    }};
}

/// For each type: ours implements the trait exactly when memmap2's does.
macro_rules! same_traits {
    ($($type:ident),+; $bounds:tt) => { $(same_traits!(@type $type $bounds);)+ };
    (@type $type:ident [$($bound:path),+ $(,)?]) => {
        $(const _: () = assert!(
            implements!(mmap_ahead::$type: $bound) == implements!(memmap2::$type: $bound),
            concat!(stringify!($type), " and ", stringify!($bound)),
        );)+
    };
}

same_traits!(
    Mmap, MmapMut, MmapRaw, MmapOptions, Advice, UncheckedAdvice, RemapOptions, MapIfSafeError,
    MmapRawDescriptor;
    [
        Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Clone, Copy, fmt::Debug, fmt::Display,
        Default, PartialEq, Eq, PartialOrd, std::hash::Hash, std::error::Error, Into<io::Error>,
        Deref<Target = [u8]>, DerefMut<Target = [u8]>, AsRef<[u8]>, AsMut<[u8]>, Iterator,
    ]
);

/// The question itself can answer both ways.
const _: () = assert!(implements!(u8: Send) && !implements!(*const u8: Send));
/// The conversions are between our own types.
const _: () = assert!(implements!(mmap_ahead::MmapRaw: From<mmap_ahead::Mmap>));
const _: () = assert!(implements!(mmap_ahead::MmapRaw: From<mmap_ahead::MmapMut>));

#[cfg(feature = "stable_deref_trait")]
const _: () = {
    assert!(implements!(mmap_ahead::Mmap: stable_deref_trait::StableDeref));
    assert!(implements!(mmap_ahead::MmapMut: stable_deref_trait::StableDeref));
};

/// Every function, with memmap2's signature.
#[allow(dead_code, reason = "it has only to compile")]
fn signatures() {
    use mmap_ahead::{
        Advice, MapIfSafeError, Mmap, MmapMut, MmapOptions, MmapRaw, RemapOptions, UncheckedAdvice,
    };
    type Setter = fn(&mut MmapOptions) -> &mut MmapOptions;
    let _: fn() -> MmapOptions = MmapOptions::new;
    let _: fn(&mut MmapOptions, u64) -> &mut MmapOptions = MmapOptions::offset;
    let _: fn(&mut MmapOptions, usize) -> &mut MmapOptions = MmapOptions::len;
    let _: fn(&mut MmapOptions, Option<u8>) -> &mut MmapOptions = MmapOptions::huge;
    let _: [Setter; 4] = [
        MmapOptions::stack,
        MmapOptions::populate,
        MmapOptions::no_reserve_swap,
        MmapOptions::no_probe_handle,
    ];
    type Maps<T> = unsafe fn(&MmapOptions, RawFd) -> io::Result<T>;
    type MapsSafely<T, E> = fn(&MmapOptions, RawFd) -> Result<T, E>;
    let _: [Maps<Mmap>; 3] =
        [MmapOptions::map, MmapOptions::map_exec, MmapOptions::map_copy_read_only];
    let _: [Maps<MmapMut>; 2] = [MmapOptions::map_mut, MmapOptions::map_copy];
    let _: MapsSafely<Mmap, MapIfSafeError> = MmapOptions::map_if_safe;
    let _: [MapsSafely<MmapRaw, io::Error>; 2] =
        [MmapOptions::map_raw, MmapOptions::map_raw_read_only];
    let _: fn(&MmapOptions) -> io::Result<MmapMut> = MmapOptions::map_anon;

    let _: unsafe fn(RawFd) -> io::Result<Mmap> = Mmap::map;
    let _: fn(RawFd) -> Result<Mmap, MapIfSafeError> = Mmap::map_if_safe;
    let _: fn(Mmap) -> io::Result<MmapMut> = Mmap::make_mut;
    let _: unsafe fn(RawFd) -> io::Result<MmapMut> = MmapMut::map_mut;
    let _: fn(usize) -> io::Result<MmapMut> = MmapMut::map_anon;
    let _: [fn(MmapMut) -> io::Result<Mmap>; 2] = [MmapMut::make_read_only, MmapMut::make_exec];
    let _: fn(RawFd) -> io::Result<MmapRaw> = MmapRaw::map_raw;
    let _: fn(&MmapRaw) -> *const u8 = MmapRaw::as_ptr;
    let _: fn(&MmapRaw) -> *mut u8 = MmapRaw::as_mut_ptr;
    let _: fn(&MmapRaw) -> usize = MmapRaw::len;

    macro_rules! shared {
        ($($type:ident)+) => {$(
            let _: fn(&$type, Advice) -> io::Result<()> = $type::advise;
            let _: unsafe fn(&$type, UncheckedAdvice) -> io::Result<()> = $type::unchecked_advise;
            let _: fn(&$type, Advice, usize, usize) -> io::Result<()> = $type::advise_range;
            let _: unsafe fn(&$type, UncheckedAdvice, usize, usize) -> io::Result<()> =
                $type::unchecked_advise_range;
            let _: [fn(&$type) -> io::Result<()>; 2] = [$type::lock, $type::unlock];
            let _: unsafe fn(&mut $type, usize, RemapOptions) -> io::Result<()> = $type::remap;
        )+};
    }
    macro_rules! flushed {
        ($($type:ident)+) => {$(
            let _: [fn(&$type) -> io::Result<()>; 2] = [$type::flush, $type::flush_async];
            let _: [fn(&$type, usize, usize) -> io::Result<()>; 2] =
                [$type::flush_range, $type::flush_async_range];
        )+};
    }
    shared!(Mmap MmapMut MmapRaw);
    flushed!(MmapMut MmapRaw);
}

/// The enums and the errors are memmap2's own: values pass from one crate to the other.
#[test]
fn advice_and_errors_are_the_same_types() {
    fn maps(
        file: impl mmap_ahead::MmapAsRawDesc,
    ) -> Result<mmap_ahead::Mmap, memmap2::MapIfSafeError> {
        mmap_ahead::Mmap::map_if_safe(file)
    }
    let file = File::open("/dev/null").unwrap();
    assert!(maps(&file).unwrap_err().not_safe());
    let advice: memmap2::Advice = mmap_ahead::Advice::Sequential;
    let map = mmap_ahead::MmapMut::map_anon(4096).unwrap();
    map.advise(advice).unwrap();
}

#[test]
fn debug_output_is_memmap2s() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    fs::write(&path, vec![7; 8192]).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    // SAFETY: nobody changes the file.
    let map = unsafe { mmap_ahead::MmapOptions::new().offset(5).map(&file) }.unwrap();
    let expected = |name: &str, ptr| format!("{name} {{ ptr: {ptr:?}, len: 8187 }}");
    assert_eq!(format!("{map:?}"), expected("Mmap", map.as_ptr()));
    assert_eq!(format!("{map:#?}").lines().count(), 4);
    let raw = mmap_ahead::MmapRaw::from(map);
    assert_eq!(format!("{raw:?}"), expected("MmapRaw", raw.as_ptr()));
    // SAFETY: as above.
    let map = unsafe { mmap_ahead::MmapOptions::new().offset(5).map_mut(&file) }.unwrap();
    assert_eq!(format!("{map:?}"), expected("MmapMut", map.as_ptr()));
}

#[test]
fn every_view_of_a_mapping_is_the_same_bytes() {
    let mut map = mmap_ahead::MmapMut::map_anon(3 * 4096).unwrap();
    map.as_mut()[1] = 1;
    map[2] = 2;
    map.deref_mut()[3] = 3;
    assert_eq!(&map.as_ref()[..4], [0, 1, 2, 3]);
    let map = map.make_read_only().unwrap();
    assert_eq!(
        (&map[..4], map.as_ref().len(), map.deref().len()),
        (&[0, 1, 2, 3][..], 12288, 12288)
    );
    let mut map = map.make_mut().unwrap();
    map[0] = 9;
    let raw = mmap_ahead::MmapRaw::from(map);
    assert_eq!((raw.as_ptr(), raw.len()), (raw.as_mut_ptr().cast_const(), 12288));
    // SAFETY: the pointer is valid for `len` bytes while `raw` lives.
    assert_eq!(unsafe { raw.as_ptr().read() }, 9);
}
