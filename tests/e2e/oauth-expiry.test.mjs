// What the authorization server lets end by itself, seen with a clock that goes ahead. Numbers in brackets: the rows of the
// abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { until } from './lib/children.mjs';
import { makeClock } from './lib/clock.mjs';
import { rpc } from './lib/http.mjs';
import { decide, form, makeClient, makeOwner, obtainCode, obtainTokens, pkce, redeem, refresh, request, signedIn } from './lib/oauth.mjs';
import { guard } from './lib/secrets.mjs';
import { startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

const DAY = 24 * 60 * 60;
let tulle, clock, org, connection, client;
before(async () => {
    clock = makeClock();
    const [program, server] = await Promise.all([startTulle({ env: clock.env }), startV1()]);
    tulle = program;
    org = await makeOwner(tulle, 'acme');
    connection = await tulle.connect(org, { name: 'Fixture', slug: 'fixture', url: server.url });
    client = await makeClient(tulle);
});
after(() => tulle?.end());

const list = (key) => rpc(connection.mcp, 'tools/list', {}, { key });
const event = (method) => until(method, async () => (await tulle.use('ORGANIZATION_AUDIT_LIST', { method }, org)).items[0]);

/** A fresh pair of the owner, whose session may have ended with the days that went by. */
async function tokens(more = {}) {
    return obtainTokens(tulle, await signedIn(tulle, org), client, { resource: connection.mcp, ...more });
}

async function renew(pair) {
    const { status, body, text } = await refresh(tulle, client, pair.refresh_token);
    assert.equal(status, 200, text);
    guard(body.access_token, 'access token');
    guard(body.refresh_token, 'refresh token');
    return body;
}

async function assertGone(token) {
    const { status, body, text } = await refresh(tulle, client, token);
    assert.equal(`${status} ${body?.error}`, '400 invalid_grant', text);
}

test('the clock of the program goes ahead', async () => {
    clock.advance(60 * 60);
    const before = clock.now();
    const { item } = await tulle.use('CONNECTION_UPDATE', { connection_id: connection.id, description: 'later' }, org);
    assert.ok(Date.parse(item.updated_at) >= before, `${item.updated_at}, before ${new Date(before).toISOString()}`);
});

test('[47] a consent page that lay open for 15 minutes has expired: a page, nothing granted', async () => {
    const browser = await signedIn(tulle, org);
    const ask = () => browser.open(`/oauth/authorize?${request(client, pkce(), { resource: connection.mcp })}`);
    await ask();
    clock.advance(14 * 60);
    assert.equal((await decide(browser, 'allow')).status, 303, 'within 15 minutes');
    await ask();
    clock.advance(15 * 60 + 1);
    const late = await decide(browser, 'allow');
    assert.equal(late.status, 400);
    assert.match(late.text, /expired/);
    assert.equal(late.headers.location, undefined);
});

test('[66] a code is good for a minute', async () => {
    const browser = await signedIn(tulle, org);
    const good = await obtainCode(browser, client, { resource: connection.mcp });
    clock.advance(30);
    assert.equal((await redeem(tulle, client, good)).status, 200);
    const late = await obtainCode(browser, client, { resource: connection.mcp });
    clock.advance(61);
    const { status, body } = await redeem(tulle, client, late);
    assert.equal(`${status} ${body.error}`, '400 invalid_grant');
});

test('[79] a refresh token that comes again after 31 seconds ends its family, and that is recorded', async () => {
    const first = await tokens();
    const second = await renew(first);
    clock.advance(31);
    assert.equal((await renew(first)).refresh_token, second.refresh_token, 'its answer may never have arrived');
    const third = await renew(second);
    assert.equal((await list(third.access_token)).status, 200);
    await assertGone(first.refresh_token);
    await assertGone(third.refresh_token);
    for (const pair of [first, second, third]) assert.equal((await list(pair.access_token)).status, 401);
    const { outcome, client_id } = await event('oauth_refresh_reuse');
    assert.deepEqual([outcome, client_id], ['denied', client.client_id]);
});

test('[79] the same answer again ends after a day', async () => {
    const first = await tokens();
    const second = await renew(first);
    clock.advance(DAY + 1);
    await assertGone(first.refresh_token);
    await assertGone(second.refresh_token);
});

test('[83] a refresh token unused for 30 days is dead; a used one lives on, 90 days in all', async () => {
    const idle = await tokens();
    let used = await tokens();
    for (let i = 0; i < 3; i++) {
        clock.advance(29 * DAY);
        used = await renew(used);
    }
    assert.equal((await list(used.access_token)).status, 200);
    await assertGone(idle.refresh_token);
    clock.advance(4 * DAY);
    await assertGone(used.refresh_token);
});

test('[154] an access token ends after its hour: 401 as a bearer, {"active":false} at introspection', async () => {
    const confidential = await makeClient(tulle, { token_endpoint_auth_method: 'client_secret_post', redirect_uris: ['https://c.example/cb'] });
    const me = { client_id: confidential.client_id, client_secret: confidential.client_secret };
    const browser = await signedIn(tulle, org);
    const { body: pair } = await redeem(tulle, confidential, await obtainCode(browser, confidential, { resource: connection.mcp }), me);
    guard(pair.access_token, 'access token');
    guard(pair.refresh_token, 'refresh token');
    const ask = async (token) => (await form(`${tulle.url}/oauth/introspect`, { ...me, token })).text;
    assert.equal(pair.expires_in, 3600);
    clock.advance(3500);
    assert.equal((await list(pair.access_token)).status, 200);
    assert.match(await ask(pair.access_token), /"active":true/);
    clock.advance(101);
    const answer = await list(pair.access_token);
    assert.equal(answer.status, 401);
    assert.match(answer.headers['www-authenticate'], /error="invalid_token"/);
    assert.equal(await ask(pair.access_token), '{"active":false}');
    assert.match(await ask(pair.refresh_token), /"active":true/);
    clock.advance(31 * DAY);
    assert.equal(await ask(pair.refresh_token), '{"active":false}');
});
