// Scopes that narrow what a person may do, and what the person leaves of a request.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { rpc } from './lib/http.mjs';
import { answerOf, decide, makeClient, makeOwner, obtainTokens, pkce, redeem, refresh, request, signedIn } from './lib/oauth.mjs';
import { guard } from './lib/secrets.mjs';
import { startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, first, second, browser, client, hub;

before(async () => {
    const [program, server] = await Promise.all([startTulle(), startV1()]);
    tulle = program;
    hub = `${tulle.url}/mcp/hub`;
    org = await makeOwner(tulle, 'acme');
    first = await tulle.connect(org, { name: 'First', slug: 'first', url: server.url });
    second = await tulle.connect(org, { name: 'Second', slug: 'second', url: server.url });
    for (const { id } of [first, second]) {
        await tulle.use('CONNECTION_TEST', { connection_id: id }, org);
        await tulle.use('CONNECTION_TOOL_UPDATE', { connection_id: id, name: 'echo', effect: 'read' }, org);
    }
    browser = await signedIn(tulle, org);
    client = await makeClient(tulle);
});
after(() => tulle?.end());

const names = async (key) => (await rpc(hub, 'tools/list', {}, { key })).body.result.tools.map(({ name }) => name);
const servers = (list) => [...new Set(list.map((name) => name.split('__')[0]))].sort();

/** Through the consent page with these fields of its form. */
async function consentTo(fields, more = { resource: hub }) {
    const proof = pkce();
    await browser.open(`/oauth/authorize?${request(client, proof, { prompt: 'consent', ...more })}`);
    const { code } = answerOf(await decide(browser, 'allow', { fields }));
    const { status, body, text } = await redeem(tulle, client, { code: guard(code, 'authorization code'), verifier: proof.verifier });
    assert.equal(status, 200, text);
    guard(body.access_token, 'access token');
    guard(body.refresh_token, 'refresh token');
    return body;
}

test('conn:ID leaves one connection, conn:ID:read what reads there', async () => {
    const all = await obtainTokens(tulle, browser, client, { resource: hub });
    assert.deepEqual(servers(await names(all.access_token)), ['first', 'second']);
    const one = await obtainTokens(tulle, browser, client, { resource: hub, scope: `conn:${first.id}` });
    assert.equal(one.scope, `conn:${first.id} mcp`);
    assert.deepEqual(servers(await names(one.access_token)), ['first']);
    assert.equal((await tulle.callTool(second, 'echo', { text: 'x' }, { key: one.access_token })).status, 401);
    const reads = await obtainTokens(tulle, browser, client, { resource: hub, scope: `mcp conn:${first.id}:read` });
    assert.deepEqual(await names(reads.access_token), ['first__echo']);
    assert.equal((await rpc(hub, 'tools/call', { name: 'first__echo', arguments: { text: 'x' } }, { key: reads.access_token })).status, 200);
});

test('the person leaves some servers, some to read only, and the grant says so', async () => {
    const tokens = await consentTo({ [first.id]: 'read', [second.id]: 'all' });
    assert.deepEqual(new Set(tokens.scope.split(' ')), new Set([`conn:${first.id}:read`, `conn:${second.id}`, 'mcp']));
    const list = await names(tokens.access_token);
    assert.deepEqual(list.filter((name) => name.startsWith('first__')), ['first__echo']);
    assert.ok(list.filter((name) => name.startsWith('second__')).length > 1);
    const { items } = await tulle.use('OAUTH_GRANT_LIST', { limit: 100 }, org);
    assert.ok(items.some(({ scopes }) => scopes.includes(`conn:${first.id}:read`)));
    const none = await consentTo({ [first.id]: 'none' });
    assert.deepEqual(servers(await names(none.access_token)), ['second']);
});

test('nothing left, or a word that is no choice, gives no code', async () => {
    for (const fields of [{ [first.id]: 'none', [second.id]: 'none' }, { [first.id]: 'everything' }, { access: 'none' }]) {
        await browser.open(`/oauth/authorize?${request(client, pkce(), { resource: hub, prompt: 'consent' })}`);
        const page = await decide(browser, 'allow', { fields });
        assert.equal(page.status, 400, page.html);
    }
});

test('only what reads: the token lists and calls nothing else, and is told what it lacks', async () => {
    const tokens = await consentTo({ access: 'read' }, { resource: first.mcp });
    assert.equal(tokens.scope, 'mcp:read');
    const { body } = await rpc(first.mcp, 'tools/list', {}, { key: tokens.access_token });
    assert.deepEqual(body.result.tools.map(({ name }) => name), ['echo']);
});

test('[44] connections in the form beyond the request are not granted', async () => {
    const tokens = await consentTo({ [second.id]: 'all', scope: 'mcp:manage' }, { resource: hub, scope: `conn:${first.id}` });
    assert.deepEqual(servers(await names(tokens.access_token)), ['first']);
});

test('[81] refreshing narrows on and never widens', async () => {
    const tokens = await consentTo({ [first.id]: 'all', [second.id]: 'none' });
    const next = await refresh(tulle, client, tokens.refresh_token, { scope: 'mcp' });
    assert.equal(next.status, 200, next.text);
    guard(next.body.refresh_token, 'refresh token');
    assert.deepEqual(servers(await names(guard(next.body.access_token, 'access token'))), ['first'], 'leaving the connections out does not bring all');
    const wider = await refresh(tulle, client, next.body.refresh_token, { scope: `mcp conn:${second.id}` });
    assert.equal(`${wider.status} ${wider.body.error}`, '400 invalid_scope');
});

test('[50] a remembered consent keeps what the person left', async () => {
    const remote = await makeClient(tulle, { client_name: 'Remote', redirect_uris: ['https://remote.example/cb'] });
    const proof = pkce();
    await browser.open(`/oauth/authorize?${request(remote, proof, { resource: hub })}`);
    answerOf(await decide(browser, 'allow', { fields: { [second.id]: 'none' } }), remote.redirect_uri);
    const again = pkce();
    const { code } = answerOf(await browser.request(`/oauth/authorize?${request(remote, again, { resource: hub })}`), remote.redirect_uri);
    const { body } = await redeem(tulle, remote, { code: guard(code, 'authorization code'), verifier: again.verifier });
    guard(body.refresh_token, 'refresh token');
    assert.deepEqual(servers(await names(guard(body.access_token, 'access token'))), ['first']);
});
