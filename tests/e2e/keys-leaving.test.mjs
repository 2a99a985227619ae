// API keys by a header of their own and turning them without a gap; people who leave; accounts that are stopped.
// Numbers in brackets: rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser } from './lib/browser.mjs';
import { makeClock } from './lib/clock.mjs';
import { send } from './lib/http.mjs';
import { makeClient, makeOwner, makePerson, obtainTokens, refresh, signedIn } from './lib/oauth.mjs';
import { guard } from './lib/secrets.mjs';
import { startRaw, startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, clock, org, connection, raw, echoing;

before(async () => {
    clock = makeClock();
    const [program, server, other] = await Promise.all([startTulle({ env: clock.env }), startV1(), startRaw()]);
    tulle = program;
    raw = other;
    org = await makeOwner(tulle, 'acme', '--operator');
    connection = await tulle.connect(org, { name: 'Fixture', slug: 'fixture', url: server.url });
    echoing = await tulle.connect(org, { name: 'Raw', slug: 'raw', url: raw.url });
});
after(() => tulle?.end());

const list = (headers, id = connection.id) => send(`${tulle.url}/mcp/${id}`, { body: { jsonrpc: '2.0', id: 1, method: 'tools/list' }, headers });
const tool = (name, args, who = org) => send(`${tulle.url}/api/tools/${name}`, { body: args, key: who.key });

async function member(name) {
    const person = await makePerson(tulle, `${name}@acme.example`);
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: person.email, role: 'member' }, org);
    return { ...person, key: await tulle.makeKey('acme', person.email) };
}

test('a key may come as X-API-Key; tokens and pages know no such header', async () => {
    assert.equal((await list({ 'x-api-key': org.key })).status, 200);
    assert.equal((await send(`${tulle.url}/api/tools/ORGANIZATION_LIST`, { body: {}, headers: { 'x-api-key': org.key } })).status, 200);
    assert.equal((await list({ 'x-api-key': 'tulle_key_wrong' })).status, 401);
    assert.equal((await list({ 'x-api-key': org.key, authorization: 'Bearer x' })).status, 401, 'Authorization counts where both are sent');
    const { access_token } = await obtainTokens(tulle, await signedIn(tulle, org), await makeClient(tulle), { resource: connection.mcp });
    assert.equal((await list({ 'x-api-key': access_token })).status, 401);
});

test('[254] a key in X-API-Key does not go downstream', async () => {
    assert.equal((await list({ 'x-api-key': org.key }, echoing.id)).status, 200);
    const seen = JSON.stringify(await raw.seen());
    assert.ok(seen.length > 2 && !seen.includes(org.key) && !/x-api-key/i.test(seen), seen);
});

test('[240] a key turned with overlap: both work for that long, the old one no longer', async () => {
    const { item, key: old } = await tulle.use('API_KEY_CREATE', { name: 'turning' }, org);
    guard(old, 'API key');
    const { key: next } = await tulle.use('API_KEY_ROTATE', { key_id: item.id, overlap_minutes: 10 }, org);
    guard(next, 'API key');
    const works = async (key) => (await list({ authorization: `Bearer ${key}` })).status;
    assert.deepEqual([await works(old), await works(next)], [200, 200]);
    clock.advance(9 * 60);
    assert.deepEqual([await works(old), await works(next)], [200, 200]);
    clock.advance(2 * 60);
    assert.deepEqual([await works(old), await works(next)], [401, 200]);
    const { key: last } = await tulle.use('API_KEY_ROTATE', { key_id: item.id }, org);
    assert.deepEqual([await works(next), await works(guard(last, 'API key'))], [401, 200], 'without overlap at once');
    await tulle.use('API_KEY_DELETE', { key_id: item.id }, org);
    assert.equal(await works(last), 401);
});

test('[82] who leaves: what would end is listed, then it ends or is handed over', async () => {
    const leaver = await member('leaver');
    const client = await makeClient(tulle);
    const tokens = await obtainTokens(tulle, await signedIn(tulle, leaver), client, { resource: connection.mcp });
    const { item: kept } = await tulle.use('SERVICE_ACCOUNT_CREATE', { name: 'Heir' }, org);
    const seen = await tulle.use('ORGANIZATION_MEMBER_REMOVE', { user_id: leaver.user_id, preview: true }, org);
    assert.deepEqual([seen.deleted, seen.keys.length, seen.grant_count, seen.credential_count], [false, 1, 1, 0]);
    assert.equal((await list({ 'x-api-key': leaver.key })).status, 200, 'a look ends nothing');
    assert.equal((await tool('ORGANIZATION_MEMBER_REMOVE', { user_id: leaver.user_id, keys_to: org.user_id })).status, 404, 'only to service accounts');
    const gone = await tulle.use('ORGANIZATION_MEMBER_REMOVE', { user_id: leaver.user_id, keys_to: kept.id }, org);
    assert.deepEqual([gone.deleted, gone.keys.length], [true, 1]);
    assert.equal((await list({ 'x-api-key': leaver.key })).status, 200, 'the key is the service account\'s now');
    const { items } = await tulle.use('API_KEY_LIST', { limit: 100 }, org);
    assert.equal(items.find(({ id }) => id === gone.keys[0].id).user_id, kept.id);
    assert.equal((await list({ authorization: `Bearer ${tokens.access_token}` })).status, 401);
    assert.equal((await refresh(tulle, client, tokens.refresh_token)).body.error, 'invalid_grant');
    const other = await member('other');
    await tulle.use('ORGANIZATION_MEMBER_REMOVE', { user_id: other.user_id }, org);
    assert.equal((await list({ 'x-api-key': other.key })).status, 401, 'without an heir it ends');
});

test('[228] [74] an account that an operator stops: sessions, keys and tokens are dead at once', async () => {
    const person = await member('stopped');
    const browser = await signedIn(tulle, person);
    const client = await makeClient(tulle);
    const tokens = await obtainTokens(tulle, browser, client, { resource: connection.mcp });
    assert.equal((await tool('USER_UPDATE', { user_id: org.user_id, disabled: true }, person)).status, 403);
    assert.equal((await tool('USER_UPDATE', { disabled: true })).status, 422, 'nobody locks themselves out');
    await tulle.use('USER_UPDATE', { user_id: person.user_id, disabled: true }, org);
    assert.equal((await browser.session()).user, null);
    assert.equal((await list({ 'x-api-key': person.key })).status, 401);
    assert.equal((await list({ authorization: `Bearer ${tokens.access_token}` })).status, 401);
    assert.equal((await refresh(tulle, client, tokens.refresh_token)).body.error, 'invalid_grant');
    await tulle.use('USER_UPDATE', { user_id: person.user_id, disabled: false }, org);
    assert.equal((await list({ 'x-api-key': person.key })).status, 200, 'restarted: the key works again');
    assert.equal((await list({ authorization: `Bearer ${tokens.access_token}` })).status, 401, 'what was granted before does not');
});

test('too many wrong passwords: 429 says how long to wait', async () => {
    const person = await member('forgetful');
    const guesser = new Browser(tulle.url);
    let page;
    for (let i = 0; i < 8 && page?.status !== 429; i++) {
        await guesser.open('/login');
        page = await guesser.request('/login', { method: 'POST', body: new URLSearchParams({ ...guesser.page.form('/login').fields, email: person.email, password: `wrong ${i} password` }).toString() });
    }
    assert.equal(page.status, 429);
    assert.ok(Number(page.headers['retry-after']) > 0);
});
