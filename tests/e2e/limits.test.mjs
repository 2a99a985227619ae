// How often and how much at once: calls of a key, a connection, an organization, a person; and how many guesses get through.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rpc, send } from './lib/http.mjs';
import { Browser } from './lib/browser.mjs';
import { form, makeClient, makeOwner, signedIn } from './lib/oauth.mjs';
import { startRaw } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { until } from './lib/children.mjs';

let tulle, org, other, raw, connection, second;
const elsewhere = { 'x-forwarded-for': '203.0.113.7' };

before(async () => {
    [tulle, raw] = await Promise.all([startTulle({ env: { WORKERS: '3', TRUSTED_PROXIES: '127.0.0.1' } }), startRaw()]);
    org = await makeOwner(tulle, 'acme');
    other = await makeOwner(tulle, 'other');
    connection = await tulle.connect(org, { name: 'First', slug: 'first', url: raw.url });
    second = await tulle.connect(org, { name: 'Second', slug: 'second', url: raw.url });
});
after(() => tulle?.end());

const call = (where = connection, key = org.key, name = 'echo') => rpc(where.mcp, 'tools/call', { name, arguments: { text: 'x' } }, { key });
const policy = (fields) => tulle.use('ORGANIZATION_POLICY_UPDATE', fields, org);
const update = (fields) => tulle.use('CONNECTION_UPDATE', { connection_id: connection.id, ...fields }, org);

/** Calls until one is refused: how many were answered; the refusal is checked. */
async function countCalls(where, key, max = 40) {
    for (let n = 0; n < max; n++) {
        const answer = await call(where, key);
        if (answer.status === 200) continue;
        assert.equal(answer.status, 429, answer.text);
        const seconds = Number(answer.headers['retry-after']);
        assert.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60, `Retry-After: ${answer.headers['retry-after']}`);
        assert.equal(answer.body.jsonrpc, '2.0');
        assert.equal(typeof answer.body.id, 'number');
        assert.equal(answer.body.error.data.reason, 'rate_limited');
        return n;
    }
    return max;
}

/** All of a minute at once, and what has come back since: a slow machine lets more through, never less. */
function assertBudget(n, perMinute, since, what) {
    const back = Math.ceil((Date.now() - since) * perMinute / 60_000);
    assert.ok(n >= perMinute && n <= perMinute + back, `${what}: ${n} of ${perMinute}, and ${back} that came back`);
}

/** What a client does that reconnects. */
async function assertReconnects(where = connection, key = org.key) {
    for (let i = 0; i < 10; i++) {
        const hello = await rpc(where.mcp, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }, { key });
        assert.equal(hello.status, 200, hello.text);
        for (const method of ['tools/list', 'ping']) {
            const { status, text } = await rpc(where.mcp, method, {}, { key, headers: { 'mcp-session-id': hello.headers['mcp-session-id'] } });
            assert.equal(status, 200, text);
        }
    }
    const path = new URL(where.mcp).pathname;
    for (let i = 0; i < 10; i++) assert.equal((await send(`${tulle.url}/.well-known/oauth-protected-resource${path}`, { method: 'GET' })).status, 200);
}

const holdCalls = async () => {
    await raw.forget();
    await raw.plan({ 'tools/call': { name: 'hold' } });
};
const held = (n) => until(`${n} calls run`, async () => (await raw.seen()).filter(({ body }) => body.includes('"tools/call"')).length >= n);
const letGo = async () => {
    await raw.plan({});
    await fetch(`${raw.origin}/_release`, { method: 'POST' });
};

test('nothing is limited unless somebody says so', async () => {
    assert.equal(await countCalls(connection, org.key, 100), 100);
});

test('a connection, by its own number: all workers count together, others are not touched, reconnecting goes on', async () => {
    const item = (await update({ calls_per_minute: 7 })).item;
    assert.equal(item.calls_per_minute, 7);
    const since = Date.now();
    let n = await countCalls();
    assertBudget(n, 7, since, 'of three workers');
    await assertReconnects();
    assert.equal(await countCalls(second, org.key, 10), 10);
    assert.equal((await rpc(`${tulle.url}/mcp/hub`, 'tools/list', {}, { key: org.key })).status, 200);
    let viaTool;
    do viaTool = await tulle.tool('CONNECTION_TOOL_CALL', { connection_id: connection.id, name: 'echo', arguments: {} }, org);
    while (viaTool.status === 200 && n++ < 40);
    assert.equal(viaTool.status, 429, viaTool.text);
    assert.ok(Number(viaTool.headers['retry-after']) >= 1);
    n += await countCalls(connection, await tulle.makeKey('acme', org.email));
    assertBudget(n, 7, since, 'whatever key and way');
    await update({ calls_per_minute: 6000 });
    assert.equal(await countCalls(connection, org.key, 10), 10, 'raised: at once');
    await update({ calls_per_minute: 0 });
});

test('a key, whatever it calls; another key of the same person has its own', async () => {
    await policy({ rate_key: 5 });
    const [one, two] = [await tulle.makeKey('acme', org.email), await tulle.makeKey('acme', org.email)];
    const since = Date.now();
    assertBudget(await countCalls(connection, one) + await countCalls(second, one), 5, since, 'of one key');
    assertBudget(await countCalls(connection, two), 5, since, 'of the other');
    await policy({ rate_key: 0 });
    assert.equal(await countCalls(connection, one, 10), 10);
});

test('an organization, all of its keys together; another organization does not notice', async () => {
    const theirs = await tulle.connect(other, { name: 'Theirs', slug: 'theirs', url: raw.url });
    const key = await tulle.makeKey('acme', org.email);
    await policy({ rate_organization: 4 });
    const since = Date.now();
    assertBudget(await countCalls(connection, org.key, 2) + await countCalls(second, key), 4, since, 'of both keys');
    assert.equal(await countCalls(theirs, other.key, 20), 20);
    await policy({ rate_organization: 0 });
});

test('at the same time: the running ones hold their places, and give them back however they end', async () => {
    await update({ calls_at_once: 2 });
    await holdCalls();
    const running = [call(), call()];
    await held(2);
    for (let i = 0; i < 5; i++) assert.equal((await call()).status, 429);
    await assertReconnects();
    await letGo();
    for (const answer of await Promise.all(running)) assert.equal(answer.status, 200, answer.text);
    await until('there is room again', async () => (await call()).status === 200);
    await policy({ concurrent_key: 1 });
    await update({ calls_at_once: 0 });
    await holdCalls();
    const first = call();
    await held(1);
    assert.equal((await call(second)).status, 429);
    await raw.plan({});
    assert.equal((await call(second, await tulle.makeKey('acme', org.email))).status, 200, 'another key');
    await letGo();
    assert.equal((await first).status, 200);
    await policy({ concurrent_key: 0 });
});

// ---- guesses ----

/** Guesses until one is refused with 429 (or its page says to wait): how many were judged. */
async function countGuesses(guess, max = 60) {
    for (let n = 0; n < max; n++) {
        const answer = await guess(n);
        if (answer.status === 429) {
            assert.ok(Number(answer.headers['retry-after']) >= 1, 'says how long');
            return n;
        }
        assert.ok(answer.status >= 400 && answer.status < 500 || answer.status === 200, `${answer.status} ${answer.text}`);
    }
    return max;
}

const random = () => randomBytes(32).toString('base64url');
const from = (address) => ({ headers: { 'x-forwarded-for': address } });

test('guesses: how many are judged before the next one must wait', async () => {
    const client = await makeClient(tulle);
    const token = (fields, address) => form(`${tulle.url}/oauth/token`, { client_id: client.client_id, ...fields }, { 'x-forwarded-for': address });
    const confidential = await makeClient(tulle, { token_endpoint_auth_method: 'client_secret_post' });
    const page = new Browser(tulle.url);
    const password = async (email, address) => {
        await page.open('/login');
        const answer = await page.submit('/login', { email, password: 'a guess' }, from(address));
        return { ...answer, text: answer.html, headers: Object.fromEntries(answer.headers?.entries?.() ?? Object.entries(answer.headers ?? {})) };
    };
    const link = (path) => (n) => send(`${tulle.url}${path}${random()}`, { method: n % 2 && !path.includes('?') ? 'HEAD' : 'GET', ...from('203.0.113.30') });
    const counts = {
        'authorization codes of one client': await countGuesses(() => token({ grant_type: 'authorization_code', code: random(), code_verifier: 'v'.repeat(43), redirect_uri: client.redirect_uri }, '203.0.113.10')),
        'refresh tokens of one client': await countGuesses(() => token({ grant_type: 'refresh_token', refresh_token: `tulle_rt_${random()}` }, '203.0.113.11')),
        'device codes of one client': await countGuesses(() => token({ grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: random() }, '203.0.113.12')),
        'client secrets': await countGuesses(() => form(`${tulle.url}/oauth/token`, { grant_type: 'client_credentials', client_id: confidential.client_id, client_secret: random() }, { 'x-forwarded-for': '203.0.113.13' })),
        'passwords of one account': await countGuesses((n) => password(org.email, `203.0.113.${100 + n}`)),
        'passwords from one address': await countGuesses((n) => password(`nobody${n}@acme.example`, '203.0.113.20')),
    };
    const since = Date.now();
    assertBudget(await countGuesses(link('/invite/')) + await countGuesses(link('/setup?token=')), 20, since, 'links from one address');
    assert.deepEqual(counts, {
        'authorization codes of one client': 20, 'refresh tokens of one client': 20, 'device codes of one client': 20, 'client secrets': 20,
        'passwords of one account': 5, 'passwords from one address': 20,
    });
});

test('guesses: user codes of one person', async () => {
    const browser = await signedIn(tulle, other);
    const letters = 'BCDFGHJKLMNPQRSTVWXZ';
    let n = 0, page;
    for (; n < 40; n++) {
        await browser.open('/device');
        page = await browser.submit('/device', { user_code: Array.from(randomBytes(8), (b) => letters[b % 20]).join('') });
        if (page.status === 429) break;
    }
    assert.equal(n, 5, page.html);
});

test('challenges for passkeys that one address asks for', async () => {
    const page = new Browser(tulle.url);
    await page.open('/login');
    const { csrf_token } = page.page.form('/login').fields;
    const ask = (address) => page.request('/login/passkey/options', { method: 'POST', body: new URLSearchParams({ csrf_token, purpose: 'signin' }).toString(), ...from(address) });
    const since = Date.now();
    let n = 0, answer;
    for (; n < 200 && (answer = await ask('203.0.113.40')).status === 200; n++);
    assert.deepEqual([answer.status, Number(answer.headers['retry-after']) > 0], [429, true], answer.html);
    assertBudget(n, 60, since, 'challenges');
    assert.equal((await ask('203.0.113.41')).status, 200, 'another address');
});
