// Programs that act for nobody: service accounts, their keys and OAuth clients. Numbers in brackets: rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { rpc, send } from './lib/http.mjs';
import { assertionOf, assertionType, makeSigner } from './lib/jose.mjs';
import { form, makeClient, makeOwner, makePerson, obtainCode, register, signedIn } from './lib/oauth.mjs';
import { guard } from './lib/secrets.mjs';
import { startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, other, connection, account, client, issuer;
const grant = { grant_type: 'client_credentials' };

before(async () => {
    const [program, server] = await Promise.all([startTulle(), startV1()]);
    tulle = program;
    issuer = `http://localhost:${tulle.port}`;
    org = await makeOwner(tulle, 'acme');
    other = await makeOwner(tulle, 'other');
    connection = await tulle.connect(org, { name: 'Fixture', slug: 'fixture', url: server.url });
    account = (await tulle.use('SERVICE_ACCOUNT_CREATE', { name: 'Nightly job' }, org)).item;
    client = await makeMachine({ scopes: ['mcp', 'mcp:read'] });
});
after(() => tulle?.end());

async function makeMachine(more = {}) {
    const { item, client_secret } = await tulle.use('OAUTH_CLIENT_CREATE', { name: 'Job', service_account_id: account.id, ...more }, org);
    if (client_secret) guard(client_secret, 'client secret');
    return { client_id: item.id, client_secret, item };
}
const basic = ({ client_id, client_secret }) => ({ authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}` });
const token = (more = {}, who = client) => form(`${tulle.url}/oauth/token`, { ...grant, ...more }, basic(who));
async function tokenOf(more, who) {
    const { status, body, text } = await token(more, who);
    assert.equal(status, 200, text);
    return guard(body.access_token, 'access token') && body;
}
async function assertError(answer, status, error) {
    const { status: got, body, headers, text } = await answer;
    assert.equal(`${got} ${body?.error}`, `${status} ${error}`, text);
    assert.equal(headers['cache-control'], 'no-store');
}

test('a service account gets a token by client credentials and uses tools as a member of its own', async () => {
    assert.match(account.id, /^sa_[0-9a-f]{32}$/);
    assert.deepEqual(account.roles, ['member']);
    const body = await tokenOf({ resource: connection.mcp });
    assert.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'scope', 'token_type'], 'no refresh token');
    assert.equal(body.scope, 'mcp mcp:read');
    const called = await tulle.callTool(connection, 'echo', { text: 'at night' }, { key: body.access_token });
    assert.equal(called.status, 200, called.text);
    const { items } = await tulle.use('OAUTH_GRANT_LIST', {}, org);
    const mine = items.find(({ client_id }) => client_id === client.client_id);
    assert.equal(mine.user_id, account.id);
    await tulle.use('OAUTH_GRANT_REVOKE', { grant_id: mine.id }, org);
    assert.equal((await tulle.callTool(connection, 'echo', { text: 'x' }, { key: body.access_token })).status, 401);
    const again = await tokenOf({ resource: connection.mcp });
    assert.equal((await tulle.callTool(connection, 'echo', { text: 'x' }, { key: again.access_token })).status, 200);
    assert.equal((await tulle.callTool(connection, 'echo', { text: 'x' }, { key: body.access_token })).status, 401, 'the revoked one stays so');
    const post = await form(`${tulle.url}/oauth/token`, { ...grant, client_id: client.client_id, client_secret: client.client_secret });
    assert.equal(post.body.error, 'invalid_client', 'registered for Basic, and only that');
});

test('what was answered before is no longer true the moment that something changes: tokens, introspection, secrets, scopes', async () => {
    const { item: helper } = await tulle.use('SERVICE_ACCOUNT_CREATE', { name: 'Often' }, org);
    const often = await makeMachine({ service_account_id: helper.id, scopes: ['mcp', 'mcp:read'] });
    const ask = async (access, who = often) => (await form(`${tulle.url}/oauth/introspect`, { token: access }, basic(who))).body;
    const get = (more) => tokenOf({ resource: connection.mcp, ...more }, often);
    const [first, second] = [await get(), await get()];
    assert.notEqual(first.access_token, second.access_token, 'each is a token of its own');
    for (let i = 0; i < 3; i++) {
        const told = await ask(first.access_token);
        assert.deepEqual([told.active, told.sub, told.client_id, told.aud, told.scope], [true, helper.id, often.client_id, `${issuer}/mcp/${connection.id}`, 'mcp mcp:read']);
        assert.deepEqual(await ask(first.access_token, client), { active: false }, 'to its own client only');
    }
    await form(`${tulle.url}/oauth/revoke`, { token: first.access_token }, basic(often));
    assert.deepEqual(await ask(first.access_token), { active: false });
    assert.equal((await ask(second.access_token)).active, true);

    await tulle.use('OAUTH_CLIENT_UPDATE', { client_id: often.client_id, scopes: ['mcp:read'] }, org);
    assert.equal((await get()).scope, 'mcp:read', 'not what it was a moment ago');
    await assertError(token({ scope: 'mcp' }, often), 400, 'invalid_scope');
    const { client_secret } = await tulle.use('OAUTH_CLIENT_UPDATE', { client_id: often.client_id, rotate_secret: true }, org);
    await assertError(token({}, often), 401, 'invalid_client');
    assert.equal((await ask(second.access_token)).error, 'invalid_client');
    often.client_secret = guard(client_secret, 'client secret');
    const third = await get();
    await tulle.use('SERVICE_ACCOUNT_UPDATE', { service_account_id: helper.id, disabled: true }, org);
    await assertError(token({ resource: connection.mcp }, often), 400, 'invalid_grant');
    assert.equal((await tulle.callTool(connection, 'echo', { text: 'x' }, { key: third.access_token })).status, 401);
    await tulle.use('SERVICE_ACCOUNT_UPDATE', { service_account_id: helper.id, disabled: false }, org);
    await get();
    await tulle.use('ORGANIZATION_POLICY_UPDATE', { oauth_clients: 'approved' }, org);
    await get();
    await tulle.use('ORGANIZATION_POLICY_UPDATE', { oauth_clients: null }, org);
    await tulle.use('SERVICE_ACCOUNT_DELETE', { service_account_id: helper.id }, org);
    await assertError(token({}, often), 401, 'invalid_client');
});

test('service accounts are no people: not listed as members, never owners, no sign-in', async () => {
    const { items } = await tulle.use('ORGANIZATION_MEMBER_LIST', {}, org);
    assert.ok(items.every(({ user_id }) => user_id.startsWith('usr_')));
    const answer = await send(`${tulle.url}/api/tools/SERVICE_ACCOUNT_CREATE`, { body: { name: 'Boss', role: 'owner' }, key: org.key });
    assert.equal(answer.status, 422, answer.text);
    const added = await send(`${tulle.url}/api/tools/ORGANIZATION_MEMBER_ADD`, { body: { email: `${account.id}@service.invalid`, role: 'member' }, key: other.key });
    assert.equal(added.status, 404, added.text);
    const listed = await tulle.use('SERVICE_ACCOUNT_LIST', {}, other);
    assert.equal(listed.total_count, 0, 'another organization sees nothing');
    for (const [tool, more] of [['SERVICE_ACCOUNT_UPDATE', { name: 'x' }], ['SERVICE_ACCOUNT_DELETE', {}]]) {
        const foreign = await send(`${tulle.url}/api/tools/${tool}`, { body: { service_account_id: account.id, ...more }, key: other.key });
        assert.equal(foreign.status, 404, foreign.text);
    }
});

test('keys of a service account: made, turned and ended by administrators', async () => {
    const made = await tulle.use('API_KEY_CREATE', { name: 'Job key', service_account_id: account.id, scopes: ['mcp'] }, org);
    guard(made.key, 'API key');
    assert.equal(made.item.user_id, account.id);
    assert.equal((await tulle.callTool(connection, 'echo', { text: 'k' }, { key: made.key })).status, 200);
    await tulle.use('SERVICE_ACCOUNT_UPDATE', { service_account_id: account.id, disabled: true }, org);
    assert.equal((await tulle.callTool(connection, 'echo', { text: 'k' }, { key: made.key })).status, 401, 'disabled: at once');
    await assertError(token(), 400, 'invalid_grant');
    const { item } = await tulle.use('SERVICE_ACCOUNT_UPDATE', { service_account_id: account.id, disabled: false, name: 'Nightly' }, org);
    assert.deepEqual([item.name, item.disabled], ['Nightly', false]);
    assert.equal((await tulle.callTool(connection, 'echo', { text: 'k' }, { key: made.key })).status, 200);
    const member = await makePerson(tulle, 'plain@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: member.email, role: 'member' }, org);
    const key = await tulle.makeKey('acme', member.email);
    const refused = await send(`${tulle.url}/api/tools/API_KEY_CREATE`, { body: { name: 'x', service_account_id: account.id }, key });
    assert.equal(refused.status, 403, refused.text);
});

test('[85] a public client may not use client credentials, nor one that registered itself', async () => {
    const open = await makeClient(tulle);
    await assertError(form(`${tulle.url}/oauth/token`, { ...grant, client_id: open.client_id }), 400, 'unauthorized_client');
    const { body } = await register(tulle, { redirect_uris: ['https://a.example/cb'], token_endpoint_auth_method: 'client_secret_basic', grant_types: ['authorization_code', 'client_credentials'] });
    guard(body.client_secret, 'client secret');
    assert.ok(!body.grant_types.includes('client_credentials'), '[122]');
    await assertError(token({}, body), 400, 'unauthorized_client');
});

test('[86] client credentials give no scope beyond what the administrator set', async () => {
    for (const scope of ['mcp:manage', 'mcp mcp:manage', 'mcp offline_access', 'mcp whatever']) await assertError(token({ scope }), 400, 'invalid_scope');
    assert.equal((await tokenOf({ scope: 'mcp:read', resource: connection.mcp })).scope, 'mcp:read');
    await assertError(token({ resource: `${tulle.url}/mcp/${'conn_' + '0'.repeat(32)}` }), 400, 'invalid_target');
});

test('a client with a signed assertion: ES256, RS256 and EdDSA keys', async () => {
    const signers = ['ES256', 'RS256', 'EdDSA'].map((alg) => makeSigner(alg));
    const keyed = await makeMachine({ auth_method: 'private_key_jwt', jwks: { keys: signers.map(({ jwk }) => jwk) } });
    assert.equal(keyed.client_secret, null);
    for (const signer of signers) {
        const answer = await form(`${tulle.url}/oauth/token`, { ...grant, client_assertion_type: assertionType, client_assertion: assertionOf(signer, keyed.client_id, issuer) });
        assert.equal(answer.status, 200, `${signer.alg}: ${answer.text}`);
        guard(answer.body.access_token, 'access token');
    }
    const { body } = await send(`${tulle.url}/.well-known/oauth-authorization-server`, { method: 'GET' });
    assert.ok(body.token_endpoint_auth_methods_supported.includes('private_key_jwt'));
    assert.deepEqual(body.token_endpoint_auth_signing_alg_values_supported, ['ES256', 'RS256', 'PS256', 'EdDSA']);
    assert.ok(body.grant_types_supported.includes('client_credentials'));
});

test('[87] [88] [90] [91] assertions that are not good', async () => {
    const [signer, stranger] = [makeSigner('ES256'), makeSigner('ES256')];
    const keyed = await makeMachine({ auth_method: 'private_key_jwt', jwks: { keys: [signer.jwk] } });
    const now = Math.floor(Date.now() / 1000);
    const post = (client_assertion, more = {}) => form(`${tulle.url}/oauth/token`, { ...grant, client_assertion_type: assertionType, client_assertion, ...more });
    const good = assertionOf(signer, keyed.client_id, issuer);
    const [head, body] = good.split('.');
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const hmac = `${part({ alg: 'HS256', kid: signer.kid })}.${body}`;
    for (const bad of [
        `${part({ alg: 'none' })}.${body}.`, `${part({ alg: 'none' })}.${body}.AAAA`,
        `${hmac}.${createHmac('sha256', JSON.stringify(signer.jwk)).update(hmac).digest('base64url')}`,
        assertionOf(signer, keyed.client_id, 'https://other.example'), assertionOf(signer, keyed.client_id, [issuer, 'https://other.example']),
        assertionOf(signer, keyed.client_id, issuer, { exp: now - 100 }), assertionOf(signer, keyed.client_id, issuer, { exp: now + 365 * 86400 }),
        assertionOf(signer, keyed.client_id, issuer, { exp: String(now + 60) }), assertionOf(signer, keyed.client_id, issuer, { iss: 'cli_x' }),
        assertionOf(signer, keyed.client_id, issuer, { jti: undefined }), assertionOf(signer, keyed.client_id, issuer, { nbf: now + 600 }),
        assertionOf(signer, keyed.client_id, issuer, {}, { crit: ['b64'] }),
        assertionOf({ ...stranger, kid: signer.kid }, keyed.client_id, issuer), assertionOf(stranger, keyed.client_id, issuer),
        `${head}.${body}`, 'x', `${head}.${body}.${'A'.repeat(60_000)}`,
    ]) await assertError(post(bad, { client_id: keyed.client_id }), 401, 'invalid_client');
    assert.ok([401, 413].includes((await post('A'.repeat(100_000))).status));
    assert.equal((await post(good)).status, 200, 'and the good one is good');
});

test('[89] an assertion works once, also in parallel', async () => {
    const signer = makeSigner('ES256');
    const keyed = await makeMachine({ auth_method: 'private_key_jwt', jwks: { keys: [signer.jwk] } });
    const client_assertion = assertionOf(signer, keyed.client_id, `${issuer}/oauth/token`);
    const answers = await Promise.all(Array.from({ length: 6 }, () => form(`${tulle.url}/oauth/token`, { ...grant, client_assertion_type: assertionType, client_assertion })));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401, 401, 401, 401]);
    answers.forEach(({ body }) => body.access_token && guard(body.access_token, 'access token'));
});

test('a client of an organization: its own people authorize it, its secret turns, deletion ends it', async () => {
    const { item, client_secret } = await tulle.use('OAUTH_CLIENT_CREATE', { name: 'Portal', redirect_uris: ['https://portal.example/cb'], auth_method: 'client_secret_post' }, org);
    const portal = { client_id: item.id, redirect_uri: 'https://portal.example/cb' };
    const { code, verifier } = await obtainCode(await signedIn(tulle, org), portal, { resource: connection.mcp });
    const answer = await form(`${tulle.url}/oauth/token`, { grant_type: 'authorization_code', code, code_verifier: verifier, client_id: item.id, client_secret: guard(client_secret, 'client secret') });
    assert.equal(answer.status, 200, answer.text);
    guard(answer.body.access_token, 'access token');
    guard(answer.body.refresh_token, 'refresh token');
    const stranger = await signedIn(tulle, other);
    const page = await stranger.request(`/oauth/authorize?${new URLSearchParams({ response_type: 'code', client_id: item.id, redirect_uri: portal.redirect_uri, code_challenge: 'A'.repeat(43), code_challenge_method: 'S256' })}`);
    assert.match(page.headers.location ?? '', /error=invalid_target|error=access_denied/, 'people elsewhere cannot');
    const turned = await tulle.use('OAUTH_CLIENT_UPDATE', { client_id: item.id, rotate_secret: true, name: 'Portal 2' }, org);
    guard(turned.client_secret, 'client secret');
    assert.notEqual(turned.client_secret, client_secret);
    await assertError(form(`${tulle.url}/oauth/token`, { grant_type: 'refresh_token', refresh_token: answer.body.refresh_token, client_id: item.id, client_secret }), 401, 'invalid_client');
    const foreign = await send(`${tulle.url}/api/tools/OAUTH_CLIENT_UPDATE`, { body: { client_id: item.id, name: 'mine' }, key: other.key });
    assert.equal(foreign.status, 404);
    await tulle.use('OAUTH_CLIENT_DELETE', { client_id: item.id }, org);
    assert.equal((await rpc(connection.mcp, 'tools/list', {}, { key: answer.body.access_token })).status, 401);
});

test('a custom role that changes clients does not take over one that acts for an administrator', async () => {
    const { item: boss } = await tulle.use('SERVICE_ACCOUNT_CREATE', { name: 'Boss', role: 'admin' }, org);
    const { item: powerful } = await tulle.use('OAUTH_CLIENT_CREATE', { name: 'Powerful', service_account_id: boss.id, scopes: ['mcp:manage'] }, org);
    const { item: role } = await tulle.use('ORGANIZATION_ROLE_CREATE', { name: 'Clients', statements: [{ on: 'org', tools: ['OAUTH_CLIENT_*'], effect: 'allow' }] }, org);
    const keeper = await makePerson(tulle, 'keeper@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: keeper.email, role: role.id }, org);
    const key = await tulle.makeKey('acme', keeper.email);
    const change = (client_id, more) => send(`${tulle.url}/api/tools/OAUTH_CLIENT_UPDATE`, { body: { client_id, ...more }, key });
    for (const more of [{ rotate_secret: true }, { scopes: ['mcp', 'mcp:manage'] }, { redirect_uris: ['https://evil.example/cb'] }]) {
        const refused = await change(powerful.id, more);
        assert.equal(refused.status, 403, refused.text);
    }
    const own = await change(client.client_id, { name: 'Job of a member' });
    assert.equal(own.status, 200, own.text);
});

test('deleting a service account ends its clients and keys', async () => {
    const { item } = await tulle.use('SERVICE_ACCOUNT_CREATE', { name: 'Short', role: 'admin' }, org);
    const made = await tulle.use('OAUTH_CLIENT_CREATE', { name: 'Short', service_account_id: item.id, scopes: ['mcp:manage'] }, org);
    const who = { client_id: made.item.id, client_secret: guard(made.client_secret, 'client secret') };
    const { access_token } = await tokenOf({}, who);
    assert.equal((await tulle.use('CONNECTION_LIST', {}, { ...org, key: access_token })).items.length, 1);
    await tulle.use('SERVICE_ACCOUNT_DELETE', { service_account_id: item.id }, org);
    await assertError(token({}, who), 401, 'invalid_client');
    assert.equal((await send(`${tulle.url}/api/tools/CONNECTION_LIST`, { body: {}, key: access_token })).status, 401);
});
