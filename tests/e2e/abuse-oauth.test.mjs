// Misuse of the authorization server and of its tokens, row by row. Numbers in brackets: the rows of the abuse matrix; those
// about expiry are in oauth-expiry.test.mjs, the rest in oauth.test.mjs and oauth-registration.test.mjs.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser } from './lib/browser.mjs';
import { until, within } from './lib/children.mjs';
import { open, rpc, send } from './lib/http.mjs';
import { answerOf, decide, form, loopback, makeClient, makeOwner, obtainCode, obtainTokens, pkce, redeem, refresh, request, signedIn } from './lib/oauth.mjs';
import { guard, plant } from './lib/secrets.mjs';
import { startRaw } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, raw, org, connection, second, browser, client, issuer;
const downstream = plant('downstream bearer');
before(async () => {
    [tulle, raw] = await Promise.all([startTulle(), startRaw()]);
    issuer = `http://localhost:${tulle.port}`;
    org = await makeOwner(tulle, 'acme');
    connection = await tulle.connect(org, { name: 'Fixture', slug: 'fixture', url: raw.url, credential: { bearer: downstream } });
    second = await tulle.connect(org, { name: 'Second', slug: 'second', url: raw.url });
    browser = await signedIn(tulle, org);
    client = await makeClient(tulle);
});
after(() => tulle?.end());

const ask = (more = {}, who = browser) => who.request(`/oauth/authorize?${request(client, pkce(), { resource: connection.mcp, ...more })}`);
const tokens = (more = {}) => obtainTokens(tulle, browser, client, { resource: connection.mcp, ...more });
const list = (url, key) => rpc(url, 'tools/list', {}, { key });
async function assertGone(answer) {
    const { status, body, text } = await answer;
    assert.equal(`${status} ${body?.error}`, '400 invalid_grant', text);
}

test('[3] a client that is gone gets a page, before sign-in and after, and no answer from a page that is still open', async () => {
    const gone = await makeClient(tulle, { client_name: 'Gone', redirect_uris: ['https://gone.example/cb'] });
    await obtainTokens(tulle, browser, gone, { resource: connection.mcp });
    await browser.open(`/oauth/authorize?${request(gone, pkce(), { resource: second.mcp })}`);
    assert.equal(browser.page.status, 200);
    await tulle.use('OAUTH_CLIENT_DELETE', { client_id: gone.client_id }, org);
    for (const who of [browser, new Browser(tulle.url)]) {
        const page = await ask({ client_id: gone.client_id, redirect_uri: gone.redirect_uri }, who);
        assert.deepEqual([page.status, page.headers.location], [400, undefined]);
        assert.match(page.text, /add it again/);
    }
    const late = await decide(browser, 'allow');
    assert.deepEqual([late.status, late.headers.location], [400, undefined]);
});

test('[15] without a redirect_uri: the only registered one, and a page where there are two', async () => {
    const two = await makeClient(tulle, { redirect_uris: [loopback, 'https://a.example/cb'] });
    const page = await ask({ client_id: two.client_id, redirect_uri: undefined });
    assert.deepEqual([page.status, page.headers.location], [400, undefined]);
    assert.match(page.text, /redirect_uri/);
    const proof = pkce();
    await browser.open(`/oauth/authorize?${request(client, proof, { resource: connection.mcp, redirect_uri: undefined })}`);
    const { code } = answerOf(await decide(browser, 'allow'), loopback);
    assert.equal((await redeem(tulle, client, { code, verifier: proof.verifier })).status, 200);
});

test('[38] a query of 100 KiB is refused and harms nobody', async () => {
    const { status } = await send(`${tulle.url}/oauth/authorize?${request(client, pkce(), { state: 'x'.repeat(100 * 1024) })}`, { method: 'GET' })
        .catch((error) => ({ status: error.code }));
    assert.ok([400, 414, 431, 'ECONNRESET', 'EPIPE'].includes(status), `${status}`);
    assert.equal((await ask()).status, 200);
});

test('a long request survives the way through sign-in, byte by byte', async () => {
    const long = await makeClient(tulle, { client_name: 'Long winded' });
    const states = { 'a state of 4096 bytes': 'x'.repeat(4096), 'a state full of escapes': '%+&=#\u00fc'.repeat(150) };
    for (const [what, state] of Object.entries(states)) {
        const proof = pkce();
        const asked = request(long, proof, { resource: connection.mcp, state, scope: `mcp ${'word'.repeat(200)}` });
        assert.ok(asked.length > 3000, `${what}: ${asked.length}`);
        const person = new Browser(tulle.url);
        await person.open(`/oauth/authorize?${asked}`);
        assert.equal(person.page.path, '/login', what);
        await person.submit('/login', { email: org.email, password: 'wrong password' });
        assert.equal(person.page.status, 401);
        await person.submit('/login', { email: org.email, password: org.password });
        const answer = answerOf(await decide(person, 'allow'));
        assert.equal(answer.state, state, what);
        assert.equal((await redeem(tulle, long, { code: answer.code, verifier: proof.verifier })).body.scope, 'mcp');
    }
    const web = await makeClient(tulle, { client_name: 'Remembered', redirect_uris: ['https://long.example/cb'] });
    await obtainTokens(tulle, browser, web, { resource: connection.mcp });
    const state = states['a state of 4096 bytes'];
    const skipped = answerOf(await ask({ client_id: web.client_id, redirect_uri: web.redirect_uri, state }), web.redirect_uri);
    assert.equal(skipped.state, state);
    assert.ok(skipped.code, 'no page in between');
    assert.equal(answerOf(await ask({ state, response_type: 'token' })).state, state, 'an error carries it too');
});

test('[52] who left the organization while the page was open gives nothing: access_denied', async () => {
    const leaver = await makeOwner(tulle, 'leaver');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: leaver.email, role: 'member' }, org);
    const theirs = await signedIn(tulle, leaver);
    const web = await makeClient(tulle, { client_name: 'Web', redirect_uris: ['https://web.example/cb'] });
    await obtainTokens(tulle, theirs, web, { resource: connection.mcp }); // remembered: would be skipped from now on
    await theirs.open(`/oauth/authorize?${request(client, pkce(), { resource: connection.mcp })}`);
    assert.equal(theirs.page.status, 200);
    await tulle.use('ORGANIZATION_MEMBER_REMOVE', { user_id: leaver.user_id }, org);
    const answer = answerOf(await decide(theirs, 'allow'));
    assert.deepEqual([answer.error, answer.code, answer.state], ['access_denied', undefined, 's t&1']);
    const again = answerOf(await theirs.request(`/oauth/authorize?${request(web, pkce(), { resource: connection.mcp })}`), web.redirect_uri);
    assert.deepEqual([again.error, again.code], ['invalid_target', undefined], 'a remembered consent is none any more');
});

test('[74 82 220] a password set by a link ends sessions, tokens, codes and the other links', async () => {
    const ada = await makeOwner(tulle, 'ada');
    const own = await tulle.connect(ada, { name: 'Own', url: raw.url });
    const theirs = await signedIn(tulle, ada);
    const pair = await obtainTokens(tulle, theirs, client, { resource: own.mcp });
    const unused = await obtainCode(theirs, client, { resource: own.mcp });
    assert.equal((await list(own.mcp, pair.access_token)).status, 200);
    const links = [];
    for (let i = 0; i < 2; i++) {
        links.push(new URL(await tulle.must('recover', '--org', 'ada', '--email', ada.email)).pathname);
        guard(links[i].split('/').at(-1), 'recovery token');
    }
    assert.equal((await list(own.mcp, pair.access_token)).status, 200, 'a link alone ends nothing');
    const fresh = new Browser(tulle.url);
    await fresh.open(links[0]);
    await fresh.submit(links[0], { password: plant('recovered password') });
    assert.equal(fresh.page.path, '/account');
    assert.equal((await theirs.session()).user, null);
    assert.equal((await list(own.mcp, pair.access_token)).status, 401);
    await assertGone(refresh(tulle, client, pair.refresh_token));
    await assertGone(redeem(tulle, client, unused));
    assert.equal((await new Browser(tulle.url).open(links[1])).status, 404, 'the other link');
});

test('[155] guessing at introspection is told to wait; what is right is still answered', async () => {
    const guesser = await makeClient(tulle, { token_endpoint_auth_method: 'client_secret_post', redirect_uris: ['https://guess.example/cb'] });
    const me = { client_id: guesser.client_id, client_secret: guesser.client_secret };
    const pair = (await redeem(tulle, guesser, await obtainCode(browser, guesser, { resource: connection.mcp }), me)).body;
    guard(pair.access_token, 'access token');
    guard(pair.refresh_token, 'refresh token');
    const introspect = (token) => form(`${tulle.url}/oauth/introspect`, { ...me, token });
    const answers = [];
    for (let i = 0; i < 40; i++) answers.push(await introspect(`tulle_at_${String(i).padStart(43, 'A')}`));
    const waits = answers.filter(({ status }) => status === 429);
    assert.deepEqual([answers[0].text, answers[19].text], ['{"active":false}', '{"active":false}']);
    assert.ok(waits.length > 0, answers.map(({ status }) => status).join());
    for (const { headers } of waits) assert.ok(Number(headers['retry-after']) > 0);
    assert.equal((await introspect(pair.access_token)).body.active, true);
});

test('[250 251] nothing but an access token or an API key is a bearer: at connections, at /mcp and at /api', async () => {
    const confidential = await makeClient(tulle, { token_endpoint_auth_method: 'client_secret_post', redirect_uris: ['https://b.example/cb'] });
    const { client_id, client_secret, registration_access_token } = confidential;
    const unused = await obtainCode(browser, confidential, { resource: connection.mcp });
    const pair = await tokens();
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { iss: issuer, aud: connection.mcp, sub: org.user_id, client_id, scope: 'mcp', org_id: org.org_id, exp: 4102444800, iat: 1 };
    const key = (await send(`${tulle.url}/oauth/jwks`, { method: 'GET' })).body.keys[0];
    const jwt = (header) => `${part(header)}.${part(claims)}.${'A'.repeat(86)}`;
    const session = browser.jar.get('tulle-dev');
    const given = {
        'a refresh token': pair.refresh_token, 'an unused code': unused.code, 'a client secret': client_secret, 'a registration token': registration_access_token,
        'a client id': client_id, 'a session': session, 'the credential of the server': downstream, 'an id_token': jwt({ alg: 'ES256', typ: 'JWT', kid: key.kid }),
        'alg none': `${part({ alg: 'none', typ: 'at+jwt' })}.${part(claims)}.`, 'HS256': jwt({ alg: 'HS256', typ: 'at+jwt', kid: key.kid }),
        'a kid that climbs': jwt({ alg: 'ES256', typ: 'at+jwt', kid: '../../../dev/null' }), 'the access token, cut': pair.access_token.slice(0, -1),
        'the access token, longer': `${pair.access_token}A`, 'its SHA-256': (await import('node:crypto')).createHash('sha256').update(pair.access_token).digest('hex'),
    };
    for (const [what, token] of Object.entries(given))
        for (const answer of [await list(connection.mcp, token), await list(`${tulle.url}/mcp`, token), await tulle.tool('CONNECTION_LIST', {}, { key: token })]) {
            assert.equal(answer.status, 401, `${what}: ${answer.text}`);
            assert.match(answer.headers['www-authenticate'], /^Bearer .*error="invalid_token"/, what);
        }
    assert.equal((await list(connection.mcp, pair.access_token)).status, 200);
});

test('[252] a token that is too narrow is told which scope is missing', async () => {
    const manages = await tulle.makeKey('acme', org.email, '--scope', 'mcp:manage');
    const uses = await tulle.makeKey('acme', org.email, '--scope', 'mcp');
    const reads = await tulle.makeKey('acme', org.email, '--scope', 'mcp:read');
    const { access_token: narrow } = await tokens({ resource: `${issuer}/mcp`, scope: 'mcp' });
    const called = (key) => rpc(`${tulle.url}/mcp`, 'tools/call', { name: 'CONNECTION_LIST', arguments: {} }, { key });
    for (const [answer, scope] of [[await tulle.callTool(connection, 'echo', { text: 'x' }, { key: manages }), 'mcp'],
        [await tulle.callTool(connection, 'echo', { text: 'x' }, { key: reads }), 'mcp'], [await called(uses), 'mcp:manage'], [await called(narrow), 'mcp:manage']]) {
        assert.equal(answer.status, 403, answer.text);
        const challenge = answer.headers['www-authenticate'];
        for (const word of ['Bearer ', 'error="insufficient_scope"', `scope="${scope}"`, 'resource_metadata="http']) assert.ok(challenge.includes(word), challenge);
    }
});

test('[253] a stream ends when its grant is revoked', async () => {
    const { access_token: key, refresh_token } = await tokens();
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'e2e', version: '1' } };
    const { headers } = await rpc(connection.mcp, 'initialize', params, { key });
    const session = { 'mcp-session-id': headers['mcp-session-id'], 'mcp-protocol-version': '2025-11-25' };
    await raw.plan({ GET: { name: 'stay_open' } });
    try {
        const stream = await within(10_000, 'the stream opens', open(connection.mcp, { method: 'GET', key, headers: { ...session, accept: 'text/event-stream' } }));
        assert.equal(stream.status, 200);
        assert.equal((await form(`${tulle.url}/oauth/revoke`, { client_id: client.client_id, token: refresh_token })).status, 200);
        let isOpen = true;
        stream.done.then(() => (isOpen = false));
        await until('the stream ends', async () => {
            await fetch(`${raw.origin}/_push`, { method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } }) });
            return !isOpen;
        });
    } finally {
        await raw.plan({});
    }
});

test('[254 255] the server sees neither the client\'s token nor what the client says about who it is', async () => {
    const { access_token: key } = await tokens();
    const told = { 'x-forwarded-user': 'root', 'x-mesh-token': 'forged', 'x-mcp-session-auth': 'forged', 'x-user-id': 'root', cookie: 'a=b', 'proxy-authorization': 'Basic eDp5', forwarded: 'for=10.0.0.1' };
    await raw.forget();
    const { status } = await tulle.callTool(connection, 'echo', { text: 'x' }, { key, headers: told });
    assert.equal(status, 200);
    const seen = await raw.seen();
    assert.ok(seen.some(({ body }) => JSON.stringify(body).includes('tools/call')));
    for (const { headers } of seen) {
        assert.ok(!JSON.stringify(headers).includes(key));
        assert.equal(headers.authorization, `Bearer ${downstream}`);
        for (const [name, value] of Object.entries(told)) assert.notEqual(headers[name], value, name);
    }
});

test('[107] whatever holds a token, a code or a secret, or refuses one, is kept by no cache', async () => {
    const confidential = await makeClient(tulle, { token_endpoint_auth_method: 'client_secret_post', client_name: 'Keeps nothing' });
    const proof = { client_id: confidential.client_id, client_secret: confidential.client_secret };
    const browser = await signedIn(tulle, org);
    const given = await obtainCode(browser, confidential, { resource: `${tulle.url}/mcp`, scope: 'mcp:manage openid' });
    const token = `${tulle.url}/oauth/token`;
    const answers = [
        [200, await form(token, { ...proof, grant_type: 'authorization_code', code: given.code, code_verifier: given.verifier })],
        [400, await form(token, { ...proof, grant_type: 'authorization_code', code: given.code, code_verifier: given.verifier })],
        [400, await form(token, { ...proof, grant_type: 'refresh_token', refresh_token: 'tulle_rt_none' })],
        [401, await form(token, { ...proof, client_secret: 'wrong', grant_type: 'refresh_token' })],
        [200, await form(`${tulle.url}/oauth/introspect`, { ...proof, token: 'none' })],
        [200, await form(`${tulle.url}/oauth/device_authorization`, { ...proof })],
        [201, await send(`${tulle.url}/oauth/register`, { body: { client_name: 'Another', redirect_uris: ['http://127.0.0.1:7778/cb'] } })],
    ];
    for (const [index, [status, answer]] of answers.entries()) {
        assert.equal(answer.status, status, `${index}: ${answer.text}`);
        assert.match(answer.headers['cache-control'] ?? '', /\bno-store\b/, `${index}: ${answer.text}`);
    }
});

test('[246] without a token: 401 with the metadata\'s address and no error, everywhere', async () => {
    for (const path of ['/mcp', `/mcp/${connection.id}`, `/mcp/conn_${'0'.repeat(32)}`]) {
        const { status, headers } = await send(tulle.url + path, { body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } });
        assert.equal(status, 401, path);
        const challenge = headers['www-authenticate'];
        assert.ok(challenge.startsWith('Bearer '), challenge);
        assert.ok(challenge.includes(`resource_metadata="${tulle.url}/.well-known/oauth-protected-resource${path}"`), challenge);
        assert.doesNotMatch(challenge, /error/);
    }
});
