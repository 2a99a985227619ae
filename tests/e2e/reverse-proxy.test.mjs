// Behind a reverse proxy: whose word about the client is believed, and where the client's address then counts.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser } from './lib/browser.mjs';
import { until } from './lib/children.mjs';
import { send } from './lib/http.mjs';
import { makeClient, redeem } from './lib/oauth.mjs';
import { plant } from './lib/secrets.mjs';
import { startTulle } from './lib/tulle.mjs';

let behind, alone, org, password;
before(async () => {
    [behind, alone] = await Promise.all([
        startTulle({ env: { TRUSTED_PROXIES: '192.0.2.0/24, 127.0.0.1' } }),
        startTulle({ env: { TRUSTED_PROXIES: '192.0.2.0/24' } }),
    ]);
    for (const tulle of [behind, alone]) {
        password = plant('password');
        const made = await tulle.cli(['user', 'create', '--email', 'ada@acme.example', '--password-stdin'], { stdin: `${password}\n` });
        assert.equal(made.code, 0, made.stderr);
        await tulle.must('org', 'create', '--name', 'Acme', '--slug', 'acme', '--owner', 'ada@acme.example');
        tulle.password = password;
        tulle.user_id = made.stdout.trim();
        tulle.key = await tulle.makeKey('acme', 'ada@acme.example');
    }
    org = { key: behind.key };
});
after(() => Promise.all([behind?.end(), alone?.end()]));

/** A sign-in as a proxy passes it on. */
async function signIn(tulle, email, secret, headers) {
    const browser = new Browser(tulle.url);
    await browser.open('/login');
    return { browser, page: await browser.submit('/login', { email, password: secret }, { headers }) };
}

/** The address in the log line of this request. */
async function logged(tulle, answer) {
    const id = answer.headers['x-request-id'];
    return until('the log line', () => tulle.logs().find((line) => line.request_id === id)?.peer);
}

const get = (tulle, path, headers) => send(tulle.url + path, { method: 'GET', headers });
const events = async (tulle, filter) => (await tulle.use('ORGANIZATION_AUDIT_LIST', { kind: 'auth', limit: 100, ...filter }, { key: tulle.key })).items;

test('the log names the client that a trusted proxy saw, and not what the client claimed', async () => {
    assert.equal(await logged(behind, await get(behind, '/login', { 'x-forwarded-for': '203.0.113.9' })), '203.0.113.9');
    assert.equal(await logged(behind, await get(behind, '/login', { 'x-forwarded-for': '10.0.0.1, 203.0.113.9, 192.0.2.7' })), '203.0.113.9');
    assert.equal(await logged(behind, await get(behind, '/login', { 'x-forwarded-for': 'rubbish' })), '127.0.0.1');
    assert.equal(await logged(behind, await get(behind, '/login', {})), '127.0.0.1');
});

test('a header of an untrusted peer is nobody\'s word', async () => {
    assert.equal(await logged(alone, await get(alone, '/login', { 'x-forwarded-for': '203.0.113.9' })), '127.0.0.1');
    assert.equal((await get(alone, '/login', { host: 'evil.example', 'x-forwarded-host': `127.0.0.1:${alone.port}` })).status, 421);
    const { page } = await signIn(alone, 'ada@acme.example', alone.password, { 'x-forwarded-for': '203.0.113.9' });
    assert.equal(page.path, '/account', page.html);
    const [event] = await until('the audit row', async () => (await events(alone, { method: 'signin' })).length && events(alone, { method: 'signin' }));
    assert.deepEqual(event.arguments, { address: '127.0.0.1' });
});

test('a trusted proxy may name the Host; BASE_URL still decides', async () => {
    const inside = { host: 'tulle.internal:8080' };
    const refused = (await get(behind, '/login', inside)).status;
    assert.notEqual(refused, 200);
    assert.equal((await get(behind, '/login', { ...inside, 'x-forwarded-host': `localhost:${behind.port}` })).status, 200);
    assert.equal((await get(behind, '/login', { host: `localhost:${behind.port}`, 'x-forwarded-host': 'evil.example' })).status, refused);
    const metadata = await get(behind, '/.well-known/oauth-authorization-server', { 'x-forwarded-proto': 'https', 'x-forwarded-host': `localhost:${behind.port}` });
    assert.equal(metadata.body.issuer, `http://localhost:${behind.port}`, 'the issuer is BASE_URL, whatever a header says');
});

test('metrics stay with this machine, also when its proxy asks', async () => {
    assert.equal((await get(behind, '/metrics', {})).status, 200);
    assert.equal((await get(behind, '/metrics', { 'x-forwarded-for': '203.0.113.9' })).status, 403);
    assert.equal((await get(behind, '/metrics', { 'x-forwarded-for': '127.0.0.1, 203.0.113.9' })).status, 403);
    assert.equal((await get(alone, '/metrics', { 'x-forwarded-for': '127.0.0.1' })).status, 403, 'a proxy that nobody named');
});

test('sessions and audit rows of the person\'s organization tell where a sign-in, and a failed one, came from', async () => {
    const { page } = await signIn(behind, 'ada@acme.example', 'wrong', { 'x-forwarded-for': '198.51.100.4' });
    assert.equal(page.status, 401);
    const { browser, page: account } = await signIn(behind, 'ada@acme.example', behind.password, { 'x-forwarded-for': '2001:db8::7' });
    assert.equal(account.path, '/account');
    assert.match((await browser.open('/account')).text, /2001:db8::7/);
    const rows = await until('two audit rows', async () => {
        const found = await events(behind, { method: 'signin', user_id: behind.user_id });
        return found.length >= 2 && found;
    });
    assert.deepEqual(rows.map((row) => [row.outcome, row.arguments.address, row.user_id]),
        [['ok', '2001:db8::7', behind.user_id], ['denied', '198.51.100.4', behind.user_id]]);
    assert.equal(rows[1].error, 'wrong password');
});

test('another organization does not see them; an unknown account is nobody\'s', async () => {
    const other = await behind.makeOrg('other');
    await signIn(behind, 'nobody@acme.example', 'wrong', { 'x-forwarded-for': '198.51.100.4' });
    await behind.use('API_KEY_CREATE', { name: 'after it' }, org); // its row comes after
    await until('a later row', async () => (await behind.use('ORGANIZATION_AUDIT_LIST', { method: 'API_KEY_CREATE' }, org)).items.length > 0);
    const count = (await events(behind, { method: 'signin' })).length;
    assert.equal(count, 2);
    assert.deepEqual((await behind.use('ORGANIZATION_AUDIT_LIST', { kind: 'auth' }, other)).items.filter((row) => row.method === 'signin'), []);
});

test('failed sign-ins are counted by the client\'s address: many accounts from one wait, others go on', async () => {
    const attacker = { 'x-forwarded-for': '203.0.113.77' };
    const status = async (i, headers) => (await signIn(behind, `person${i}@acme.example`, 'guess', headers)).page.status;
    const first = [];
    for (let i = 0; i < 20; i++) first.push(await status(i, attacker));
    assert.deepEqual(new Set(first), new Set([401]));
    assert.equal(await status(20, attacker), 429);
    assert.equal(await status(21, { 'x-forwarded-for': '203.0.113.77, 203.0.113.78' }), 401, 'the client is who the proxy saw');
    assert.equal(await status(22, { 'x-forwarded-for': '203.0.113.78, 203.0.113.77' }), 429, 'a forged beginning does not help');
    assert.equal(await status(23, {}), 401, 'the proxy itself is shared by all and not counted');
});

test('failed token requests are counted by client and address', async () => {
    const client = await makeClient(behind);
    const attempt = (address) => redeem(behind, client, { code: 'none', verifier: 'v'.repeat(43) }, {}, { 'x-forwarded-for': address });
    let answer;
    for (let i = 0; i < 21; i++) answer = await attempt('203.0.113.90');
    assert.equal(answer.status, 429, answer.text);
    assert.equal((await attempt('203.0.113.91')).status, 400, 'the same client elsewhere');
});
