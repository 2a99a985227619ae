// Child processes and ports, and waiting for conditions with a deadline. Nothing outlives the test file.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

export const e2eDir = dirname(dirname(fileURLToPath(import.meta.url)));
export const repoDir = dirname(dirname(e2eDir));

const running = new Set();
process.on('exit', () => {
    for (const child of running) child.kill('SIGKILL');
});

/** spawn() with collected output: child.out and child.err grow as text. */
export function launch(command, args, options = {}) {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    child.out = '';
    child.err = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (child.out += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (child.err += text));
    child.stdin.on('error', () => {});
    running.add(child);
    child.ended = new Promise((resolve) => {
        child.on('error', (error) => resolve({ code: -1, signal: null, error }));
        child.on('close', (code, signal) => {
            running.delete(child);
            resolve({ code, signal });
        });
    });
    child.ended.then((end) => (child.end = end));
    return child;
}

/** Polls until `probe` gives something truthy; throws with `what` after `ms`. */
export async function until(what, probe, ms = 10_000) {
    const deadline = Date.now() + ms;
    for (;;) {
        const value = await probe();
        if (value) return value;
        if (Date.now() > deadline) throw new Error(`waited ${ms} ms in vain: ${what}`);
        await sleep(20);
    }
}

/** A promise with a deadline. */
export function within(ms, what, promise) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A port of 127.0.0.1 that nobody uses now. */
export function freePort() {
    return new Promise((resolve, reject) => {
        const probe = createServer();
        probe.on('error', reject);
        probe.listen(0, '127.0.0.1', () => {
            const { port } = probe.address();
            probe.close(() => resolve(port));
        });
    });
}

/** A file below tests/e2e. */
export const e2ePath = (...parts) => join(e2eDir, ...parts);
