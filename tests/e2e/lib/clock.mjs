// A wall clock that tests set forward, so that what lives for weeks is seen to end: the program under test runs with
// clock_shift.c preloaded.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { endianness, tmpdir } from 'node:os';
import { join } from 'node:path';
import { e2ePath } from './children.mjs';
import { sanitizerEnv } from './tulle.mjs';

/** {env: settings for startTulle(), advance(seconds), now(): milliseconds as the program sees them}. */
export function makeClock() {
    const dir = mkdtempSync(join(tmpdir(), 'tulle-clock-'));
    const [library, file] = [join(dir, 'clock_shift.so'), join(dir, 'shift')];
    const built = spawnSync('cc', ['-D_GNU_SOURCE', '-shared', '-fPIC', '-O1', '-o', library, e2ePath('lib/clock_shift.c')], { encoding: 'utf8' });
    assert.equal(built.status, 0, `cc: ${built.error ?? built.stderr}`);
    const fd = openSync(file, 'w');
    let shift = 0;
    const advance = (seconds) => {
        const bytes = Buffer.alloc(8);
        shift += seconds;
        if (endianness() === 'LE') bytes.writeBigInt64LE(BigInt(shift));
        else bytes.writeBigInt64BE(BigInt(shift));
        writeSync(fd, bytes, 0, 8, 0);
    };
    advance(0);
    process.on('exit', () => {
        closeSync(fd);
        rmSync(dir, { recursive: true, force: true });
    });
    const env = { LD_PRELOAD: library, TULLE_TEST_CLOCK: file, ASAN_OPTIONS: `${sanitizerEnv.ASAN_OPTIONS}:verify_asan_link_order=0` };
    return { env, advance, now: () => Date.now() + shift * 1000 };
}
