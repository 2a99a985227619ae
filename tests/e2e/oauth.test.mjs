// The authorization server as its clients see it. Numbers in brackets: the rows of the abuse matrix (spec/oauth.md).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser } from './lib/browser.mjs';
import { until } from './lib/children.mjs';
import { rpc, send } from './lib/http.mjs';
import { answerOf, decide, form, loopback, makeClient, makeOwner, obtainCode, obtainTokens, pkce, redeem, refresh, request, signedIn } from './lib/oauth.mjs';
import { plant } from './lib/secrets.mjs';
import { startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, other, connection, second, foreign, browser, client, issuer;

before(async () => {
    const [program, server] = await Promise.all([startTulle(), startV1()]);
    tulle = program;
    issuer = `http://localhost:${tulle.port}`;
    org = await makeOwner(tulle, 'acme');
    other = await makeOwner(tulle, 'other');
    connection = await tulle.connect(org, { name: 'Fixture', slug: 'fixture', url: server.url });
    second = await tulle.connect(org, { name: 'Second', slug: 'second', url: server.url });
    foreign = await tulle.connect(other, { name: 'Foreign', slug: 'foreign', url: server.url });
    browser = await signedIn(tulle, org);
    client = await makeClient(tulle);
});
after(() => tulle?.end());

const tokens = (more = {}) => obtainTokens(tulle, browser, client, { resource: connection.mcp, ...more });
const code = (more = {}) => obtainCode(browser, client, { resource: connection.mcp, ...more });
const list = (url, key) => rpc(url, 'tools/list', {}, { key });
const events = async (method) => (await tulle.use('ORGANIZATION_AUDIT_LIST', { limit: 100, method }, org)).items;

/** Opens the authorization endpoint: the answer, not followed. */
const authorize = (more, who = browser) => who.request(`/oauth/authorize?${typeof more === 'string' ? more : request(client, pkce(), { resource: connection.mcp, ...more })}`);
async function assertPage(more) {
    const page = await authorize(more);
    assert.equal(page.status, 400, page.html);
    assert.equal(page.headers.location, undefined);
}
async function assertRedirect(more, error, who = browser) {
    const answer = answerOf(await authorize(more, who));
    assert.equal(answer.error, error, JSON.stringify(answer));
    assert.equal(answer.iss, issuer);
    return answer;
}
async function assertTokenError(answer, status, error) {
    const { status: got, body, headers, text } = await answer;
    assert.equal(`${got} ${body?.error}`, `${status} ${error}`, text);
    assert.equal(headers['cache-control'], 'no-store');
}

test('discovery: a client that knows one address finds everything', async () => {
    const unauthorized = await rpc(connection.mcp, 'tools/list', {});
    assert.equal(unauthorized.status, 401);
    const challenge = unauthorized.headers['www-authenticate'];
    const address = /resource_metadata="([^"]+)"/.exec(challenge)[1];
    assert.equal(address, `${tulle.url}/.well-known/oauth-protected-resource/mcp/${connection.id}`, 'the name that the client used');
    assert.match(challenge, /scope="mcp"/);
    assert.ok(!challenge.includes('error='), '[246]');
    const resource = (await send(address, { method: 'GET', headers: { origin: 'https://inspector.example' } }));
    assert.equal(resource.headers['access-control-allow-origin'], '*');
    assert.equal(resource.body.resource, connection.mcp);
    assert.deepEqual(resource.body.authorization_servers, [issuer]);
    for (const path of ['oauth-authorization-server', 'openid-configuration']) {
        const { body } = await send(`${tulle.url}/.well-known/${path}`, { method: 'GET' });
        assert.equal(body.issuer, issuer);
        assert.deepEqual(body.code_challenge_methods_supported, ['S256']);
        assert.equal(body.authorization_response_iss_parameter_supported, true);
        for (const [name, value] of Object.entries(body)) if (name.endsWith('_endpoint')) assert.ok(value.startsWith(`${issuer}/oauth/`), name);
    }
});

test('[145] metadata and 401 are the same for what exists and what does not', async () => {
    const shapes = new Set();
    for (const id of [connection.id, foreign.id, `conn_${'0'.repeat(32)}`, 'nobody', 'acme/fixture', 'acme/nothing']) {
        const metadata = await send(`${tulle.url}/.well-known/oauth-protected-resource/mcp/${id}`, { method: 'GET' });
        const refused = await rpc(`${tulle.url}/mcp/${id}`, 'tools/list', {});
        shapes.add(JSON.stringify([metadata.status, refused.status, metadata.text.replaceAll(id, 'ID'), refused.headers['www-authenticate'].replaceAll(id, 'ID')]));
    }
    assert.equal(shapes.size, 1, [...shapes].join('\n'));
});

test('[144] a foreign Host changes no metadata', async () => {
    const answer = await send(`${tulle.url}/.well-known/oauth-authorization-server`, { method: 'GET', headers: { host: 'evil.example' } });
    assert.equal(answer.status, 421);
});

test('[146] the key set shows public members only, and stays the same', async () => {
    const [first, again] = await Promise.all([1, 2].map(() => send(`${tulle.url}/oauth/jwks`, { method: 'GET' })));
    assert.deepEqual(first.body, again.body);
    assert.deepEqual(Object.keys(first.body.keys[0]).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
});

test('from nothing but an address to a tool call: sign-in, consent, token, call', async () => {
    const fresh = new Browser(tulle.url);
    const proof = pkce();
    await fresh.open(`/oauth/authorize?${request(client, proof, { resource: connection.mcp })}`);
    assert.equal(fresh.page.path, '/login');
    await fresh.submit('/login', { email: org.email, password: org.password });
    const page = fresh.page;
    assert.match(page.text, /A test program/);
    assert.match(page.text, /unverified/);
    assert.match(page.html, /class="host">127\.0\.0\.1</);
    assert.match(page.text, /Fixture of The acme/);
    assert.ok(page.text.includes(org.email));
    const answer = answerOf(await decide(fresh, 'allow'));
    assert.deepEqual(Object.keys(answer).sort(), ['code', 'iss', 'state']);
    assert.equal(answer.state, 's t&1');
    assert.equal(answer.iss, issuer);
    const { status, body, headers } = await redeem(tulle, client, { code: answer.code, verifier: proof.verifier });
    assert.equal(status, 200);
    assert.equal(headers['cache-control'], 'no-store', '[107]');
    assert.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'refresh_token', 'scope', 'token_type']);
    assert.match(body.access_token, /^tulle_at_[\w-]{43}$/);
    assert.match(body.refresh_token, /^tulle_rt_[\w-]{43}$/);
    assert.equal(body.expires_in, 3600);
    const called = await tulle.callTool(connection, 'echo', { text: 'hello' }, { key: body.access_token });
    assert.equal(called.status, 200, called.text);
    const [record] = await until('the call is recorded', async () => {
        const { items } = await tulle.use('CONNECTION_CALLS_LIST', { connection_id: connection.id }, org);
        return items.length ? items : undefined;
    });
    assert.equal(record.client_id, client.client_id);
    for (const method of ['oauth_consent', 'oauth_grant'])
        assert.ok((await events(method)).some((event) => event.client_id === client.client_id), method);
});

test('a token works at its own audience and nowhere else, whatever form of the address is used', async () => {
    const { access_token: key } = await tokens({ resource: `${issuer}/mcp/acme/fixture/` });
    for (const url of [connection.mcp, `${tulle.url}/mcp/acme/fixture`, `${tulle.url}/mcp/fixture/`])
        assert.equal((await list(url, key)).status, 200, url);
    for (const url of [second.mcp, foreign.mcp, `${tulle.url}/mcp`, `${tulle.url}/mcp/conn_${'0'.repeat(32)}`]) { // [249]
        const answer = await list(url, key);
        assert.equal(answer.status, 401, url);
        assert.match(answer.headers['www-authenticate'], /error="invalid_token"/);
        assert.match(answer.headers['www-authenticate'], /resource_metadata="/);
    }
    assert.equal((await tulle.tool('CONNECTION_LIST', {}, { key })).status, 401);
});

test('a management token manages, and calls no connection', async () => {
    const { access_token: key, scope } = await tokens({ resource: `${issuer}/mcp`, scope: 'mcp:manage' });
    assert.equal(scope, 'mcp:manage');
    assert.equal((await list(`${tulle.url}/mcp`, key)).status, 200);
    assert.equal((await tulle.tool('CONNECTION_LIST', {}, { key })).status, 200);
    assert.equal((await list(connection.mcp, key)).status, 401);
});

test('without a resource the person chooses; with mcp:manage management is preselected', async () => {
    const proof = pkce();
    for (const resource of [undefined, issuer, `${issuer}/`]) {
        await browser.open(`/oauth/authorize?${request(client, proof, { resource })}`);
        assert.match(browser.page.html, new RegExp(`value="${org.org_id}\\|${connection.id}" checked`));
        assert.ok(!browser.page.html.includes(foreign.id));
    }
    const { code: value } = answerOf(await decide(browser, 'allow', { fields: { target: `${org.org_id}|${second.id}` } }));
    const { body } = await redeem(tulle, client, { code: value, verifier: proof.verifier });
    assert.equal((await list(second.mcp, body.access_token)).status, 200);
    assert.equal((await list(connection.mcp, body.access_token)).status, 401);
    await browser.open(`/oauth/authorize?${request(client, proof, { resource: undefined, scope: 'mcp:manage' })}`);
    assert.match(browser.page.html, new RegExp(`value="${org.org_id}\\|management" checked`));
    const forged = await decide(browser, 'allow', { fields: { target: `${other.org_id}|${foreign.id}` } });
    assert.equal(forged.status, 400);
});

test('[1 2] an unknown or missing client is told to the person, without a redirect', async () => {
    await assertPage({ client_id: `cli_${'0'.repeat(32)}` });
    await assertPage({ client_id: undefined });
    await assertPage({ client_id: 'https://evil.example/metadata' });
});

test('[4-14] a redirect URI that is not the registered one gets a page, never a redirect', async () => {
    for (const uri of [
        'https://evil.example/callback', `${loopback}?x=1`, 'http://127.0.0.1:7777/a/../callback', 'http://127.0.0.1:7777/%2e%2e/callback',
        'http://127.0.0.1:7@evil.example/callback', 'http://127.0.0.1:7777/Callback', 'HTTP://127.0.0.1:7777/callback',
        'https://127.0.0.1:7777/callback', 'http://localhost:7777/callback', `${loopback}#f`, 'http://[::1]:7777/callback', 'javascript:alert(1)',
    ]) await assertPage({ redirect_uri: uri });
    await assertPage(`${request(client, pkce())}&redirect_uri=${encodeURIComponent(loopback)}`);
    const page = await authorize({ redirect_uri: 'http://127.0.0.1:1/callback' });
    assert.equal(page.status, 200, '[12] another port of the same loopback address');
});

test('[16-21] what PKCE and the code flow ask for is not left out', async () => {
    await assertRedirect({ response_type: undefined }, 'invalid_request');
    for (const response_type of ['token', 'id_token', 'code token']) await assertRedirect({ response_type }, 'unsupported_response_type');
    await assertRedirect({ code_challenge: undefined }, 'invalid_request');
    for (const code_challenge_method of ['plain', undefined, 's256']) await assertRedirect({ code_challenge_method }, 'invalid_request');
    for (const bad of ['A'.repeat(42), 'A'.repeat(44), `${'A'.repeat(42)}=`, `${'A'.repeat(42)}+`]) await assertRedirect({ code_challenge: bad }, 'invalid_request');
    await assertRedirect(`${request(client, pkce())}&code_challenge=${'A'.repeat(43)}`, 'invalid_request');
});

test('[22 23] state comes back exactly, whatever is in it', async () => {
    for (const state of ['a\r\nSet-Cookie: x=1', 'ü€😀', 'x'.repeat(1000), '%0d%0a', '"<script>']) {
        const answer = await assertRedirect({ state, response_type: 'token' }, 'unsupported_response_type');
        assert.equal(answer.state, state);
        await browser.open(`/oauth/authorize?${request(client, pkce(), { state, resource: connection.mcp })}`);
        assert.equal(answerOf(await decide(browser, 'allow')).state, state);
    }
    await assertRedirect({ state: 'x'.repeat(4097) }, 'invalid_request');
    assert.ok(!('state' in await assertRedirect({ state: undefined, response_type: 'token' }, 'unsupported_response_type')));
});

test('[24 25] scopes: unknown alone is refused, beside known ones dropped, none is the default', async () => {
    await assertRedirect({ scope: 'admin:*' }, 'invalid_scope');
    await assertRedirect({ scope: 'mcp "x"' }, 'invalid_scope');
    await assertRedirect({ scope: 'mcp\u0001' }, 'invalid_scope');
    assert.equal((await tokens({ scope: 'mcp admin:* openid profile' })).scope, 'mcp openid profile');
    assert.equal((await tokens({ scope: undefined })).scope, 'mcp');
    assert.equal((await tokens({ scope: ' offline_access' })).scope, 'offline_access mcp');
    const { access_token: key, scope } = await tokens({ scope: 'mcp:read' });
    assert.equal(scope, 'mcp:read');
    const called = await tulle.callTool(connection, 'echo', { text: 'x' }, { key });
    assert.ok(called.status === 403 || called.body.error, called.text);
});

test('[26-28] a resource that is none of ours, or none of theirs, is invalid_target: the same answer', async () => {
    const answers = [];
    for (const resource of ['/mcp', `${connection.mcp}#x`, 'javascript:x', 'https://evil.example/mcp', `${issuer}/other`]) await assertRedirect({ resource }, 'invalid_target');
    for (const resource of [foreign.mcp, `${issuer}/mcp/conn_${'0'.repeat(32)}`, `${issuer}/mcp/other/foreign`, `${issuer}/mcp/foreign`])
        answers.push((await assertRedirect({ resource }, 'invalid_target')).error_description);
    assert.equal(new Set(answers).size, 1);
    await assertRedirect(`${request(client, pkce(), { resource: connection.mcp })}&resource=${encodeURIComponent(second.mcp)}`, 'invalid_target');
});

test('[29-34] prompt, max_age and what is not supported', async () => {
    const nobody = new Browser(tulle.url);
    await assertRedirect({ prompt: 'none' }, 'login_required', nobody);
    await assertRedirect({ prompt: 'none' }, 'consent_required');
    await assertRedirect({ prompt: 'none login' }, 'invalid_request');
    for (const max_age of ['abc', '-1']) await assertRedirect({ max_age }, 'invalid_request');
    await assertRedirect({ request: 'eyJ' }, 'request_not_supported');
    await assertRedirect({ request_uri: 'https://evil.example' }, 'request_uri_not_supported');
    await assertRedirect({ response_mode: 'fragment' }, 'invalid_request');
});

test('[35 39 40] what cannot be read gets a page', async () => {
    await assertPage(`client_id=%ff&redirect_uri=${encodeURIComponent(loopback)}`);
    await assertPage(`client_id=${client.client_id}&redirect_uri=${encodeURIComponent(loopback)}%00`);
    const both = await browser.request(`/oauth/authorize?${request(client, pkce())}`, { method: 'POST', body: 'state=again' });
    assert.equal(answerOf(both).error, 'invalid_request');
    const posted = await browser.request('/oauth/authorize', { method: 'POST', body: request(client, pkce(), { resource: connection.mcp }) });
    assert.equal(posted.status, 200);
});

test('[36 37] the pages are for no frame and no script of another origin', async () => {
    const page = await authorize({});
    assert.match(page.headers['content-security-policy'], /frame-ancestors 'none'/);
    assert.match(page.headers['content-security-policy'], /form-action 'self' http:\/\/127\.0\.0\.1:7777/);
    assert.equal(page.headers['x-frame-options'], 'DENY');
    assert.equal(page.headers['cache-control'], 'no-store');
    const preflight = await send(`${tulle.url}/oauth/authorize`, { method: 'OPTIONS', headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET' } });
    assert.equal(preflight.headers['access-control-allow-origin'], undefined);
});

test('[41-43 51] consent needs the page\'s own token and Origin, and is never given by GET', async () => {
    const alone = await makeClient(tulle, { client_name: 'Never allowed' });
    await browser.open(`/oauth/authorize?${request(alone, pkce(), { resource: connection.mcp })}`);
    assert.equal((await decide(browser, 'allow', { fields: { csrf_token: '' } })).status, 403);
    const stranger = await signedIn(tulle, other);
    await stranger.open(`/oauth/authorize?${request(client, pkce(), { resource: foreign.mcp })}`);
    const theirs = stranger.page.form('/oauth/consent').fields.csrf_token;
    assert.equal((await decide(browser, 'allow', { fields: { csrf_token: theirs } })).status, 403);
    assert.equal((await decide(browser, 'allow', { headers: { origin: 'https://evil.example' } })).status, 403);
    assert.equal((await browser.request('/oauth/consent?decision=allow')).status, 405);
    const granted = await until('an event that came later is there', async () => {
        const found = await events('oauth_consent');
        return found.some((event) => event.client_id === client.client_id) && found;
    });
    assert.ok(!granted.some((event) => event.client_id === alone.client_id), 'nothing was granted');
});

test('[44-46 48] a consent page answers once, for the person who saw it, for what was asked', async () => {
    const proof = pkce();
    await browser.open(`/oauth/authorize?${request(client, proof, { resource: connection.mcp })}`);
    const shown = browser.page;
    const { code: value } = answerOf(await decide(browser, 'allow', { fields: { scope: 'mcp mcp:manage' } }));
    assert.equal((await redeem(tulle, client, { code: value, verifier: proof.verifier })).body.scope, 'mcp');
    assert.equal((await decide(browser, 'allow')).status, 400, '[45]');
    const stranger = await signedIn(tulle, other);
    await stranger.open(`/oauth/authorize?${request(client, pkce(), { resource: foreign.mcp })}`);
    assert.equal((await decide(stranger, 'allow', { fields: { request: shown.form('/oauth/consent').fields.request } })).status, 400, '[46]');
    await browser.open(`/oauth/authorize?${request(client, pkce(), { resource: connection.mcp })}`);
    assert.equal(answerOf(await decide(browser, 'deny')).error, 'access_denied');
});

test('[49] a client\'s name is shown as text, cut, and without characters that turn it around', async () => {
    const loud = await makeClient(tulle, { client_name: `<script>alert(1)</script>\u202Eevil${'x'.repeat(1000)}` });
    const page = await authorize({ client_id: loud.client_id });
    assert.ok(!page.html.includes('<script>'));
    assert.ok(!page.html.includes('\u202E'));
    assert.ok(!page.html.includes('x'.repeat(200)));
});

test('[50] consent is remembered for a place on the web, and asked for again when it widens; never for loopback', async () => {
    const web = await makeClient(tulle, { redirect_uris: ['https://app.example/cb'] });
    await obtainTokens(tulle, browser, web, { resource: connection.mcp });
    const skipped = answerOf(await authorize({ client_id: web.client_id, redirect_uri: web.redirect_uri }), web.redirect_uri);
    assert.ok(skipped.code);
    for (const more of [{ scope: 'mcp mcp:read' }, { resource: second.mcp }, { prompt: 'consent' }])
        assert.equal((await authorize({ client_id: web.client_id, redirect_uri: web.redirect_uri, ...more })).status, 200, JSON.stringify(more));
    await tokens();
    assert.equal((await authorize({})).status, 200);
});

test('[53-58] the token endpoint takes one POST with one form', async () => {
    const got = await send(`${tulle.url}/oauth/token`, { method: 'GET' });
    assert.equal(got.status, 405);
    assert.equal(got.headers.allow, 'POST');
    const url = `${tulle.url}/oauth/token`;
    await assertTokenError(send(url, { body: { grant_type: 'refresh_token' } }), 400, 'invalid_request');
    await assertTokenError(form(url, { client_id: client.client_id }), 400, 'invalid_request');
    await assertTokenError(form(url, { grant_type: 'password', client_id: client.client_id }), 400, 'unsupported_grant_type');
    await assertTokenError(form(url, `grant_type=refresh_token&grant_type=refresh_token&client_id=${client.client_id}`), 400, 'invalid_request');
    await assertTokenError(form(`${url}?client_id=${client.client_id}`, { grant_type: 'refresh_token' }), 400, 'invalid_request');
});

test('[59-64 85] clients prove who they are in the way they registered, and in one way', async () => {
    const url = `${tulle.url}/oauth/token`;
    const basic = (id, secret) => ({ authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` });
    const confidential = await makeClient(tulle, { token_endpoint_auth_method: 'client_secret_basic', redirect_uris: ['https://b.example/cb'] });
    const { client_id, client_secret } = confidential;
    const grant = { grant_type: 'authorization_code', code: 'x', code_verifier: 'x'.repeat(43) };
    await assertTokenError(form(url, { ...grant, client_id: `cli_${'0'.repeat(32)}` }), 401, 'invalid_client');
    const wrong = await form(url, grant, basic(client_id, 'wrong'));
    assert.equal(wrong.status, 401);
    assert.match(wrong.headers['www-authenticate'], /^Basic/);
    await assertTokenError(form(url, { ...grant, client_id, client_secret }, basic(client_id, client_secret)), 400, 'invalid_request');
    await assertTokenError(form(url, { ...grant, client_id: client.client_id, client_secret: 'x' }), 401, 'invalid_client');
    await assertTokenError(form(url, { ...grant, client_id }), 401, 'invalid_client');
    for (const header of ['Basic ???', `Basic ${Buffer.from('nocolon').toString('base64')}`]) await assertTokenError(form(url, grant, { authorization: header }), 401, 'invalid_client');
    await assertTokenError(form(url, grant, basic(client_id, client_secret)), 400, 'invalid_grant');
    await assertTokenError(form(url, { grant_type: 'client_credentials', client_id: client.client_id }), 400, 'unauthorized_client');
    const value = await obtainCode(browser, confidential, { resource: connection.mcp });
    const { status } = await redeem(tulle, confidential, value, {}, basic(client_id, client_secret));
    assert.equal(status, 200);
});

test('[65] a code of one client is useless to another, and still good for its own', async () => {
    const thief = await makeClient(tulle, { client_name: 'Thief' });
    const value = await code();
    await assertTokenError(redeem(tulle, thief, value), 400, 'invalid_grant');
    assert.equal((await redeem(tulle, client, value)).status, 200);
});

test('[67] a code that comes again ends its grant', async () => {
    const value = await code();
    const { body } = await redeem(tulle, client, value);
    assert.equal((await list(connection.mcp, body.access_token)).status, 200);
    await assertTokenError(redeem(tulle, client, value), 400, 'invalid_grant');
    assert.equal((await list(connection.mcp, body.access_token)).status, 401);
    await assertTokenError(refresh(tulle, client, body.refresh_token), 400, 'invalid_grant');
    assert.equal((await until('the replay is recorded', async () => (await events('oauth_code_replay'))[0])).outcome, 'denied');
});

test('[68] of parallel redemptions exactly one succeeds', async () => {
    for (const n of [2, 8]) {
        const value = await code();
        const answers = await Promise.all(Array.from({ length: n }, () => redeem(tulle, client, value)));
        const good = answers.filter((answer) => answer.status === 200);
        assert.equal(good.length, 1, answers.map((answer) => answer.status).join());
        for (const answer of answers) if (answer.status !== 200) assert.equal(answer.body.error, 'invalid_grant');
    }
});

test('[69-73] a code goes with its verifier, redirect_uri and resource', async () => {
    let value = await code();
    await assertTokenError(redeem(tulle, client, { ...value, verifier: 'x'.repeat(43) }), 400, 'invalid_grant');
    await assertTokenError(redeem(tulle, client, value), 400, 'invalid_grant');
    for (const verifier of [undefined, 'x'.repeat(42), 'x'.repeat(129), `${'x'.repeat(42)} `]) {
        value = await code();
        await assertTokenError(redeem(tulle, client, { ...value, verifier: verifier ?? '' }), 400, 'invalid_grant');
    }
    value = await code();
    await assertTokenError(redeem(tulle, client, value, { redirect_uri: 'https://evil.example/' }), 400, 'invalid_grant');
    value = await code();
    await assertTokenError(redeem(tulle, client, value, { resource: second.mcp }), 400, 'invalid_target');
    assert.equal((await redeem(tulle, client, value, { resource: `${issuer}/mcp/acme/fixture`, redirect_uri: loopback })).status, 200);
});

test('[75 76 81 84] refresh tokens: unknown, foreign, wider, and tokens of another kind', async () => {
    const first = await tokens();
    const thief = await makeClient(tulle, { client_name: 'Thief' });
    await assertTokenError(refresh(tulle, client, `tulle_rt_${'A'.repeat(43)}`), 400, 'invalid_grant');
    await assertTokenError(refresh(tulle, client, first.access_token), 400, 'invalid_grant');
    await assertTokenError(refresh(tulle, thief, first.refresh_token), 400, 'invalid_grant');
    await assertTokenError(refresh(tulle, client, first.refresh_token, { scope: 'mcp mcp:manage' }), 400, 'invalid_scope');
    await assertTokenError(refresh(tulle, client, first.refresh_token, { resource: second.mcp }), 400, 'invalid_target');
    await assertTokenError(refresh(tulle, client, ''), 400, 'invalid_request');
    const { status, body } = await refresh(tulle, client, first.refresh_token);
    assert.equal(status, 200);
    assert.notEqual(body.refresh_token, first.refresh_token);
    assert.equal((await list(connection.mcp, body.access_token)).status, 200);
});

test('[77 78 80] the same refresh gets the same answer again, in turn and in parallel; another request does not', async () => {
    const { refresh_token: old } = await tokens({ scope: 'mcp mcp:read' });
    const answers = await Promise.all(Array.from({ length: 4 }, () => refresh(tulle, client, old)));
    for (const { status, body } of answers) {
        assert.equal(status, 200);
        assert.equal(body.refresh_token, answers[0].body.refresh_token);
        assert.equal(body.access_token, answers[0].body.access_token);
    }
    assert.equal((await refresh(tulle, client, old)).body.refresh_token, answers[0].body.refresh_token);
    await assertTokenError(refresh(tulle, client, old, { scope: 'mcp:read' }), 400, 'invalid_grant');
    const next = await refresh(tulle, client, answers[0].body.refresh_token);
    assert.equal(next.status, 200, 'the family lives');
    assert.equal((await refresh(tulle, client, old)).status, 200, 'within 30 seconds even after the successor was used');
});

test('[147-151] revocation: of an access token alone, of a family by its refresh token; strangers end nothing', async () => {
    const url = `${tulle.url}/oauth/revoke`;
    const stranger = await makeClient(tulle, { client_name: 'Stranger' });
    const { client_id } = client;
    let pair = await tokens();
    await assertTokenError(form(url, { client_id }), 400, 'invalid_request');
    await assertTokenError(form(url, { client_id: `cli_${'0'.repeat(32)}`, token: pair.access_token }), 401, 'invalid_client');
    assert.equal((await form(url, { client_id, token: 'unknown' })).status, 200);
    assert.equal((await form(url, { client_id: stranger.client_id, token: pair.access_token })).status, 200);
    assert.equal((await form(url, { client_id: stranger.client_id, token: pair.refresh_token })).status, 200);
    assert.equal((await list(connection.mcp, pair.access_token)).status, 200);
    assert.equal((await form(url, { client_id, token: pair.access_token, token_type_hint: 'refresh_token' })).status, 200);
    await until('the access token is dead on every worker', async () => (await Promise.all(Array.from({ length: 8 }, () => list(connection.mcp, pair.access_token)))).every(({ status }) => status === 401));
    pair = (await refresh(tulle, client, pair.refresh_token)).body;
    assert.equal((await form(url, { client_id, token: pair.refresh_token })).status, 200);
    assert.equal((await list(connection.mcp, pair.access_token)).status, 401);
    await assertTokenError(refresh(tulle, client, pair.refresh_token), 400, 'invalid_grant');
});

test('[152-154 156] introspection: for clients with a secret, about their own tokens', async () => {
    const url = `${tulle.url}/oauth/introspect`;
    const confidential = await makeClient(tulle, { token_endpoint_auth_method: 'client_secret_post', redirect_uris: ['https://c.example/cb'] });
    const me = { client_id: confidential.client_id, client_secret: confidential.client_secret };
    const pair = (await redeem(tulle, confidential, await obtainCode(browser, confidential, { resource: connection.mcp }), { client_secret: me.client_secret })).body;
    const strange = await tokens();
    await assertTokenError(form(url, { token: pair.access_token }), 401, 'invalid_client');
    await assertTokenError(form(url, { token: pair.access_token, client_id: client.client_id }), 401, 'invalid_client');
    const { body } = await form(url, { ...me, token: pair.access_token });
    assert.equal(body.active, true);
    assert.equal(body.aud, `${issuer}/mcp/${connection.id}`);
    assert.equal(body.username, org.email);
    const unused = await obtainCode(browser, confidential, { resource: connection.mcp, prompt: 'consent' });
    const next = (await refresh(tulle, confidential, pair.refresh_token, { client_secret: me.client_secret })).body;
    assert.equal((await form(url, { ...me, token: next.refresh_token, token_type_hint: 'access_token' })).body.token_type, 'refresh_token');
    await form(`${tulle.url}/oauth/revoke`, { ...me, token: pair.access_token });
    const inactive = {
        'another client\'s access token': strange.access_token, 'another client\'s refresh token': strange.refresh_token, 'a revoked access token': pair.access_token,
        'a used refresh token': pair.refresh_token, 'an unused code': unused.code, 'an API key': org.key, 'a session': browser.jar.get('tulle-dev'), 'a client secret': me.client_secret,
        'a JWT': 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.', 'garbage': 'garbage', 'an unknown token': `tulle_at_${'A'.repeat(43)}`, 'half a token': next.access_token.slice(0, 30),
    };
    for (const [what, token] of Object.entries(inactive)) {
        const { status, text, headers } = await form(url, { ...me, token });
        assert.deepEqual([status, text, headers['cache-control']], [200, '{"active":false}', 'no-store'], what);
    }
    const isActive = async (token = next.access_token) => (await form(url, { ...me, token })).body.active;
    assert.deepEqual([await isActive(), await isActive(next.refresh_token)], [true, true]);
    await tulle.use('ORGANIZATION_POLICY_UPDATE', { require_two_factor: true }, org);
    assert.equal((await list(connection.mcp, next.access_token)).status, 401);
    assert.deepEqual([await isActive(), await isActive(next.refresh_token)], [false, false], 'what is not taken here is said to nobody to be good');
    await tulle.use('ORGANIZATION_POLICY_UPDATE', { require_two_factor: false }, org);
    assert.equal(await isActive(), true);
});

test('[247 248] what is no access token is refused as a bearer', async () => {
    const { refresh_token } = await tokens();
    for (const key of ['garbage', refresh_token, `tulle_at_${'A'.repeat(43)}`]) {
        const answer = await list(connection.mcp, key);
        assert.equal(answer.status, 401);
        assert.match(answer.headers['www-authenticate'], /error="invalid_token"/);
    }
    assert.equal((await rpc(connection.mcp, 'tools/list', {}, { headers: { authorization: 'Basic eDp5' } })).status, 401);
});

test('[242] an API key is no session on the pages of authorization', async () => {
    const page = await new Browser(tulle.url).request(`/oauth/authorize?${request(client, pkce())}`, { headers: { authorization: `Bearer ${org.key}` } });
    assert.equal(page.status, 401);
});

test('[74 82] who left the organization has no token any more', async () => {
    const leaver = await makeOwner(tulle, 'leaver');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: leaver.email, role: 'member' }, org);
    const theirs = await signedIn(tulle, leaver);
    const pair = await obtainTokens(tulle, theirs, client, { resource: connection.mcp });
    const unused = await obtainCode(theirs, client, { resource: connection.mcp });
    assert.equal((await list(connection.mcp, pair.access_token)).status, 200);
    const { items } = await tulle.use('ORGANIZATION_MEMBER_LIST', {}, org);
    await tulle.use('ORGANIZATION_MEMBER_REMOVE', { user_id: items.find((member) => member.email === leaver.email).user_id }, org);
    assert.equal((await list(connection.mcp, pair.access_token)).status, 401);
    await assertTokenError(refresh(tulle, client, pair.refresh_token), 400, 'invalid_grant');
    await assertTokenError(redeem(tulle, client, unused), 400, 'invalid_grant');
});

test('grants and clients are listed to who gave them, and end at once', async () => {
    const program = await makeClient(tulle, { client_name: 'To be ended', redirect_uris: ['https://end.example/cb'] });
    const pair = await obtainTokens(tulle, browser, program, { resource: connection.mcp });
    const grants = (await tulle.use('OAUTH_GRANT_LIST', { limit: 100 }, org)).items;
    const grant = grants.find((one) => one.client_id === program.client_id);
    assert.deepEqual([grant.resource, grant.scopes, grant.redirect_host, grant.email], [connection.id, ['mcp'], 'end.example', org.email]);
    assert.equal((await tulle.use('OAUTH_CLIENT_GET', { client_id: program.client_id }, org)).item.name, 'To be ended');
    for (const [name, args] of [['OAUTH_GRANT_REVOKE', { grant_id: grant.id }], ['OAUTH_CLIENT_GET', { client_id: program.client_id }], ['OAUTH_CLIENT_DELETE', { client_id: program.client_id }]]) {
        const theirs = await tulle.refuse(name, args, other, 404);
        const unknown = await tulle.refuse(name, Object.fromEntries(Object.entries(args).map(([key, id]) => [key, id.replace(/.{8}$/, '00000000')])), other, 404);
        assert.equal(theirs.message, unknown.message);
    }
    assert.ok(!JSON.stringify(await tulle.use('OAUTH_GRANT_LIST', {}, other)).includes(org.org_id));
    await tulle.use('OAUTH_GRANT_REVOKE', { grant_id: grant.id }, org);
    assert.equal((await list(connection.mcp, pair.access_token)).status, 401);
    await assertTokenError(refresh(tulle, program, pair.refresh_token), 400, 'invalid_grant');
    assert.equal((await authorize({ client_id: program.client_id, redirect_uri: program.redirect_uri })).status, 200, 'the consent is forgotten');
    const again = await obtainTokens(tulle, browser, program, { resource: connection.mcp });
    assert.ok((await tulle.use('OAUTH_CLIENT_LIST', { limit: 100 }, org)).items.some((one) => one.id === program.client_id));
    await tulle.use('OAUTH_CLIENT_DELETE', { client_id: program.client_id }, org);
    assert.equal((await list(connection.mcp, again.access_token)).status, 401);
    await assertTokenError(refresh(tulle, program, again.refresh_token), 401, 'invalid_client');
});

test('[82] a changed password ends what was granted to programs', async () => {
    const ada = await makeOwner(tulle, 'ada');
    const own = await tulle.connect(ada, { name: 'Own', url: connection.url });
    const theirs = await signedIn(tulle, ada);
    const pair = await obtainTokens(tulle, theirs, client, { resource: own.mcp });
    await theirs.open('/account');
    const page = await theirs.submit('/account/password', { current: ada.password, password: plant('the new password') });
    assert.equal(page.status, 200, page.text);
    assert.equal((await list(own.mcp, pair.access_token)).status, 401);
    await assertTokenError(refresh(tulle, client, pair.refresh_token), 400, 'invalid_grant');
});

test('[108] too many failures of one client are told to wait; what is right is still answered', async () => {
    const clumsy = await makeClient(tulle, { client_name: 'Known' });
    const value = await obtainCode(browser, clumsy, { resource: connection.mcp });
    let answer;
    for (let i = 0; i < 21; i++) answer = await refresh(tulle, clumsy, `tulle_rt_${'A'.repeat(43)}`);
    assert.equal(answer.status, 429);
    assert.ok(answer.headers['retry-after']);
    assert.equal((await redeem(tulle, clumsy, value)).status, 200);
});

test('[109] a body that is too large is 413', async () => {
    assert.equal((await form(`${tulle.url}/oauth/token`, `x=${'y'.repeat(70_000)}`)).status, 413);
});
