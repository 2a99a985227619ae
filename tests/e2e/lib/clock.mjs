// A wall clock that tests set forward, so that what lives for weeks is seen to end: the program under test runs with
// clock_shift.c preloaded.
import { closeSync, openSync, writeSync } from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { buildLibrary, preload } from './preload.mjs';

/**
 * {env: settings for startTulle(), advance(seconds), now(): milliseconds as the program sees them}. advanceDeadlines(seconds)
 * moves the monotonic clock: what waits is late at the next turn of its loop.
 */
export function makeClock() {
    const { dir, library } = buildLibrary('clock_shift');
    const file = join(dir, 'shift');
    const fd = openSync(file, 'w');
    const shifts = [0, 0]; // of the wall clock, of the monotonic one
    const move = (which, seconds) => {
        const bytes = Buffer.alloc(8);
        shifts[which] += seconds;
        if (endianness() === 'LE') bytes.writeBigInt64LE(BigInt(shifts[which]));
        else bytes.writeBigInt64BE(BigInt(shifts[which]));
        writeSync(fd, bytes, 0, 8, 8 * which);
    };
    move(0, 0);
    move(1, 0);
    process.on('exit', () => closeSync(fd));
    return {
        env: { ...preload(library), TULLE_TEST_CLOCK: file },
        advance: (seconds) => move(0, seconds), advanceDeadlines: (seconds) => move(1, seconds), now: () => Date.now() + shifts[0] * 1000,
    };
}
