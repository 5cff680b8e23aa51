//! The driver with io_uring: each socket has one multishot `recvmsg` that puts datagrams into a ring of buffers we
//! provide, sends are queued and go out in one system call, and the thread waits inside `io_uring_enter` until the turn
//! is over, so that a packet costs no system call and no wake-up of its own.
//!
//! A packet is sent out of the buffer it came in. Sends never wait (`MSG_DONTWAIT`), so the kernel is through with them
//! when the call that submits them returns; only then buffers go back to the kernel. A turn therefore submits, gives
//! the buffers back, and waits: two system calls, however many packets.
//!
//! A receive that has ended (out of buffers, most often) is begun anew when its mark comes up. Cancelling is by socket
//! and in force when the submission returns, so a socket that is given back is not read by us any more.
//!
//! This is the one file with `unsafe`: the kernel is told addresses, and nobody but us sees to it that what is there
//! lives long enough. What has to hold is said at each block. In short: buffers, the ring that offers them, addresses
//! and the pattern of `recvmsg` are allocated once, never move, and are freed after [`Drop`] has cancelled everything.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, CancelBuilder, Fd, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::sys::eventfd::EventFd;

use crate::io::media::driver::{Driver, WAKER};
use crate::limits::MEDIA_DATAGRAM;

/// Buffers for datagrams: what 20,000 packets a second bring in 50 ms. Without any left the kernel keeps datagrams at
/// their sockets. A power of two.
const BUFFERS: u16 = 1_024;
/// What `recvmsg` puts before the datagram: four figures, and room for an address.
const NAME: usize = size_of::<libc::sockaddr_in6>();
const HEADER: usize = 16 + NAME;
/// A buffer: one byte more than a packet may have, to see that it is longer.
const BUFFER: usize = HEADER + MEDIA_DATAGRAM + 1;
/// Entries of the submission queue, and how many sends at once.
const SENDS: usize = 256;
const COMPLETIONS: u32 = 4_096;
const GROUP: u16 = 0;
const PAGE: usize = 4_096;
/// Marks of ours: a send that failed, a cancellation that found nothing.
const SEND: u64 = WAKER - 1;
const CANCEL: u64 = WAKER - 2;

/// See the module.
pub(in crate::io::media) struct Uring {
    ring: IoUring,
    waker: Arc<EventFd>,
    buffers: Buffers,
    /// What `recvmsg` is to fill in: only the room for the address counts.
    pattern: Box<libc::msghdr>,
    /// Destinations of the sends that are queued; the kernel copies them when they are submitted.
    destinations: Box<[[u8; NAME]; SENDS]>,
    /// Packets of our own that are queued. Never longer than it was made for, so it does not move.
    own: Vec<[u8; MEDIA_DATAGRAM]>,
    queued: usize,
    queued_own: usize,
    /// Completions that were taken out of the ring, last first.
    completions: Vec<cqueue::Entry>,
    /// The one at hand.
    current: Current,
    /// Buffers that are to be given back when the sends are through.
    used: Vec<u16>,
    failed: u64,
}

/// The completion that [`Driver::next`] gave last, and the datagram in it.
#[derive(Clone, Copy, Default)]
struct Current {
    buffer: Option<u16>,
    /// Length of what the kernel wrote.
    length: usize,
    start: usize,
    end: usize,
    goes_on: bool,
}

/// Whether this kernel lets us use io_uring as we do: a packet is sent and received. On a thread of its own, because the
/// end of a ring interrupts system calls of the thread that made it.
pub(super) fn probe() -> io::Result<()> {
    let probing = std::thread::Builder::new().name("media-probe".to_owned()).spawn(send_and_receive)?;
    probing.join().unwrap_or_else(|_| Err(io::Error::other("the probe of io_uring failed")))
}

fn send_and_receive() -> io::Result<()> {
    let waker = Arc::new(EventFd::new()?);
    let mut uring = Uring::new(waker)?;
    let (a, b) = (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
    let (from, to) = (a.local_addr()?, b.local_addr()?);
    uring.add(&b, 7)?;
    uring.send(&a, to, b"probe")?;
    uring.wait(Duration::ZERO, Some(Duration::from_secs(1)));
    while let Some(mark) = uring.next() {
        if mark == 7 && uring.read(&b, mark) == Some(from) && uring.datagram() == b"probe" {
            return Ok(());
        }
    }
    Err(io::Error::new(io::ErrorKind::Unsupported, "io_uring did not bring a packet (Linux 6.1 is needed)"))
}

impl Uring {
    pub(in crate::io::media) fn new(waker: Arc<EventFd>) -> io::Result<Uring> {
        // Work that a datagram causes is done when we ask, by the one thread that asks.
        let ring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .dontfork()
            .build(SENDS as u32)?;
        let buffers = Buffers::new(&ring)?;
        // SAFETY: all fields of a msghdr are integers and pointers, and a null pointer is a value of theirs.
        let mut pattern: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        pattern.msg_namelen = NAME as libc::socklen_t;
        let mut uring = Uring {
            ring,
            waker,
            buffers,
            pattern,
            destinations: Box::new([[0; NAME]; SENDS]),
            own: Vec::with_capacity(SENDS),
            queued: 0,
            queued_own: 0,
            completions: Vec::with_capacity(COMPLETIONS as usize),
            current: Current::default(),
            used: Vec::with_capacity(usize::from(BUFFERS)),
            failed: 0,
        };
        uring.watch_waker()?;
        Ok(uring)
    }

    fn watch_waker(&mut self) -> io::Result<()> {
        let poll = opcode::PollAdd::new(Fd(self.waker.as_raw_fd()), libc::POLLIN as u32).multi(true);
        self.push(&poll.build().user_data(WAKER))
    }

    fn watch(&mut self, socket: RawFd, mark: u64) -> io::Result<()> {
        let receive = opcode::RecvMsgMulti::new(Fd(socket), &raw const *self.pattern, GROUP);
        self.push(&receive.build().user_data(mark))
    }

    /// So that one entry can be pushed, and a place in `destinations` and `own` is free for it.
    fn make_room(&mut self) {
        if self.queued == SENDS || self.ring.submission().is_full() {
            self.submit();
        }
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        self.make_room();
        // SAFETY: an entry may name the waker (held by `self`), a socket (a number, checked by the kernel), `pattern`
        // (boxed, lives as long as the ring), or bytes and an address in buffers, `own` and `destinations`, none of
        // which are freed before the ring, and none of which are written before `submit` has seen the entry taken.
        unsafe { self.ring.submission().push(entry) }.map_err(|_| io::ErrorKind::WouldBlock.into())
    }

    /// Hands over what is queued. When the kernel took all of it, sends are through and what they used is free again.
    fn submit(&mut self) {
        // Busy (the completion queue is full) or interrupted: the entries stay and go with the next submission.
        let _ = self.ring.submit();
        if self.ring.submission().is_empty() {
            self.queued = 0;
            self.queued_own = 0;
        }
    }

    /// Gives the buffers of the last turn back, unless a send from one of them still waits.
    fn recycle(&mut self) {
        if self.queued == 0 {
            self.buffers.give_back(&mut self.used);
        }
    }

    fn enter(&mut self, want: usize, timeout: Option<Duration>) {
        let submitter = self.ring.submitter();
        // Errors are the time-out (ETIME) and signals; what has come is in the queue either way.
        let _ = match timeout.map(|t| Timespec::new().sec(t.as_secs()).nsec(t.subsec_nanos())) {
            Some(time) => submitter.submit_with_args(want, &SubmitArgs::new().timespec(&time)),
            None => submitter.submit_and_wait(want),
        };
        self.completions.extend(self.ring.completion());
        self.completions.reverse();
    }

    /// Queues a send of bytes that stay where they are until it is submitted.
    fn queue(&mut self, socket: &UdpSocket, to: SocketAddr, bytes: *const u8, length: usize) -> io::Result<()> {
        self.make_room();
        let Some(place) = self.destinations.get_mut(self.queued) else { return Err(io::ErrorKind::WouldBlock.into()) };
        let name_length = write_address(to, place);
        let send = opcode::Send::new(Fd(socket.as_raw_fd()), bytes, length as u32)
            .flags(libc::MSG_DONTWAIT)
            .dest_addr(place.as_ptr().cast())
            .dest_addr_len(name_length)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(SEND);
        self.push(&send)?;
        self.queued += 1;
        Ok(())
    }
}

impl Driver for Uring {
    fn add(&mut self, socket: &UdpSocket, mark: u64) -> io::Result<()> {
        self.watch(socket.as_raw_fd(), mark)
    }

    fn remove(&mut self, socket: &UdpSocket) {
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::fd(Fd(socket.as_raw_fd())).all()).build();
        // With a full queue that cannot be submitted the ring is beyond use; the socket's latch refuses what it reads.
        let _ = self.push(&cancel.flags(squeue::Flags::SKIP_SUCCESS).user_data(CANCEL));
    }

    fn settle(&mut self) {
        self.submit();
    }

    fn wait(&mut self, pause: Duration, timeout: Option<Duration>) {
        self.submit();
        self.recycle();
        if !pause.is_zero() {
            // Waiting here and not in a sleep matters: what datagrams cause is only done by a thread that is inside.
            self.enter(usize::from(BUFFERS), Some(pause));
        }
        if self.completions.is_empty() {
            self.enter(1, timeout);
        }
    }

    fn next(&mut self) -> Option<u64> {
        while let Some(completion) = self.completions.pop() {
            let (mark, flags) = (completion.user_data(), completion.flags());
            let buffer = cqueue::buffer_select(flags);
            self.used.extend(buffer);
            let length = usize::try_from(completion.result()).unwrap_or(0);
            self.current = Current { buffer, length, start: 0, end: 0, goes_on: cqueue::more(flags) };
            match mark {
                SEND => self.failed += 1,
                CANCEL => {}
                WAKER => {
                    if !self.current.goes_on {
                        let _ = self.watch_waker();
                    }
                    return Some(WAKER);
                }
                _ if completion.result() == -libc::ECANCELED => {}
                mark => return Some(mark),
            }
        }
        None
    }

    fn read(&mut self, socket: &UdpSocket, mark: u64) -> Option<SocketAddr> {
        if !self.current.goes_on {
            let _ = self.watch(socket.as_raw_fd(), mark);
        }
        let written = self.buffers.get(self.current.buffer?, self.current.length);
        let message = RecvMsgOut::parse(written, &self.pattern).ok()?;
        let source = read_address(message.name_data())?;
        self.current.start = HEADER;
        self.current.end = HEADER + message.payload_data().len();
        Some(source)
    }

    fn datagram(&self) -> &[u8] {
        let Current { buffer: Some(buffer), length, start, end, .. } = self.current else { return &[] };
        self.buffers.get(buffer, length).get(start..end).unwrap_or_default()
    }

    fn forward(&mut self, socket: &UdpSocket, to: SocketAddr) -> io::Result<()> {
        // The buffer is in `used`, and `recycle` leaves it there until this is submitted.
        let bytes = self.datagram();
        let (bytes, length) = (bytes.as_ptr(), bytes.len());
        self.queue(socket, to, bytes, length)
    }

    fn send(&mut self, socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        self.make_room();
        if self.queued_own == self.own.len() {
            if self.own.len() == SENDS {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.own.push([0; MEDIA_DATAGRAM]);
        }
        let place = self.own.get_mut(self.queued_own).and_then(|place| place.get_mut(..bytes.len()));
        let Some(place) = place else { return Err(io::ErrorKind::InvalidInput.into()) };
        place.copy_from_slice(bytes);
        let (bytes, length) = (place.as_ptr(), place.len());
        self.queued_own += 1;
        self.queue(socket, to, bytes, length)
    }

    fn take_failed(&mut self) -> u64 {
        std::mem::take(&mut self.failed)
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // Nothing may be written into our buffers after they are freed: everything is cancelled, and the buffers are
        // taken from the kernel, before that.
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
        let _ = self.ring.submitter().unregister_buf_ring(GROUP);
    }
}

/// Memory that datagrams are received into, and the ring in which it is offered to the kernel.
struct Buffers {
    /// [`BUFFERS`] entries, page-aligned, shared with the kernel.
    offered: NonNull<BufRingEntry>,
    /// [`BUFFERS`] times [`BUFFER`] bytes.
    memory: NonNull<u8>,
    /// How many were ever offered: the ring's tail.
    tail: u16,
}

impl Buffers {
    fn new(ring: &IoUring) -> io::Result<Buffers> {
        let mut buffers = Buffers { offered: allocate(OFFERED).cast(), memory: allocate(MEMORY), tail: 0 };
        // SAFETY: the ring of entries is page-aligned, has as many entries as said, and is freed by `Buffers`, which
        // `Uring` drops after it has taken the ring from the kernel.
        unsafe { ring.submitter().register_buf_ring_with_flags(buffers.offered.as_ptr() as u64, BUFFERS, GROUP, 0)? };
        buffers.give_back(&mut (0..BUFFERS).collect());
        Ok(buffers)
    }

    /// What the kernel wrote into a buffer that it has given us.
    fn get(&self, buffer: u16, length: usize) -> &[u8] {
        if buffer >= BUFFERS {
            return &[];
        }
        // SAFETY: inside of `memory`, which was zeroed at the start; between the completion that named it and
        // `give_back`, which needs `&mut self`, the kernel does not touch it.
        unsafe {
            let start = self.memory.as_ptr().add(usize::from(buffer) * BUFFER);
            std::slice::from_raw_parts(start, length.min(BUFFER))
        }
    }

    /// Offers buffers that nobody reads any more to the kernel.
    fn give_back(&mut self, used: &mut Vec<u16>) {
        for buffer in used.drain(..).filter(|buffer| *buffer < BUFFERS) {
            let place = usize::from(self.tail % BUFFERS);
            // SAFETY: both places are inside of what was allocated. Entries from the tail on are ours; no reference is
            // made to memory that the kernel could write at the same time, because the buffer is not offered yet.
            unsafe {
                let entry = &mut *self.offered.as_ptr().add(place);
                entry.set_addr(self.memory.as_ptr().add(usize::from(buffer) * BUFFER) as u64);
                entry.set_len(BUFFER as u32);
                entry.set_bid(buffer);
            }
            self.tail = self.tail.wrapping_add(1);
        }
        // SAFETY: the tail lies in the first entry, aligned for a u16, and is read by the kernel, so it is written
        // atomically, after the entries.
        unsafe {
            let tail = BufRingEntry::tail(self.offered.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated with these layouts, once; the kernel has given them back, see the drop of `Uring`.
        unsafe {
            dealloc(self.offered.as_ptr().cast(), OFFERED);
            dealloc(self.memory.as_ptr(), MEMORY);
        }
    }
}

const OFFERED: Layout = layout(BUFFERS as usize * size_of::<BufRingEntry>());
const MEMORY: Layout = layout(BUFFERS as usize * BUFFER);

const fn layout(size: usize) -> Layout {
    match Layout::from_size_align(size, PAGE) {
        Ok(layout) => layout,
        Err(_) => panic!("a constant size"),
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: no layout of ours has a size of zero.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// `sockaddr_in` or `sockaddr_in6`, and its length.
fn write_address(address: SocketAddr, place: &mut [u8; NAME]) -> libc::socklen_t {
    *place = [0; NAME];
    place[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => {
            place[..2].copy_from_slice(&(libc::AF_INET as libc::sa_family_t).to_ne_bytes());
            place[4..8].copy_from_slice(&v4.ip().octets());
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(v6) => {
            place[..2].copy_from_slice(&(libc::AF_INET6 as libc::sa_family_t).to_ne_bytes());
            place[8..24].copy_from_slice(&v6.ip().octets());
            place[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            NAME as libc::socklen_t
        }
    }
}

fn read_address(name: &[u8]) -> Option<SocketAddr> {
    let field = |from: usize| name.get(from..from + 2)?.try_into().ok();
    let family = i32::from(libc::sa_family_t::from_ne_bytes(field(0)?));
    let port = u16::from_be_bytes(field(2)?);
    if family == libc::AF_INET {
        let octets: [u8; 4] = name.get(4..8)?.try_into().ok()?;
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port));
    }
    if family != libc::AF_INET6 {
        return None;
    }
    let octets: [u8; 16] = name.get(8..24)?.try_into().ok()?;
    let scope = u32::from_ne_bytes(name.get(24..28)?.try_into().ok()?);
    Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, scope)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_there_and_back() {
        for address in ["192.0.2.7:4000", "[2001:db8::7]:65535", "[fe80::1%3]:1"] {
            let address: SocketAddr = address.parse().unwrap();
            let mut place = [0xff; NAME];
            let length = write_address(address, &mut place) as usize;
            assert_eq!(read_address(&place[..length]), Some(address));
        }
        assert_eq!(read_address(&[1, 0, 0, 0]), None);
        assert_eq!(read_address(&[2]), None);
    }
}
