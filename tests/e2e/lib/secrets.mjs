// Planted secrets: every value made here must never be seen in a log, a metric or an audit line. tulle.mjs checks it at each stop.
import { randomBytes } from 'node:crypto';
import assert from 'node:assert/strict';

const planted = new Map();

/** A new secret that nobody may print. */
export function plant(label) {
    const value = `planted${randomBytes(18).toString('hex')}`;
    planted.set(value, label);
    return value;
}

/** Registers a secret that somebody else made (an API key). */
export function guard(value, label) {
    planted.set(value, label);
    return value;
}

/** Fails when `text` holds a planted secret, plainly, in base64 or percent-encoded. */
export function assertNoSecrets(text, where) {
    for (const [value, label] of planted)
        for (const form of [value, Buffer.from(value).toString('base64').replace(/=+$/, ''), encodeURIComponent(value)])
            assert.ok(!text.includes(form), `${where} shows the secret "${label}"`);
}
