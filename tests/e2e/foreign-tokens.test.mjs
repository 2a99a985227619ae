// Access tokens of other authorization servers that an organization trusts: a real one (npm oidc-provider), signed and opaque, and
// a hostile signer of our own. Numbers in brackets: rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { open, rpc, send } from './lib/http.mjs';
import { makeSigner, signJwt } from './lib/jose.mjs';
import { form, makeOwner } from './lib/oauth.mjs';
import { startForeignIssuer, startRaw, startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard, plant } from './lib/secrets.mjs';
import { until, within } from './lib/children.mjs';

let tulle, org, other, raw, connection, theirs, real, evil, account;
const key = makeSigner('ES256', 'k1');
const now = () => Math.floor(Date.now() / 1000);

/** The hand-made issuer: publishes what it is told, counts who reads it. */
async function startSigner() {
    const signer = { keys: [key.jwk], reads: 0, answer: null, introspected: [], isDown: false };
    const server = createServer((req, res) => {
        const say = (value, status = 200) => res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
        let body = '';
        req.on('data', (chunk) => (body += chunk));
        req.on('end', () => {
            if (signer.isDown) return say({ error: 'down' }, 503);
            if (req.url === '/jwks') return (signer.reads++, say({ keys: signer.keys }));
            if (req.url === '/introspect') {
                signer.introspected.push({ body, authorization: req.headers.authorization });
                return say(signer.answer ?? { active: false });
            }
            return say({ error: 'not found' }, 404);
        });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    server.unref();
    signer.issuer = `http://127.0.0.1:${server.address().port}`;
    return Object.assign(signer, { jwks_uri: `${signer.issuer}/jwks`, introspection_endpoint: `${signer.issuer}/introspect` });
}

before(async () => {
    const [program, server, provider] = await Promise.all([startTulle({ env: { WORKERS: '1', TRUSTED_PROXIES: '127.0.0.1' } }), startRaw(), startForeignIssuer()]);
    [tulle, raw, real] = [program, server, provider];
    evil = await startSigner();
    org = await makeOwner(tulle, 'acme');
    other = await makeOwner(tulle, 'other');
    connection = await tulle.connect(org, { name: 'Fixture', slug: 'fixture', url: raw.url, credential: { bearer: plant('stored credential') } });
    theirs = await tulle.connect(other, { name: 'Theirs', slug: 'fixture', url: raw.url });
    account = (await tulle.use('SERVICE_ACCOUNT_CREATE', { name: 'Agents' }, org)).item;
    await tulle.use('ORGANIZATION_ISSUER_CREATE', {
        name: 'Hand made', issuer: evil.issuer, jwks_uri: evil.jwks_uri, audiences: ['urn:acme:mcp'], subject: { by: 'claim', users: { anna: org.user_id } },
        scope_map: { use: 'mcp', look: 'mcp:read', 'use:fixture': `mcp conn:${connection.id}` },
    }, org);
    await tulle.use('ORGANIZATION_ISSUER_CREATE', {
        name: 'The real one', issuer: real.origin, subject: { by: 'service_account', service_account_id: account.id }, required_scopes: ['tools'],
    }, org);
});
after(() => tulle?.end());

const claims = (more = {}) => ({ iss: evil.issuer, sub: 'anna', aud: connection.mcp, exp: now() + 300, iat: now(), jti: randomUUID(), scope: 'use', client_id: 'agent', ...more });
const token = (more, header, signer = key) => guard(signJwt(signer, claims(more), { typ: 'at+jwt', ...header }), 'foreign token');
const list = (bearer, url = connection.mcp) => rpc(url, 'tools/list', {}, { key: bearer });
const status = async (bearer, url) => (await list(bearer, url)).status;

test('a signed token of a trusted issuer works at the connection that it is for, as the member that it is', async () => {
    const bearer = token();
    await raw.forget();
    const answer = await list(bearer);
    assert.equal(answer.status, 200, answer.text);
    const seen = JSON.stringify(await raw.seen());
    assert.ok(!seen.includes(bearer), '[254] the token is never passed on');
    const call = await until('the record of a call', async () => {
        await tulle.callTool(connection, 'echo', { text: 'x' }, { key: bearer });
        return (await tulle.use('CONNECTION_CALLS_LIST', { connection_id: connection.id }, org)).items.find(({ client_id }) => client_id?.startsWith('iss_'));
    });
    assert.equal(call.user_id, org.user_id);
    const { items } = await tulle.use('ORGANIZATION_ISSUER_LIST', {}, org);
    assert.ok(items.some(({ id }) => id === call.client_id), 'the record says whose token it was');
});

test('addresses that name the organization take it, others do not, and it manages nothing', async () => {
    const wide = token({ aud: 'urn:acme:mcp' });
    for (const path of [`/mcp/${connection.id}`, '/mcp/acme/fixture', `/mcp/acme/${connection.id}`, '/mcp/hub/acme', `/mcp/${connection.id}/`])
        assert.equal(await status(wide, tulle.url + path), 200, path);
    for (const path of ['/mcp/fixture', '/mcp/hub', '/mcp/hub/other', `/mcp/${theirs.id}`, '/mcp/other/fixture', '/mcp', '/mcp/conn_f00dfeedf00dfeedf00dfeedf00dfeed', '/mcp/acme/nothing', '/mcp/nobody/fixture']) {
        const answer = await list(wide, tulle.url + path);
        assert.equal(answer.status, 401, path);
        assert.match(answer.headers['www-authenticate'], /error="invalid_token"/);
    }
    assert.equal((await send(`${tulle.url}/api/tools/CONNECTION_LIST`, { body: {}, key: wide })).status, 401);
    assert.equal((await send(`${tulle.url}/oauth/userinfo`, { method: 'GET', key: wide })).status, 401);
    const virtual = (await tulle.use('VIRTUAL_SERVER_CREATE', { name: 'Some', connections: [{ connection_id: connection.id }] }, org)).item;
    assert.equal(await status(token({ aud: `${tulle.url}/mcp/${virtual.id}` }), `${tulle.url}/mcp/${virtual.id}`), 200);
    assert.equal(await status(token({ aud: `${tulle.url}/mcp/hub/acme` }), `${tulle.url}/mcp/hub/acme`), 200);
    assert.equal(await status(token({ aud: `${tulle.url}/mcp/hub` }), `${tulle.url}/mcp/hub/acme`), 401, 'an audience that could be of any organization');
});

test('[249] [250] [251] a token that is not right in every claim is refused, and not with other words', async () => {
    const stranger = makeSigner('ES256', 'k1');
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const hmac = `${part({ alg: 'HS256', typ: 'at+jwt', kid: 'k1' })}.${part(claims())}`;
    const good = token();
    const bad = {
        'alg none': `${part({ alg: 'none', typ: 'at+jwt' })}.${part(claims())}.`,
        'HS256 with the public key': `${hmac}.${createHmac('sha256', JSON.stringify(key.jwk)).update(hmac).digest('base64url')}`,
        'signed by a stranger under the same kid': token({}, {}, stranger),
        'key of its own in the header': token({}, { jwk: stranger.jwk }, stranger),
        'kid path traversal': token({}, { kid: '../../etc/passwd' }),
        'a critical extension': token({}, { crit: ['exp'] }),
        'typ JWT': token({}, { typ: 'JWT' }),
        'no typ': token({}, { typ: undefined }),
        'an ID token': token({ nonce: 'n', at_hash: 'h' }),
        'bound to a key': token({ cnf: { jkt: 'x' } }),
        'another issuer': token({ iss: 'https://nobody.example' }),
        'issuer with a slash': token({ iss: `${evil.issuer}/` }),
        'no issuer': token({ iss: undefined }),
        'no audience': token({ aud: undefined }),
        'audience of another connection': token({ aud: theirs.mcp }),
        'audience of the whole server': token({ aud: tulle.url }),
        'audience of the management server': token({ aud: `${tulle.url}/mcp` }),
        'audience that only begins so': token({ aud: `${connection.mcp}0` }),
        'an object for an audience': token({ aud: { 0: connection.mcp } }),
        'no end': token({ exp: undefined }),
        'end as a text': token({ exp: String(now() + 300) }),
        'end in the past': token({ exp: now() - 61 }),
        'end beyond time': token({ exp: 1e300 }),
        'not yet': token({ nbf: now() + 120 }),
        'made in the future': token({ iat: now() + 120 }),
        'nobody': token({ sub: 'bert' }),
        'no subject': token({ sub: undefined }),
        'a number for a subject': token({ sub: 7 }),
        'a subject of 300 bytes': token({ sub: 'a'.repeat(300) }),
        'cut': good.slice(0, -2),
        'changed': good.replace(/\.(.)/, (_, c) => `.${c === 'e' ? 'f' : 'e'}`),
    };
    const words = new Set();
    for (const [what, bearer] of Object.entries(bad)) {
        const answer = await list(bearer);
        assert.equal(answer.status, 401, `${what}: ${answer.text}`);
        words.add(`${answer.headers['www-authenticate']} ${answer.body.error.code} ${answer.body.error.message}`);
    }
    assert.equal(words.size, 1, [...words].join('\n'));
    assert.equal(await status(good), 200, 'and the good one still works');
});

test('[252] scopes narrow: what is not mapped is refused, read stays read, one connection stays one', async () => {
    const none = await list(token({ scope: 'unheard of' }));
    assert.equal(none.status, 403, none.text);
    assert.match(none.headers['www-authenticate'], /error="insufficient_scope"/);
    const look = token({ scope: 'look', aud: ['urn:x', 'urn:acme:mcp'] });
    assert.deepEqual((await list(look)).body.result.tools, [], 'nothing is marked as read');
    const second = await tulle.connect(org, { name: 'Second', slug: 'second', url: raw.url });
    const narrow = token({ scp: ['use:fixture'], scope: undefined, aud: 'urn:acme:mcp' });
    assert.equal(await status(narrow), 200);
    assert.equal(await status(narrow, second.mcp), 404, 'as any member who may not use it');
    for (const scope_map of [{ x: 'mcp:manage' }, { x: 'openid' }, { x: 'conn:nothing' }, { x: '' }])
        await tulle.refuse('ORGANIZATION_ISSUER_CREATE', { name: 'x', issuer: 'https://x.example', subject: { by: 'email' }, scope_map }, org, 400);
});

test('who left, was stopped, or is of another organization is nobody, at once', async () => {
    const guest = await tulle.makeUser('guest@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: 'guest@acme.example', role: 'member' }, org);
    const [mine] = (await tulle.use('ORGANIZATION_ISSUER_LIST', {}, org)).items.filter(({ issuer }) => issuer === evil.issuer);
    await tulle.use('ORGANIZATION_ISSUER_UPDATE', { issuer_id: mine.id, subject: { by: 'claim', claim: 'sub', users: { anna: org.user_id, guest } } }, org);
    const bearer = token({ sub: 'guest' });
    assert.equal(await status(bearer), 200);
    await tulle.use('ORGANIZATION_MEMBER_REMOVE', { user_id: guest }, org);
    assert.equal(await status(bearer), 401);
    await tulle.refuse('ORGANIZATION_ISSUER_UPDATE', { issuer_id: mine.id, subject: { by: 'claim', users: { x: other.user_id } } }, org, 404);
});

test('an owner is nobody by the word of an issuer that an administrator changed last', async () => {
    const email = 'adam@acme.example';
    const adam = await tulle.makeUser(email);
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email, role: 'admin' }, org);
    const key = await tulle.makeKey('acme', email);
    const issuer = (await tulle.use('ORGANIZATION_ISSUER_LIST', {}, org)).items.find(({ issuer }) => issuer === evil.issuer);
    const change = async (fields, who) => (await tulle.use('ORGANIZATION_ISSUER_UPDATE', { issuer_id: issuer.id, ...fields }, who)).item.vouches_for_owners;
    const users = { anna: org.user_id, adam };
    assert.equal(await change({ name: 'Renamed by Adam', enabled: true }, { key }), true, 'what it is called says nothing about people');
    assert.equal(await status(token()), 200);
    assert.equal(await change({ subject: { by: 'claim', claim: 'sub', users } }, { key }), false);
    assert.equal(await status(token()), 401, 'anna is an owner');
    assert.equal(await status(token({ sub: 'adam' })), 200, 'for others nothing changes');
    const mine = await startSigner();
    const { item } = await tulle.use('ORGANIZATION_ISSUER_CREATE', { name: "Adam's", issuer: mine.issuer, jwks_uri: mine.jwks_uri, subject: { by: 'claim', users } }, { key });
    assert.equal(item.vouches_for_owners, false);
    assert.equal(await status(token({ iss: mine.issuer, aud: connection.mcp })), 401);
    assert.equal(await change({ enabled: true }, org), true, 'an owner confirms it');
    assert.equal(await status(token()), 200);
    await tulle.use('ORGANIZATION_ISSUER_DELETE', { issuer_id: item.id }, org);
    await tulle.use('ORGANIZATION_MEMBER_REMOVE', { email }, org);
});

test('an e-mail address counts only when it is verified and its domain is proven', async () => {
    const mail = await startSigner();
    const { item } = await tulle.use('ORGANIZATION_ISSUER_CREATE', { name: 'By mail', issuer: mail.issuer, jwks_uri: mail.jwks_uri, subject: { by: 'email' } }, org);
    for (const more of [{}, { email: org.email }, { email: org.email, email_verified: 'true' }, { email: org.email, email_verified: true }])
        assert.equal(await status(token({ iss: mail.issuer, ...more })), 401, JSON.stringify(more));
    await tulle.use('ORGANIZATION_ISSUER_DELETE', { issuer_id: item.id }, org);
});

test('keys turn: a new kid is read, unknown ones cause no flood of reads', async () => {
    const turning = await startSigner();
    await tulle.use('ORGANIZATION_ISSUER_CREATE', { name: 'Turning', issuer: turning.issuer, jwks_uri: turning.jwks_uri, subject: { by: 'service_account', service_account_id: account.id } }, org);
    const next = makeSigner('EdDSA', 'k2');
    turning.keys = [key.jwk, next.jwk];
    assert.equal(await status(token({ iss: turning.issuer })), 200);
    assert.equal(await status(token({ iss: turning.issuer }, {}, next)), 200, 'published before it signs');
    const before = turning.reads;
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => status(token({ iss: turning.issuer }, { kid: `unknown-${i}` }))));
    assert.deepEqual([...new Set(answers)], [401]);
    assert.ok(turning.reads - before <= 1, `${turning.reads - before} reads`);
    turning.isDown = true;
    assert.equal(await status(token({ iss: turning.issuer })), 200, 'what was read serves while the issuer is down');
});

test('a token that names no key is tried with a few keys of its kind, not with hundreds', async () => {
    const many = await startSigner();
    await tulle.use('ORGANIZATION_ISSUER_CREATE', { name: 'Many', issuer: many.issuer, jwks_uri: many.jwks_uri, subject: { by: 'service_account', service_account_id: account.id } }, org);
    const signers = Array.from({ length: 6 }, () => makeSigner('ES256', 'x'));
    many.keys = [...Array.from({ length: 6 }, () => makeSigner('EdDSA', 'y')), ...signers].map(({ jwk: { kid, ...rest } }) => rest);
    const by = (signer) => status(token({ iss: many.issuer }, { kid: undefined }, signer));
    assert.equal(await by(signers[3]), 200, 'keys of another kind are not counted');
    assert.equal(await by(signers[4]), 401);
});

test('a stream ends when its issuer is trusted no more', async () => {
    const brief = await startSigner();
    const { item } = await tulle.use('ORGANIZATION_ISSUER_CREATE', { name: 'Brief', issuer: brief.issuer, jwks_uri: brief.jwks_uri, subject: { by: 'service_account', service_account_id: account.id } }, org);
    const bearer = token({ iss: brief.issuer, aud: `${tulle.url}/mcp/hub/acme` });
    const url = `${tulle.url}/mcp/hub/acme`;
    const hello = await rpc(url, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }, { key: bearer });
    const stream = await open(url, { method: 'GET', key: bearer, headers: { accept: 'text/event-stream', 'mcp-session-id': hello.headers['mcp-session-id'] } });
    assert.equal(stream.status, 200);
    await tulle.use('ORGANIZATION_UPDATE', { organization_id: org.org_id, description: 'a change that concerns nobody' }, org);
    assert.equal((await rpc(url, 'ping', {}, { key: bearer, headers: { 'mcp-session-id': hello.headers['mcp-session-id'] } })).status, 200);
    await tulle.use('ORGANIZATION_ISSUER_DELETE', { issuer_id: item.id }, org);
    await within(20_000, 'the end of the stream', stream.done);
    assert.equal(await status(bearer, url), 401);
});

test('a stream ends when the scope of its token stands for nothing any more', async () => {
    const brief = await startSigner();
    const { item } = await tulle.use('ORGANIZATION_ISSUER_CREATE', { name: 'Scoped', issuer: brief.issuer, jwks_uri: brief.jwks_uri, subject: { by: 'service_account', service_account_id: account.id } }, org);
    const url = `${tulle.url}/mcp/hub/acme`, bearer = token({ iss: brief.issuer, aud: url });
    const hello = await rpc(url, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }, { key: bearer });
    const stream = await open(url, { method: 'GET', key: bearer, headers: { accept: 'text/event-stream', 'mcp-session-id': hello.headers['mcp-session-id'] } });
    assert.equal(stream.status, 200);
    await tulle.use('ORGANIZATION_ISSUER_UPDATE', { issuer_id: item.id, required_scopes: ['more'] }, org);
    await within(20_000, 'the end of the stream', stream.done);
    assert.equal(await status(bearer, url), 403);
    await tulle.use('ORGANIZATION_ISSUER_DELETE', { issuer_id: item.id }, org);
});

test('opaque tokens: their server is asked, what it says is judged here, and its silence is no yes', async () => {
    const asked = await startSigner();
    const secret = plant('introspection secret');
    const fields = { name: 'Opaque', issuer: asked.issuer, kind: 'opaque', introspection_endpoint: asked.introspection_endpoint, client_id: 'tulle@acme', client_secret: secret, subject: { by: 'claim', users: { anna: org.user_id } } };
    const { item } = await tulle.use('ORGANIZATION_ISSUER_CREATE', fields, org);
    assert.ok(item.has_secret && !JSON.stringify(item).includes(secret));
    const bearer = () => guard(`opaque-${randomUUID()}`, 'opaque token');
    const says = async (answer, token = bearer()) => ((asked.answer = answer), status(token));
    const active = (more = {}) => ({ active: true, iss: asked.issuer, sub: 'anna', aud: connection.mcp, exp: now() + 300, scope: 'x', ...more });
    const good = bearer();
    assert.equal(await says(active(), good), 200);
    // What was just written drops every cache once more, within a second.
    await until('the token is known for a while, whatever is said meanwhile', async () => {
        assert.equal(await says(active(), good), 200);
        const before = asked.introspected.length;
        return await says({ active: false }, good) === 200 && asked.introspected.length === before;
    });
    assert.equal(asked.introspected[0].authorization, `Basic ${Buffer.from(`tulle%40acme:${encodeURIComponent(secret)}`).toString('base64')}`);
    assert.equal(new URLSearchParams(asked.introspected[0].body).get('token'), good);
    for (const answer of [{ active: false }, { ...active(), active: 'true' }, active({ aud: undefined }), active({ aud: theirs.mcp }), active({ iss: 'https://x.example' }), active({ exp: now() - 61 }),
        active({ exp: 'soon' }), active({ nbf: now() + 120 }), active({ sub: 'bert' }), active({ cnf: { jkt: 'x' } }), active({ token_type: 'DPoP' }), [], {}])
        assert.equal(await says(answer), 401, JSON.stringify(answer));
    const late = bearer();
    assert.equal(await says({ active: false }, late), 401);
    assert.equal(await says(active(), late), 200, 'a no is never remembered');
    asked.isDown = true;
    assert.equal(await status(bearer()), 401);
    asked.isDown = false;
    const count = asked.introspected.length;
    assert.equal(await status(token({ iss: 'https://nobody.example' })), 401);
    assert.equal(await status(`eyJ${randomUUID()}.x.y`), 401);
    assert.equal(asked.introspected.length, count, 'tokens of others are not shown to it');
    await tulle.refuse('ORGANIZATION_ISSUER_CREATE', { ...fields, issuer: 'https://second.example' }, org, 409);
    await tulle.refuse('ORGANIZATION_ISSUER_UPDATE', { issuer_id: item.id, introspection_endpoint: `${evil.issuer}/introspect` }, org, 422);
    await tulle.use('ORGANIZATION_ISSUER_UPDATE', { issuer_id: item.id, enabled: false }, org);
    assert.equal(await status(good), 401, 'turned off: at once');
    await tulle.use('ORGANIZATION_ISSUER_DELETE', { issuer_id: item.id }, org);
});

async function grantOf(client, resource = connection.mcp, scope = 'tools') {
    const { body, text } = await form(`${real.origin}/token`, { grant_type: 'client_credentials', resource, scope, client_id: client, client_secret: `${client}-secret-of-the-test` });
    assert.ok(body.access_token, text);
    return guard(body.access_token, 'token of the real issuer');
}

test('oidc-provider: signed tokens found by discovery, opaque ones by introspection', async () => {
    const signed = await grantOf('signed');
    const answer = await list(signed);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(await status(signed, `${tulle.url}/mcp/hub/acme`), 401, 'for one connection');
    assert.equal(await status(await grantOf('signed', connection.mcp, 'more')), 403, 'a required scope is missing');
    const [mine] = (await tulle.use('ORGANIZATION_ISSUER_LIST', {}, org)).items.filter(({ issuer }) => issuer === real.origin);
    await tulle.use('ORGANIZATION_ISSUER_UPDATE', { issuer_id: mine.id, kind: 'opaque', introspection_endpoint: `${real.origin}/token/introspection`, client_id: 'tulle', client_secret: 'tulle-secret-of-the-test' }, org);
    const opaque = await grantOf('opaque');
    assert.ok(!opaque.includes('.'));
    assert.equal(await status(opaque), 200);
    const ended = await grantOf('opaque');
    await form(`${real.origin}/token/revocation`, { token: ended, client_id: 'opaque', client_secret: 'opaque-secret-of-the-test' });
    assert.equal(await status(ended), 401);
});

test('bad tokens of one address are told to wait; other addresses and known tokens go on', async () => {
    const at = (address, bearer) => rpc(connection.mcp, 'tools/list', {}, { key: bearer, headers: { 'x-forwarded-for': address } });
    const good = token();
    assert.equal((await at('203.0.113.5', good)).status, 200);
    const since = Date.now();
    let n = 0, answer;
    while ((answer = await at('203.0.113.5', token({ exp: now() - 1000 }))).status === 401 && n < 60) n++;
    assert.equal(answer.status, 429, answer.text);
    assert.ok(n >= 20 && n <= 20 + Math.ceil((Date.now() - since) / 3000), `${n} bad tokens, and one more comes back every three seconds`);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
    assert.equal((await at('203.0.113.6', token())).status, 200);
    assert.equal((await at('203.0.113.5', org.key)).status, 200, 'our own tokens are another matter');
});

test('what bad tokens of one address cost before they are known to be bad has an end', async () => {
    const server = createServer(() => {}); // an issuer that lets everybody wait
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    server.unref();
    const origin = `http://127.0.0.1:${server.address().port}`;
    const { item } = await tulle.use('ORGANIZATION_ISSUER_CREATE', {
        name: 'Slow', issuer: origin, kind: 'opaque', introspection_endpoint: `${origin}/introspect`, client_id: 'tulle', client_secret: plant('introspection of the slow one'),
        subject: { by: 'claim', users: { anna: other.user_id } },
    }, other);
    const told = [];
    const all = Array.from({ length: 510 }, async (_, i) => {
        const answer = await rpc(theirs.mcp, 'tools/list', {}, { key: guard(`opaque-of-nobody-${i}`, 'foreign token'), headers: { 'x-forwarded-for': '203.0.113.77' } });
        told.push(answer.status);
    });
    await until('those beyond the limit are refused', () => told.length >= 10, 20_000);
    assert.deepEqual(told, Array(10).fill(429));
    server.close();
    server.closeAllConnections();
    await Promise.all(all);
    await tulle.use('ORGANIZATION_ISSUER_DELETE', { issuer_id: item.id }, other);
});

test('another organization neither sees nor uses an issuer, and metadata names none', async () => {
    assert.equal((await tulle.use('ORGANIZATION_ISSUER_LIST', {}, other)).total_count, 0);
    const [mine] = (await tulle.use('ORGANIZATION_ISSUER_LIST', {}, org)).items;
    for (const [tool, more] of [['ORGANIZATION_ISSUER_UPDATE', { name: 'x' }], ['ORGANIZATION_ISSUER_DELETE', {}]])
        await tulle.refuse(tool, { issuer_id: mine.id, ...more }, other, 404);
    // The attacker trusts the same issuer and maps its subject: it gets its own people's rights at its own addresses only.
    await tulle.use('ORGANIZATION_ISSUER_CREATE', { name: 'Same', issuer: evil.issuer, jwks_uri: evil.jwks_uri, subject: { by: 'claim', users: { anna: other.user_id } }, audiences: ['urn:acme:mcp'] }, other);
    assert.equal(await status(token({ aud: theirs.mcp }), theirs.mcp), 200);
    assert.equal(await status(token({ aud: theirs.mcp })), 401);
    assert.equal(await status(token(), theirs.mcp), 401);
    for (const path of [`/mcp/${connection.id}`, '/mcp/acme/fixture', '/mcp/conn_f00dfeedf00dfeedf00dfeedf00dfeed']) {
        const { body } = await send(`${tulle.url}/.well-known/oauth-protected-resource${path}`, { method: 'GET' });
        assert.deepEqual(body.authorization_servers, [`http://localhost:${tulle.port}`], path);
    }
});

test('what makes no sense is refused when an issuer is written down', async () => {
    const base = { name: 'x', issuer: 'https://x.example', subject: { by: 'email' } };
    const bad = [
        [400, { issuer: 'nothing' }], [400, { issuer: 'https://u:p@x.example' }], [422, { issuer: `http://localhost:${tulle.port}` }], [422, { issuer: 'http://169.254.169.254' }],
        [422, { kind: 'opaque' }], [422, { introspection_endpoint: 'https://x.example/i' }], [422, { client_secret: plant('unused') }], [422, { jwks_uri: 'http://10.0.0.1/jwks' }],
        [400, { subject: { by: 'claim' } }], [400, { subject: { by: 'email', users: { a: org.user_id } } }], [400, { subject: { by: 'service_account' } }],
        [404, { subject: { by: 'service_account', service_account_id: 'sa_f00dfeedf00dfeedf00dfeedf00dfeed' } }], [400, { subject: { by: 'magic' } }],
    ];
    for (const [expected, more] of bad) await tulle.refuse('ORGANIZATION_ISSUER_CREATE', { ...base, ...more }, org, expected);
    await tulle.makeUser('member@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: 'member@acme.example', role: 'member' }, org);
    await tulle.refuse('ORGANIZATION_ISSUER_CREATE', base, { key: await tulle.makeKey('acme', 'member@acme.example') }, 404);
});
