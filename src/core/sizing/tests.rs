//! Against tables that are printed, and against properties that need none.

use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Rows: peak visits an hour; cells: numbers for 5 %, 1 % and 0.1 % blocked at holds of 0, 2.5, 5, 15, 30 and 60 minutes
/// with 3 minutes on the page.
const TABLE: [(f64, [[usize; 3]; 6]); 6] = [
    (20.0, [[4, 5, 6], [5, 6, 8], [6, 8, 10], [10, 13, 15], [16, 19, 23], [27, 31, 36]]),
    (50.0, [[6, 7, 9], [9, 11, 13], [11, 14, 16], [20, 24, 28], [33, 39, 44], [58, 67, 74]]),
    (100.0, [[9, 11, 14], [14, 17, 20], [18, 22, 26], [36, 42, 47], [61, 69, 77], [110, 123, 134]]),
    (200.0, [[15, 18, 21], [24, 28, 33], [32, 38, 43], [66, 75, 83], [115, 128, 139], [212, 232, 248]]),
    (500.0, [[31, 36, 41], [52, 59, 66], [72, 82, 91], [154, 170, 183], [274, 298, 318], [513, 552, 581]]),
    (1000.0, [[56, 64, 71], [97, 109, 119], [138, 152, 165], [298, 324, 344], [537, 577, 607], [1013, 1079, 1124]]),
];

const HOLDS: [u64; 6] = [0, 150, 300, 900, 1_800, 3_600];

#[test]
fn every_cell_of_the_table() {
    for (visits, cells) in TABLE {
        for (hold, expected) in HOLDS.into_iter().zip(cells) {
            let load = offered(visits, 3 * MINUTE, Duration::from_secs(hold));
            let found = [0.05, 0.01, 0.001].map(|target| numbers_for(load, 1.0, target));
            assert_eq!(found, expected, "{visits} visits an hour, hold of {hold} s, {load} Erlang");
        }
    }
}

#[test]
fn the_table_read_backwards() {
    // At 1 % blocked, 3 minutes on the page and 30 of hold.
    for (numbers, visits) in [(4, 1.6), (8, 5.7), (10, 8.1), (20, 22.0), (50, 69.0), (100, 153.0)] {
        let carried = load_for(numbers, 1.0, 0.01) * 3_600.0 / (33.0 * 60.0);
        assert!((carried - visits).abs() <= 0.5 * visits / 10.0_f64.max(visits), "{numbers}: {carried}");
    }
}

#[test]
fn printed_values_of_erlangs_formula() {
    // a²/2 / (1 + a + a²/2) and the like, by hand.
    for (numbers, load, expected) in
        [(0, 3.0, 1.0), (1, 1.0, 0.5), (2, 1.0, 0.2), (2, 2.0, 0.4), (3, 2.0, 4.0 / 19.0), (1, 9.0, 0.9)]
    {
        assert!((blocking(numbers, load, 1.0) - expected).abs() < 1e-12, "{numbers} {load}");
    }
    // Tables of traffic engineering: 10 trunks at 1 % carry 4.461 Erlang, 20 carry 12.03, 100 carry 84.06.
    for (numbers, load) in [(10, 4.461), (20, 12.03), (100, 84.06)] {
        assert!((load_for(numbers, 1.0, 0.01) / load - 1.0).abs() < 0.001, "{numbers}");
    }
}

#[test]
fn large_pools_neither_overflow_nor_cancel() {
    assert!(blocking(1_000_000, 1.0, 1.0) < 1e-300);
    let share = blocking(100_000, 100_000.0, 1.0);
    // For n = a, B is about sqrt(2 / (π a)).
    let expected = (2.0 / (std::f64::consts::PI * 100_000.0)).sqrt();
    assert!((share / expected - 1.0).abs() < 0.01, "{share}");
    assert_eq!(numbers_for(1e9, 1.0, 0.01), limits::NUMBERS);
}

#[test]
fn nothing_asks_for_nothing() {
    assert_eq!((blocking(0, 0.0, 1.0), numbers_for(0.0, 1.0, 0.01)), (0.0, 0));
    assert_eq!((numbers_for(5.0, 1.0, 1.0), load_for(0, 1.0, 0.01)), (0, 0.0));
    assert!(blocking(3, f64::NAN, 1.0) < f64::EPSILON);
}

#[test]
fn bursts_need_more() {
    let load = 30.0;
    let sizes = [1.0, 1.5, 2.0, 4.0].map(|z| numbers_for(load, z, 0.01));
    assert!(sizes.windows(2).all(|pair| pair[0] < pair[1]), "{sizes:?}");
    // Hayward: a peakedness of 2 over 84 numbers is 42 numbers with half the load.
    assert!((blocking(84, load, 2.0) - blocking(42, 15.0, 1.0)).abs() < 1e-12);
    // Smoother than chance is not relied on.
    assert_eq!(blocking(42, load, 0.5), blocking(42, load, 1.0));
}

#[test]
fn between_whole_numbers_there_is_no_step() {
    for load in [0.05, 0.7, 6.0, 300.0] {
        let next = inverse(3.0, load);
        let near = inverse(3.0 - 1e-9, load);
        assert!((next / near - 1.0).abs() < 1e-6, "{load}: {next} {near}");
        // An identity of the integral: 1/B(1, a) = 1 + 1/a.
        assert!((fortet(1.0, load) - (1.0 + 1.0 / load)).abs() < 1e-6 * (1.0 + 1.0 / load), "{load}");
    }
}

proptest! {
    #[test]
    fn more_numbers_block_less_and_more_load_blocks_more(
        numbers in 0_usize..300,
        load in 0.01_f64..300.0,
        z in 1.0_f64..5.0,
    ) {
        let share = blocking(numbers, load, z);
        prop_assert!((0.0..=1.0).contains(&share));
        prop_assert!(blocking(numbers + 1, load, z) <= share);
        prop_assert!(blocking(numbers, load * 1.1, z) >= share);
    }

    #[test]
    fn the_size_is_the_smallest_that_fits(load in 0.01_f64..500.0, z in 1.0_f64..4.0, target in 0.0005_f64..0.3) {
        let numbers = numbers_for(load, z, target);
        prop_assert!(blocking(numbers, load, z) <= target);
        prop_assert!(numbers == 0 || blocking(numbers - 1, load, z) > target);
        prop_assert!(load_for(numbers, z, target) >= load * (1.0 - 1e-9));
    }
}
