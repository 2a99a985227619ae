// The device flow: a program without a browser. Numbers in brackets: rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { makeClock } from './lib/clock.mjs';
import { send } from './lib/http.mjs';
import { decode } from './lib/browser.mjs';
import { form, makeClient, makeOwner, signedIn } from './lib/oauth.mjs';
import { guard } from './lib/secrets.mjs';
import { startTulle } from './lib/tulle.mjs';

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';
let tulle, clock, org, browser, client;

before(async () => {
    clock = makeClock();
    tulle = await startTulle({ env: clock.env });
    org = await makeOwner(tulle, 'acme');
    browser = await signedIn(tulle, org);
    client = await makeClient(tulle, { client_name: 'A television' });
});
after(() => tulle?.end());

async function ask(more = {}) {
    const { status, body, text } = await form(`${tulle.url}/oauth/device_authorization`, { client_id: client.client_id, resource: `${tulle.url}/mcp`, scope: 'mcp:manage', ...more });
    assert.equal(status, 200, text);
    guard(body.device_code, 'device code');
    return body;
}
const poll = (device_code, who = client) => form(`${tulle.url}/oauth/token`, { grant_type: deviceGrant, device_code, client_id: who.client_id });
async function assertPoll(device_code, error, who) {
    const { status, body, text } = await poll(device_code, who);
    assert.equal(`${status} ${body.error}`, `400 ${error}`, text);
}
async function type(user_code, who = browser) {
    await who.open('/device');
    return who.submit('/device', { user_code });
}
async function answer(decision, who = browser) {
    const { fields } = who.page.form('/device');
    const chosen = /name="target" value="([^"]*)" checked/.exec(who.page.html)?.[1];
    return who.request('/device', { method: 'POST', body: new URLSearchParams({ ...fields, ...(chosen && { target: decode(chosen) }), decision }).toString() });
}

test('asking, typing, allowing, polling: a token', async () => {
    const { body: metadata } = await send(`${tulle.url}/.well-known/oauth-authorization-server`, { method: 'GET' });
    assert.ok(metadata.grant_types_supported.includes(deviceGrant));
    assert.ok(metadata.device_authorization_endpoint.endsWith('/oauth/device_authorization'));
    const asked = await ask({ scope: 'mcp:manage openid' });
    assert.match(asked.user_code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
    assert.deepEqual([asked.expires_in, asked.interval], [600, 5]);
    assert.ok(asked.verification_uri_complete.endsWith(`/device?user_code=${asked.user_code}`));
    clock.advance(6);
    await assertPoll(asked.device_code, 'authorization_pending');
    await browser.open(`/device?user_code=${asked.user_code}`);
    assert.equal(browser.page.form('/device').fields.user_code, asked.user_code, 'a link fills the form in, no more');
    clock.advance(6);
    await assertPoll(asked.device_code, 'authorization_pending');
    await type(asked.user_code.toLowerCase().replace('-', ' '));
    assert.match(browser.page.text, /A television/);
    assert.match(browser.page.text, /It asked from the address 127\.0\.0\.1/);
    const done = await answer('allow');
    assert.equal(done.status, 200, done.html);
    assert.match(done.text, /The program is connected/);
    clock.advance(6);
    const { status, body, headers, text } = await poll(asked.device_code);
    assert.equal(status, 200, text);
    assert.equal(headers['cache-control'], 'no-store');
    guard(body.access_token, 'access token');
    guard(body.refresh_token, 'refresh token');
    assert.ok(body.id_token);
    assert.equal((await tulle.use('ORGANIZATION_LIST', {}, { ...org, key: body.access_token })).items.length, 1);
    await assertPoll(asked.device_code, 'invalid_grant', client);
    const { items } = await tulle.use('OAUTH_GRANT_LIST', {}, org);
    assert.equal(items.find(({ client_name }) => client_name === 'A television')?.redirect_host, 'device');
});

test('a program that was allowed so is one that people use: nobody who knows what it says of itself removes it, nor does a day', async () => {
    const metadata = { client_name: 'A fridge', redirect_uris: ['http://127.0.0.1:7777/fridge'], token_endpoint_auth_method: 'none' };
    const fridge = await makeClient(tulle, metadata);
    const asked = await ask({ client_id: fridge.client_id });
    await type(asked.user_code);
    assert.equal((await answer('allow')).status, 200);
    clock.advance(6);
    const { status, body, text } = await poll(asked.device_code, fridge);
    assert.equal(status, 200, text);
    guard(body.access_token, 'access token');
    guard(body.refresh_token, 'refresh token');
    const stranger = await makeClient(tulle, metadata);
    assert.equal(stranger.client_id, fridge.client_id);
    const removed = await send(stranger.registration_client_uri, { method: 'DELETE', key: stranger.registration_access_token });
    assert.equal(removed.status, 403, removed.text);
    clock.advance(25 * 60 * 60);
    await makeClient(tulle, { client_name: 'One more' });
    const again = await form(`${tulle.url}/oauth/token`, { grant_type: 'refresh_token', client_id: fridge.client_id, refresh_token: body.refresh_token });
    assert.equal(again.status, 200, again.text);
    guard(again.body.access_token, 'access token');
    guard(again.body.refresh_token, 'refresh token');
    [browser, client] = [await signedIn(tulle, org), await makeClient(tulle, { client_name: 'A television' })];
});

test('[114] polling too fast: slow_down, and the interval grows', async () => {
    const { device_code } = await ask();
    await assertPoll(device_code, 'slow_down');
    clock.advance(6);
    await assertPoll(device_code, 'slow_down');
    clock.advance(16);
    await assertPoll(device_code, 'authorization_pending');
});

test('[116] a link alone allows nothing, and a code of another client is refused', async () => {
    const asked = await ask();
    const got = await browser.request(`/device?user_code=${asked.user_code}&decision=allow`);
    assert.equal(got.status, 200);
    const other = await makeClient(tulle, { client_name: 'Another' });
    await assertPoll(asked.device_code, 'invalid_grant', other);
    clock.advance(6);
    await assertPoll(asked.device_code, 'authorization_pending');
    await type(asked.user_code);
    const { fields } = browser.page.form('/device');
    const without = await browser.request('/device', { method: 'POST', body: new URLSearchParams({ ...fields, csrf_token: 'x', decision: 'allow' }).toString() });
    assert.equal(without.status, 403, '[41]');
    const foreign = await browser.request('/device', { method: 'POST', body: new URLSearchParams({ ...fields, decision: 'allow' }).toString(), headers: { origin: 'https://evil.example' } });
    assert.equal(foreign.status, 403, '[43]');
    const elsewhere = await signedIn(tulle, org);
    await elsewhere.open('/device');
    const { fields: own } = elsewhere.page.form('/device');
    const stolen = await elsewhere.request('/device', { method: 'POST', body: new URLSearchParams({ csrf_token: own.csrf_token, request: fields.request, decision: 'allow' }).toString() });
    assert.equal(stolen.status, 400, 'the page belongs to the session that typed the code');
});

test('[117] denied, expired, used twice', async () => {
    const denied = await ask();
    await type(denied.user_code);
    assert.match((await answer('deny')).text, /Nothing was allowed/);
    await assertPoll(denied.device_code, 'access_denied');
    const used = await ask();
    await type(used.user_code);
    await answer('allow');
    const answers = await Promise.all([1, 2, 3, 4].map(() => poll(used.device_code)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400, 400, 400]);
    for (const { body } of answers) if (body.access_token) [body.access_token, body.refresh_token].forEach((secret) => guard(secret, 'token'));
    const old = await ask();
    clock.advance(601);
    await assertPoll(old.device_code, 'expired_token');
    await type(old.user_code);
    assert.match(browser.page.text, /no such code, or it has expired/);
});

test('[115] five wrong codes, then a wait that is said', async () => {
    clock.advance(3600);
    browser = await signedIn(tulle, org);
    for (let i = 0; i < 5; i++) await type('BBBB-BBBB');
    await browser.open('/device');
    const { fields } = browser.page.form('/device');
    const { user_code } = await ask();
    const refused = await browser.request('/device', { method: 'POST', body: new URLSearchParams({ ...fields, user_code }).toString() });
    assert.equal(refused.status, 429, 'even for a right one');
    assert.ok(Number(refused.headers['retry-after']) > 0);
    clock.advance(3600);
    browser = await signedIn(tulle, org);
    const { user_code: later } = await ask();
    await type(later);
    assert.match(browser.page.text, /Allow access\?/);
});
