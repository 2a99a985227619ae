// Tulle as OAuth client of the servers it calls: discovery, registration, the person's way there and back, and what becomes of
// the tokens. Numbers in brackets: the rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { until } from './lib/children.mjs';
import { makeClock } from './lib/clock.mjs';
import { Browser } from './lib/browser.mjs';
import { arriveBack, authorizeAt, begin, connectBy } from './lib/downstream.mjs';
import { rpc, send } from './lib/http.mjs';
import { makeOwner, makePerson, signedIn } from './lib/oauth.mjs';
import { plant } from './lib/secrets.mjs';
import { startOAuthRaw, startOAuthReal } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, clock, org, raw, real, person, browser;
before(async () => {
    clock = makeClock();
    [tulle, raw, real] = await Promise.all([startTulle({ env: { ...clock.env, LOG_LEVEL: 'debug' } }), startOAuthRaw(), startOAuthReal()]);
    org = await makeOwner(tulle, 'acme');
    person = await makePerson(tulle, 'ann@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: person.email, role: 'member' }, org);
    person.key = await tulle.makeKey('acme', person.email);
    browser = await signedIn(tulle, org);
});
after(() => tulle?.end());

let count = 0;
/** A fresh connection to the hand-written server. */
const guarded = (fields = {}) => tulle.connect(org, { name: `Guarded ${++count}`, url: raw.url, auth: 'oauth', ...fields });
const call = (connection, { key } = org, name = 'whoami') => rpc(connection.mcp, 'tools/call', { name, arguments: {} }, { key });
const whoami = async (connection, who) => {
    const { body, text } = await call(connection, who);
    assert.ok(body.result && !body.result.isError, text);
    return JSON.parse(body.result.content[0].text);
};

test('a real authorization server: registration, PKCE, resource, tokens, and the call goes through', async () => {
    const connection = await tulle.connect(org, { name: 'Real', url: real.url, auth: 'oauth' });
    const refused = await call(connection);
    assert.match(refused.text, new RegExp(`/oauth/connect/${connection.id}`));
    const page = await connectBy(browser, connection, org);
    assert.match(page.text, /Real is connected for everybody in The acme/);
    const { authorization } = await whoami(connection);
    assert.match(authorization, /^Bearer /);
    assert.deepEqual((await real.seen()).grants, ['authorization_code']);
});

// ---- the person ----

test('a person connects their own account: only theirs, and others are told where to connect', async () => {
    const connection = await guarded({ credential_scope: 'user' });
    const ann = await signedIn(tulle, person);
    await connectBy(ann, connection, org);
    const { scope } = await whoami(connection, person);
    assert.equal(scope, 'read');
    const { body } = await call(connection, org);
    assert.equal(body.result.isError, true);
    assert.match(body.result.content[0].text, new RegExp(`you have not connected this server yet: open http://localhost:\\d+/oauth/connect/${connection.id}`));
    const status = await tulle.use('CONNECTION_CREDENTIAL_STATUS', { connection_id: connection.id }, person);
    assert.deepEqual(status.items.map((item) => [item.scope, item.kind, item.has_credential]), [['organization', null, false], ['user', 'oauth', true]]);
});

test('CONNECTION_AUTHORIZE answers the address; the organization is authorized by administrators only', async () => {
    const connection = await guarded();
    const { url, scope, connected } = await tulle.use('CONNECTION_AUTHORIZE', { connection_id: connection.id }, org);
    assert.deepEqual([scope, connected, new URL(url).pathname], ['organization', false, `/oauth/connect/${connection.id}`]);
    await tulle.refuse('CONNECTION_AUTHORIZE', { connection_id: connection.id }, person, 403);
    const ann = await signedIn(tulle, person);
    const page = await ann.open(`/oauth/connect/${connection.id}?organization_id=${org.org_id}`);
    assert.equal(page.status, 403);
    const { body } = await call(connection, person);
    assert.match(body.result.content[0].text, /an administrator opens/);
    const plain = await tulle.connect(org, { name: 'Plain', url: raw.url });
    await tulle.refuse('CONNECTION_AUTHORIZE', { connection_id: plain.id }, org, 422);
});

test('[186 187 261] an answer counts once, in the browser and for the person that began it', async () => {
    const connection = await guarded({ credential_scope: 'user' });
    const ann = await signedIn(tulle, person);
    const url = await authorizeAt(await begin(ann, connection, org), ann.origin);
    for (const other of [browser, await signedIn(tulle, person), new Browser(tulle.url)]) {
        const page = await arriveBack(other, url);
        assert.equal(page.status, 400, page.text);
    }
    const twice = new URL(url);
    twice.searchParams.append('code', 'another');
    assert.equal((await arriveBack(ann, twice)).status, 400, '[187] two codes');
    const forged = new URL(url);
    forged.searchParams.set('state', `${forged.searchParams.get('state')}x`);
    assert.equal((await arriveBack(ann, forged)).status, 400);
    assert.equal((await arriveBack(ann, url)).status, 200);
    assert.equal((await arriveBack(ann, url)).status, 400, 'a second time');
});

test('[188] an answer of another issuer, or without the iss that was promised, is none: mix-up', async () => {
    const connection = await guarded();
    const before = (await raw.seen()).token.length;
    for (const iss of ['https://evil.example', '', null, `${raw.origin}/`]) {
        await raw.plan({ answer: { iss } });
        const page = await arriveBack(browser, await authorizeAt(await begin(browser, connection, org), browser.origin));
        assert.equal(page.status, 400, `iss ${iss}: ${page.text}`);
        assert.match(page.text, /not from the authorization server that was asked/);
    }
    await raw.plan({ answer: { iss: 'https://evil.example', code: null, error: 'access_denied' } });
    const page = await arriveBack(browser, await authorizeAt(await begin(browser, connection, org), browser.origin));
    assert.match(page.text, /not from the authorization server/);
    assert.equal((await raw.seen()).token.length, before, 'no code was sent anywhere');
    await raw.plan({});
});

test('[189] a refusal is said, and what the server says is not repeated as it is', async () => {
    const connection = await guarded();
    await raw.plan({ answer: { code: null, error: '<script>alert(1)</script>', error_description: '<b>x</b>' } });
    const page = await arriveBack(browser, await authorizeAt(await begin(browser, connection, org), browser.origin));
    assert.equal(page.status, 403);
    assert.ok(!page.html.includes('<script>') && !page.html.includes('<b>x'));
    await raw.plan({ answer: { code: null } });
    assert.equal((await arriveBack(browser, await authorizeAt(await begin(browser, connection, org), browser.origin))).status, 400);
    await raw.plan({});
});

test('[199] a token endpoint that answers anything but a token is a page that says so, and nothing is stored', async () => {
    const connection = await guarded();
    const json = { 'content-type': 'application/json' };
    const good = { access_token: 'x', token_type: 'Bearer' };
    for (const tokenRaw of [{ status: 500, text: 'down' }, { status: 200, headers: { 'content-type': 'text/html' }, text: '<html>' },
        { status: 307, headers: { location: 'http://169.254.169.254/' } }, { status: 200, headers: json, text: 'x'.repeat(1024), repeat: 4096 },
        { status: 200, headers: json, text: JSON.stringify({ ...good, token_type: 'mac' }) }, { status: 200, headers: json, text: JSON.stringify({ ...good, access_token: 'a\r\nX-Evil: 1' }) },
        { status: 200, headers: json, text: JSON.stringify({ ...good, access_token: { a: 1 } }) }, { status: 200, headers: json, text: '{"error":"invalid_grant"}' }]) {
        await raw.plan({ tokenRaw });
        const page = await arriveBack(browser, await authorizeAt(await begin(browser, connection, org), browser.origin));
        assert.ok(page.status >= 400 && page.status < 600 && page.headers['content-type'].startsWith('text/html'), `${JSON.stringify(tokenRaw).slice(0, 200)}: ${page.status}`);
        assert.match((await call(connection)).text, /not connected yet/);
    }
    await raw.plan({});
});

// ---- discovery ----

/** What Connect says when it cannot even begin. */
async function cannot(connection) {
    const url = await begin(browser, connection, org);
    assert.equal(url, undefined, `it went on to ${url}`);
    return browser.page.text;
}

test('[262] metadata that is not its issuer\'s, or leads elsewhere, ends the attempt', async () => {
    const connection = await guarded();
    const cases = [
        [{ metadata: { issuer: 'https://evil.example' } }, /another issuer/],
        [{ metadata: { issuer: `${raw.origin}/` } }, /another issuer/],
        [{ resource: { resource: 'https://evil.example/mcp' } }, /another resource/],
        [{ resource: { resource: `${raw.origin}/mc` } }, /another resource/],
        [{ resource: { authorization_servers: [] } }, /names no authorization server/],
        [{ resource: { authorization_servers: ['file:///etc/passwd'] } }, /ill-formed/],
        [{ metadata: { remove: ['code_challenge_methods_supported'] } }, /PKCE/],
        [{ metadata: { code_challenge_methods_supported: ['plain'] } }, /PKCE/],
        [{ metadata: { authorization_endpoint: 'javascript:alert(1)' } }, /no good address/],
        [{ metadata: { token_endpoint: 'https://user:pass@evil.example/' } }, /no good address/],
        [{ metadataRedirect: 'https://evil.example/' }, /redirect/],
        [{ resourceRedirect: 'https://evil.example/' }, /redirect/],
        [{ noRegistration: true }, /CONNECTION_CREDENTIAL_SET/],
        [{ metadata: { remove: ['registration_endpoint'] } }, /CONNECTION_CREDENTIAL_SET/],
    ];
    for (const [plan, expected] of cases) {
        await raw.plan(plan);
        assert.match(await cannot(connection), expected, JSON.stringify(plan));
    }
    await raw.plan({});
    assert.deepEqual((await raw.seen()).authorize.filter(({ client_id }) => !client_id), []);
});

test('[262] addresses of private hosts in metadata are refused before anything is sent there', async () => {
    const connection = await guarded();
    for (const address of ['http://169.254.169.254/latest', 'https://10.0.0.1/token', 'https://[fd00::1]/token', `http://127.0.0.1:${tulle.port}/oauth/token`, 'http://8.8.8.8/token'])
        for (const name of ['token_endpoint', 'registration_endpoint', 'revocation_endpoint', 'authorization_endpoint']) {
            await raw.plan({ metadata: { [name]: address } });
            assert.match(await cannot(connection), /EGRESS_ALLOW|https/, `${name} ${address}`);
        }
    await raw.plan({ challenge: 'http://169.254.169.254/latest/meta-data' });
    assert.match(await cannot(connection), /EGRESS_ALLOW/);
    await raw.plan({ resource: { authorization_servers: ['http://169.254.169.254'] } });
    assert.match(await cannot(connection), /EGRESS_ALLOW/);
    await raw.plan({});
});

test('the forms of discovery: without a challenge, at the root, OpenID metadata, and the revision of 2025-03-26', async () => {
    for (const plan of [{ noChallenge: true }, { noChallenge: true, rootResource: true }, { metadataPath: '/.well-known/openid-configuration' },
        { noResource: true, noChallenge: true }, { noResource: true, noChallenge: true, noMetadata: true, answer: { iss: null } }]) {
        const connection = await guarded();
        await raw.plan(plan);
        await raw.forget();
        await connectBy(browser, connection, org);
        assert.ok((await whoami(connection)).headers.authorization, JSON.stringify(plan));
        const asked = (await raw.seen()).authorize[0];
        assert.equal(asked.resource, plan.noResource ? undefined : raw.url, JSON.stringify(plan));
        assert.equal(asked.code_challenge_method, 'S256');
    }
    await raw.plan({});
});

// ---- who Tulle is ----

test('a client that an administrator registered is used, by the method that the server takes', async () => {
    for (const [method, expected] of [['client_secret_basic', 'basic'], ['client_secret_post', 'post']]) {
        const connection = await guarded();
        const [client_id, client_secret] = [`given:${method} ü`, plant(`client secret ${method}`)];
        await tulle.use('CONNECTION_CREDENTIAL_SET', { connection_id: connection.id, client_id, client_secret }, org);
        await raw.plan({ metadata: { token_endpoint_auth_methods_supported: [method] } });
        await raw.forget();
        await connectBy(browser, connection, org);
        const seen = await raw.seen();
        const [sent] = seen.token;
        assert.equal(seen.register.length, 0);
        assert.equal(seen.authorize[0].client_id, client_id);
        if (expected === 'post') assert.deepEqual([sent.client_id, sent.client_secret, sent.authorization], [client_id, client_secret, undefined]);
        else assert.equal(Buffer.from(sent.authorization.slice(6), 'base64').toString(), [client_id, client_secret].map(encodeURIComponent).join(':'));
    }
    await raw.plan({});
});

test('a registration is made once for a connection and issuer, with our callback', async () => {
    const connection = await guarded({ credential_scope: 'user' });
    await raw.forget();
    await connectBy(browser, connection, org);
    await connectBy(await signedIn(tulle, person), connection, org);
    const { register } = await raw.seen();
    assert.equal(register.length, 1);
    assert.deepEqual(register[0].redirect_uris, [`${tulle.url}/oauth/connect/callback`]);
    assert.equal(register[0].token_endpoint_auth_method, 'none');
});

test('settings for providers with ways of their own: no resource, an audience, scopes', async () => {
    const connection = await guarded({ metadata: { oauth: { send_resource: false, audience: 'api://x', scope: 'one two', assume_s256: true } } });
    await raw.plan({ metadata: { remove: ['code_challenge_methods_supported'] } });
    await raw.forget();
    await connectBy(browser, connection, org);
    const { authorize, token } = await raw.seen();
    assert.deepEqual([authorize[0].resource, authorize[0].audience, authorize[0].scope], [undefined, 'api://x', 'one two']);
    assert.deepEqual([token[0].resource, token[0].audience], [undefined, 'api://x']);
    await raw.plan({});
});

test('the client metadata document names itself and the callback', async () => {
    const { status, body } = await send(`${tulle.url}/oauth/client-metadata.json`, { method: 'GET' });
    assert.equal(status, 200);
    assert.match(body.client_id, /\/oauth\/client-metadata\.json$/);
    assert.match(body.redirect_uris[0], /\/oauth\/connect\/callback$/);
    assert.deepEqual([body.token_endpoint_auth_method, body.client_name], ['none', 'Tulle']);
});

/** A browser that reaches Tulle through a proxy for its public name. */
class PublicBrowser extends Browser {
    request(path, options = {}) {
        return super.request(path, { ...options, headers: { host: 'tulle.example', ...(options.method === 'POST' && { origin: 'https://tulle.example' }), ...options.headers } });
    }
}

test('at a public https address Tulle is its client metadata document, where the server takes such; CIMD=off: it registers', async () => {
    for (const CIMD of ['auto', 'off']) {
        const other = await startTulle({ env: { BASE_URL: 'https://tulle.example', EGRESS_ALLOW: `127.0.0.1:${raw.port}`, CIMD } });
        try {
            const owner = await makeOwner(other, 'globe');
            const created = await send(`${other.url}/api/tools/CONNECTION_CREATE`, { key: owner.key, headers: { host: 'tulle.example' }, body: { name: 'Documented', url: raw.url, auth: 'oauth' } });
            assert.equal(created.status, 200, created.text);
            const visitor = new PublicBrowser(other.url);
            await visitor.signIn(owner.email, owner.password);
            await raw.plan({ metadata: { client_id_metadata_document_supported: true } });
            await raw.forget();
            const url = new URL(await begin(visitor, created.body.item, owner));
            const registered = (await raw.seen()).register.length;
            assert.equal(url.searchParams.get('redirect_uri'), 'https://tulle.example/oauth/connect/callback');
            if (CIMD === 'auto') assert.deepEqual([url.searchParams.get('client_id'), registered], ['https://tulle.example/oauth/client-metadata.json', 0]);
            else assert.equal(registered, 1);
        } finally {
            await other.end();
        }
    }
    await raw.plan({});
});

// ---- tokens ----

const refreshes = async () => (await raw.seen()).token.filter(({ grant_type }) => grant_type === 'refresh_token');

test('a token is renewed before it ends, once for all who call at the same time on both workers', async () => {
    const connection = await guarded();
    await connectBy(browser, connection, org);
    const first = (await whoami(connection)).headers.authorization;
    await raw.forget();
    clock.advance(3600 - 200);
    await raw.merge({ holdToken: true });
    const calls = Array.from({ length: 24 }, () => whoami(connection));
    await until('the refresh is asked for', async () => (await refreshes()).length > 0, 60_000);
    await raw.release();
    const used = new Set((await Promise.all(calls)).map(({ headers }) => headers.authorization));
    assert.equal((await refreshes()).length, 1);
    const after = (await whoami(connection)).headers.authorization;
    assert.notEqual(after, first);
    assert.ok([...used].every((value) => value === first || value === after));
    assert.equal((await refreshes())[0].resource, raw.url);
    assert.equal((await raw.seen()).refused ?? 0, 0);
});

test('a token that has ended: everybody waits for the one refresh', async () => {
    const connection = await guarded();
    await connectBy(browser, connection, org);
    await raw.forget();
    clock.advance(3700);
    await raw.merge({ holdToken: true });
    const calls = Array.from({ length: 16 }, () => whoami(connection));
    await until('the refresh is asked for', async () => (await refreshes()).length > 0, 60_000);
    await raw.release();
    const used = new Set((await Promise.all(calls)).map(({ headers }) => headers.authorization));
    assert.deepEqual([used.size, (await refreshes()).length], [1, 1]);
});

test('a real authorization server rotates the refresh token, again and again', async () => {
    const connection = await tulle.connect(org, { name: 'Rotating', url: real.url, auth: 'oauth' });
    await connectBy(browser, connection, org);
    const seen = new Set();
    for (let i = 0; i < 3; i++) {
        seen.add((await whoami(connection)).authorization);
        clock.advance(3500);
    }
    assert.equal(seen.size, 3);
    assert.equal((await real.seen()).grants.filter((grant) => grant === 'refresh_token').length, 2);
});

test('a token that the server no longer takes is renewed once, and the call is sent again', async () => {
    const connection = await guarded();
    await connectBy(browser, connection, org);
    await whoami(connection);
    await raw.expire();
    await raw.forget();
    const [one, two] = await Promise.all([whoami(connection), whoami(connection)]);
    assert.equal(one.headers.authorization, two.headers.authorization);
    const { calls } = await raw.seen();
    assert.deepEqual([(await refreshes()).length, calls.length], [1, 2]);
});

test('a server that takes no token at all is not asked for ever: one refresh, then the person', async () => {
    const connection = await guarded();
    await connectBy(browser, connection, org);
    await whoami(connection);
    await raw.plan({ refuseAll: true });
    await raw.forget();
    for (let i = 0; i < 4; i++) {
        const { status, body, text } = await call(connection);
        assert.deepEqual([status, body.result?.isError], [200, true], text);
        assert.match(text, /\/oauth\/connect\//);
    }
    assert.equal((await refreshes()).length, 1);
    await raw.plan({});
});

test('an authorization that has ended is said with the address, marks the connection, and is made anew', async () => {
    const connection = await guarded();
    await connectBy(browser, connection, org);
    await whoami(connection);
    clock.advance(4000);
    await raw.plan({ tokenError: 'invalid_grant' });
    await raw.forget();
    for (let i = 0; i < 3; i++) assert.match((await call(connection)).text, /the authorization of this server has ended: an administrator opens .*\/oauth\/connect\//);
    assert.equal((await refreshes()).length, 1, 'it is not tried again');
    assert.equal((await tulle.use('CONNECTION_GET', { connection_id: connection.id }, org)).item.status, 'needs_authorization');
    await raw.plan({});
    const page = await browser.open('/account/connections');
    assert.match(page.text, /authorization ended/);
    await connectBy(browser, connection, org);
    await whoami(connection);
});

test('an authorization server that is away for a while costs nothing while the token lives', async () => {
    const connection = await guarded();
    await connectBy(browser, connection, org);
    await whoami(connection);
    clock.advance(3500);
    await raw.plan({ tokenError: 'server_error', tokenStatus: 503 });
    await raw.forget();
    for (let i = 0; i < 3; i++) await whoami(connection);
    assert.equal((await refreshes()).length, 1, 'a pause between tries');
    clock.advance(3700);
    const { text } = await call(connection);
    assert.ok(!/needs_authorization|has ended/.test(text), text);
    await raw.plan({});
    clock.advance(10);
    await whoami(connection);
});

test('more scope is asked for when the server says so', async () => {
    const connection = await guarded();
    await connectBy(browser, connection, org);
    const { text } = await call(connection, org, 'write');
    assert.match(text, /\/oauth\/connect\//);
    assert.match((await browser.open(`/oauth/connect/${connection.id}?organization_id=${org.org_id}`)).text, /asked for since/);
    await raw.forget();
    await connectBy(browser, connection, org);
    assert.deepEqual((await raw.seen()).authorize[0].scope.split(' ').sort(), ['read', 'write']);
    const { body } = await call(connection, org, 'write');
    assert.ok(!body.result.isError, JSON.stringify(body));
    await raw.plan({ isStubborn: true });
    const refused = (await call(connection, org, 'write')).text;
    assert.match(refused, /lacks the scope write, which was granted/, 'nobody is sent in circles');
    assert.doesNotMatch(refused, /oauth\/connect/);
    await raw.plan({});
});

test('[254] the token goes to its own server only: a moved connection has none', async () => {
    const connection = await guarded();
    await connectBy(browser, connection, org);
    await raw.forget();
    const other = await startOAuthRaw();
    await tulle.use('CONNECTION_UPDATE', { connection_id: connection.id, url: other.url }, org);
    assert.match((await call(connection)).text, /\/oauth\/connect\//);
    assert.equal((await other.seen()).refused, 0);
    assert.equal((await raw.seen()).revoke.length, 2, 'refresh and access token');
});

test('disconnecting ends the authorization here and there', async () => {
    const connection = await guarded();
    await connectBy(browser, connection, org);
    await whoami(connection);
    await raw.forget();
    await browser.open('/account/connections');
    const page = await browser.submit('/account/connections', {}, { having: { connection_id: connection.id } });
    assert.match(page.text, /Disconnected/);
    assert.deepEqual((await raw.seen()).revoke.map(({ token_type_hint }) => token_type_hint), ['refresh_token', 'access_token']);
    assert.match((await call(connection)).text, /not connected yet/);
    await connectBy(browser, connection, org);
    await tulle.use('CONNECTION_CREDENTIAL_DELETE', { connection_id: connection.id }, org);
    assert.match((await call(connection)).text, /not connected yet/);
    await connectBy(browser, connection, org);
    await raw.forget();
    await tulle.use('CONNECTION_DELETE', { connection_id: connection.id, confirm: connection.slug }, org);
    assert.equal((await raw.seen()).revoke.length, 2);
});

test('whoever leaves the organization takes their authorizations along: they are revoked at the server', async () => {
    const connection = await guarded({ credential_scope: 'user' });
    const leaver = await makePerson(tulle, 'leaver@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: leaver.email, role: 'member' }, org);
    await connectBy(await signedIn(tulle, leaver), connection, org);
    await raw.forget();
    await tulle.use('ORGANIZATION_MEMBER_REMOVE', { user_id: leaver.user_id }, org);
    assert.deepEqual((await raw.seen()).revoke.map(({ token_type_hint }) => token_type_hint), ['refresh_token', 'access_token']);
});

// ---- crash ----

test('killed between the answer and its write: with a server that repeats its answer nothing is lost; with another the person is told', async () => {
    for (const repeats of [true, false]) {
        const connection = await guarded();
        await raw.plan({ repeats });
        await connectBy(browser, connection, org);
        await raw.forget();
        clock.advance(4000);
        await raw.merge({ holdToken: true });
        const lost = call(connection).catch(() => undefined);
        await until('the refresh is asked for', async () => (await refreshes()).length > 0, 60_000);
        await tulle.kill9();
        await lost;
        await raw.release(); // the server has made the next pair, and nobody hears of it
        await tulle.serve();
        clock.advance(30); // the lease of the dead process
        const { body, text } = await call(connection);
        if (repeats) assert.ok(body.result && !body.result.isError, text);
        else assert.match(text, /has ended.*\/oauth\/connect\//);
    }
    await raw.plan({});
});

// ---- what nobody sees ----

test('client credentials: no person is asked, the token is renewed as it was got, once for all', async () => {
    const secret = plant('machine secret');
    const connection = await guarded({ metadata: { oauth: { grant: 'client_credentials', scope: 'read write' } } });
    await raw.plan({ machineSecret: secret, expiresIn: 1000 });
    await raw.forget();
    const before = await call(connection);
    assert.match(before.text, /CONNECTION_CREDENTIAL_SET/, 'there is no secret yet');
    const seen = await raw.seen();
    assert.deepEqual([seen.register.length, seen.token.length], [0, 0]);
    await tulle.use('CONNECTION_CREDENTIAL_SET', { connection_id: connection.id, client_id: 'machine', client_secret: secret }, org);
    const works = async () => { const { result } = (await call(connection)).body; return result !== undefined && !result.isError; };
    await until('authorized', works, 30_000);
    const first = (await raw.seen()).token;
    assert.equal(first.length, 1);
    const { grant_type, scope, resource } = first[0];
    assert.deepEqual({ grant_type, scope, resource }, { grant_type: 'client_credentials', scope: 'read write', resource: `${raw.origin}/mcp` });
    clock.advance(999);
    const answers = await Promise.all(Array.from({ length: 8 }, () => whoami(connection)));
    assert.equal(answers.length, 8);
    assert.equal((await raw.seen()).token.length, 2, 'one renewal');
    assert.equal((await raw.seen()).token[1].grant_type, 'client_credentials');
    await raw.plan({ machineSecret: 'another' });
    clock.advance(4000);
    const ended = await call(connection);
    assert.ok(ended.body.error ?? ended.body.result.isError, ended.text);
    assert.doesNotMatch(ended.text, /oauth\/connect/, 'no person can mend it');
    await raw.plan({ machineSecret: secret });
    await until('it is tried again', works, 30_000);
    await raw.plan({ machineSecret: secret, refuseAll: true });
    const refused = await call(connection);
    assert.ok(refused.body.error ?? refused.body.result.isError, refused.text);
    assert.doesNotMatch(refused.text, /oauth\/connect/, 'nor this');
    await raw.plan({});
});

test('tokens and secrets are in no answer, page or log line', async () => {
    const connection = await guarded();
    await connectBy(browser, connection, org);
    const token = (await whoami(connection)).headers.authorization.slice(7);
    const texts = [JSON.stringify(await tulle.use('CONNECTION_GET', { connection_id: connection.id }, org)), (await browser.open('/account/connections')).html,
        JSON.stringify(await tulle.use('ORGANIZATION_AUDIT_LIST', {}, org)), tulle.child.err];
    for (const text of texts) assert.ok(!text.includes(token));
    assert.ok(!/access[0-9a-f]{32}|refresh[0-9a-f]{32}|code[0-9a-f]{32}/.test(tulle.child.err), 'the log');
});
