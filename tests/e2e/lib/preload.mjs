// Small libraries that stand before the system's own in the program under test.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { e2ePath } from './children.mjs';
import { sanitizerEnv } from './tulle.mjs';

/** Builds lib/NAME.c: {dir, library}, gone when the test file ends. */
export function buildLibrary(name) {
    const dir = mkdtempSync(join(tmpdir(), `tulle-${name}-`));
    const library = join(dir, `${name}.so`);
    const built = spawnSync('cc', ['-D_GNU_SOURCE', '-shared', '-fPIC', '-O1', '-o', library, e2ePath(`lib/${name}.c`)], { encoding: 'utf8' });
    assert.equal(built.status, 0, `cc: ${built.error ?? built.stderr}`);
    process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
    return { dir, library };
}

/** Settings for startTulle() under which these libraries come first. */
export const preload = (...libraries) =>
    ({ LD_PRELOAD: libraries.join(':'), ASAN_OPTIONS: `${sanitizerEnv.ASAN_OPTIONS}:verify_asan_link_order=0` });
