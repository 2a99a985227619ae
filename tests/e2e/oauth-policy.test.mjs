// What an organization allows of OAuth clients, and what the authorization server does by itself: clients and signing keys that
// have grown old. Numbers in brackets: rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { until } from './lib/children.mjs';
import { makeClock } from './lib/clock.mjs';
import { send } from './lib/http.mjs';
import { makeCertificate, startHttps } from './lib/https.mjs';
import { answerOf, form, makeClient, makeOwner, obtainTokens, pkce, redeem, refresh, register, request, signedIn } from './lib/oauth.mjs';
import { startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

const DAY = 24 * 60 * 60;
const remote = 'https://program.example/callback';
let tulle, clock, certificate, site, org, connection, browser;

before(async () => {
    clock = makeClock();
    certificate = makeCertificate();
    site = await startHttps(certificate, (req, res) => {
        const document = { client_id: site.url + req.url, client_name: 'Document program', redirect_uris: [remote, 'http://127.0.0.1/callback'],
            token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] };
        res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
    });
    const [program, server] = await Promise.all([startTulle({ env: { CA_BUNDLE: certificate.bundle, ...clock.env } }), startV1()]);
    tulle = program;
    org = await makeOwner(tulle, 'acme');
    connection = await tulle.connect(org, { name: 'Fixture', slug: 'fixture', url: server.url });
    browser = await signedIn(tulle, org);
});
after(async () => {
    await tulle?.end();
    await site?.close();
    certificate?.remove();
});

const policy = (change) => tulle.use('ORGANIZATION_POLICY_UPDATE', change, org);
const ask = (client, more = {}, proof = pkce()) => browser.request(`/oauth/authorize?${request(client, proof, { resource: connection.mcp, ...more })}`);
const document = (path) => ({ client_id: site.url + path, redirect_uri: remote });
const refusal = async (client) => answerOf(await ask(client), client.redirect_uri).error;
const asks = (client, more) => until('the policy is known', async () => (await ask(client, more)).status === 200);

test('[131] a policy without clients: what registered itself is refused at consent and at refresh, an own client is not', async () => {
    const client = await makeClient(tulle, { redirect_uris: [remote], client_name: 'Stranger' });
    const tokens = await obtainTokens(tulle, browser, client, { resource: connection.mcp });
    await policy({ oauth_clients: 'off' });
    await until('refused', async () => await refusal(client) === 'access_denied');
    const gone = await refresh(tulle, client, tokens.refresh_token);
    assert.equal(`${gone.status} ${gone.body.error}`, '400 invalid_grant', gone.text);
    assert.equal((await register(tulle, { redirect_uris: [remote], client_name: 'Another' })).status, 201, 'registering gives nothing here');
    const { item } = await tulle.use('OAUTH_CLIENT_CREATE', { name: 'Own', redirect_uris: [remote], auth_method: 'none' }, org);
    const own = { client_id: item.id, redirect_uri: remote };
    assert.equal((await ask(own)).status, 200, 'its administrators made it');
    await policy({ oauth_clients: 'open' });
    await until('refreshed', async () => (await refresh(tulle, client, tokens.refresh_token)).status === 200);
});

test('a list of approved clients: the others are refused, also by the device flow', async () => {
    const [friend, stranger] = [await makeClient(tulle, { client_name: 'Friend' }), await makeClient(tulle, { client_name: 'Nobody' })];
    await policy({ oauth_clients: 'approved', approved_clients: [friend.client_id] });
    await asks(friend);
    assert.equal(await refusal(stranger), 'access_denied');
    const { body } = await form(`${tulle.url}/oauth/device_authorization`, { client_id: stranger.client_id, scope: 'mcp' });
    const page = await browser.request(`/device?user_code=${body.user_code}`);
    assert.equal(page.status, 200);
    await browser.open(`/device?user_code=${body.user_code}`);
    await browser.submit('/device', {});
    assert.match(browser.page.text, /has not approved this program/);
    await policy({ oauth_clients: 'open', approved_clients: [] });
    await asks(stranger);
});

test('an approved document is not asked for: audited; never loopback, management, or what registered itself', async () => {
    const client = document('/approved.json');
    assert.equal((await ask(client)).status, 200, 'before it is approved, the person is asked');
    const registered = await makeClient(tulle, { redirect_uris: [remote], client_name: 'Registered' });
    await policy({ oauth_clients: 'approved', approved_clients: [client.client_id, registered.client_id] });
    const proof = pkce();
    const page = await until('no question', async () => {
        const answer = await ask(client, {}, proof);
        return answer.status === 200 ? undefined : answer;
    });
    const { code } = answerOf(page, remote);
    const { body } = await redeem(tulle, client, { code, verifier: proof.verifier });
    assert.equal((await tulle.callTool(connection, 'echo', { text: 'unasked' }, { key: body.access_token })).status, 200);
    const event = await until('audited', async () => (await tulle.use('ORGANIZATION_AUDIT_LIST', { method: 'oauth_consent_approved' }, org)).items[0]);
    assert.equal(event.user_id, org.user_id);
    assert.equal((await ask({ ...client, redirect_uri: 'http://127.0.0.1:4000/callback' })).status, 200, 'loopback: asked');
    assert.equal((await ask(client, { resource: `${tulle.url}/mcp`, scope: 'mcp:manage' })).status, 200, 'management: asked');
    assert.equal((await ask(client, { prompt: 'consent' })).status, 200, 'the program wants the question');
    assert.equal((await ask(registered)).status, 200, 'a registered client: asked');
    await policy({ oauth_clients: 'open', approved_clients: [] });
    await asks(client);
});

test('clients that nobody uses go after 90 days, those that nobody consented to after one; used ones stay', async () => {
    const owner = await makeOwner(tulle, 'aging');
    const place = await tulle.connect(owner, { name: 'Aging', slug: 'aging', url: connection.url ?? 'http://127.0.0.1:9/mcp' });
    const used = await makeClient(tulle, { client_name: 'Used', redirect_uris: ['https://used.example/cb'] });
    const idle = await makeClient(tulle, { client_name: 'Idle', redirect_uris: ['https://idle.example/cb'] });
    const never = await makeClient(tulle, { client_name: 'Never', redirect_uris: ['https://never.example/cb'] });
    const person = await signedIn(tulle, owner);
    let pair = await obtainTokens(tulle, person, used, { resource: place.mcp });
    await obtainTokens(tulle, person, idle, { resource: place.mcp });
    const { item } = await tulle.use('OAUTH_CLIENT_CREATE', { name: 'Own', redirect_uris: [remote], auth_method: 'none' }, owner);
    for (let i = 0; i < 4; i++) {
        clock.advance(20 * DAY);
        pair = (await refresh(tulle, used, pair.refresh_token)).body;
    }
    clock.advance(11 * DAY);
    await tulle.stop();
    await tulle.serve();
    const known = async (client) => (await send(`${tulle.url}/oauth/authorize?${request(client, pkce())}`, { method: 'GET' })).status !== 400;
    await until('the idle one is gone', async () => !await known(idle));
    assert.deepEqual([await known(used), await known(never), await known({ client_id: item.id, redirect_uri: remote })], [true, false, true]);
});

test('signing keys get a successor after 90 days, published before it signs; the old one stays for a while', async () => {
    const keys = async () => (await send(`${tulle.url}/oauth/jwks`, { method: 'GET' })).body.keys;
    const before = await keys();
    assert.deepEqual(before.map(({ alg }) => alg).sort(), ['ES256', 'RS256']);
    clock.advance(91 * DAY);
    await tulle.stop();
    await tulle.serve();
    const after = await until('successors', async () => {
        const found = await keys();
        return found.length === 4 ? found : undefined;
    });
    for (const { kid } of before) assert.ok(after.some((key) => key.kid === kid), 'the old key is published on');
    await tulle.stop();
    await tulle.serve();
    assert.deepEqual((await keys()).map(({ kid }) => kid).sort(), after.map(({ kid }) => kid).sort(), 'once, not at every start');
    clock.advance(2 * DAY);
    const late = await keys();
    assert.equal(late.length, 2);
    assert.ok(late.every(({ kid }) => !before.some((key) => key.kid === kid)));
});
