//! The benchmark itself: the same every time, and as its policies promise.
