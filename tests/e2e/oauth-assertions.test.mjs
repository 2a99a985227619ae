// Identity assertions (ID-JAG, MCP Enterprise-Managed Authorization): an organization's provider says whom one of the organization's
// programs acts for. The provider is made by hand, so that it can sign correctly and say wrong things. Numbers in brackets: rows of
// the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { text as textIn } from 'node:stream/consumers';
import { Client, CrossAppAccessProvider, discoverAndRequestJwtAuthGrant, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { until } from './lib/children.mjs';
import { textOf } from './lib/clients.mjs';
import { send } from './lib/http.mjs';
import { makeSigner, signJwt } from './lib/jose.mjs';
import { form, makeClient, makeOwner, makePerson } from './lib/oauth.mjs';
import { guard } from './lib/secrets.mjs';
import { startV1 } from './lib/servers.mjs';
import { sql } from './lib/store.mjs';
import { startTulle } from './lib/tulle.mjs';

const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const key = makeSigner('ES256', 'k1');
const seconds = () => Math.floor(Date.now() / 1000);
let tulle, issuer, org, other, connection, foreign, provider, client, person, idp;

/** RFC 8693 as the official conformance suite's provider has it (auth/enterprise-managed-authorization): an ID-JAG without kid, email and scope. */
function exchange(origin, fields) {
    const { grant_type, requested_token_type, subject_token_type, subject_token, audience, resource, client_id } = fields;
    assert.deepEqual({ grant_type, requested_token_type, subject_token_type, subject_token, client_id }, {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', requested_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
        subject_token_type: 'urn:ietf:params:oauth:token-type:id_token', subject_token: 'an ID token', client_id: 'program-at-the-provider',
    });
    const now = seconds();
    const access_token = signJwt(key, { sub: person.sub, resource, client_id: client.client_id, iss: origin, aud: audience, iat: now, exp: now + 300, jti: randomUUID() },
        { typ: 'oauth-id-jag+jwt', kid: undefined });
    return { access_token, issued_token_type: 'urn:ietf:params:oauth:token-type:id-jag', token_type: 'N_A' };
}

async function startProvider() {
    const server = createServer(async (req, res) => {
        const origin = `http://127.0.0.1:${server.address().port}`;
        const say = (value, status = 200) => res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
        if (req.url === '/.well-known/openid-configuration') return say({ issuer: origin, authorization_endpoint: `${origin}/a`, token_endpoint: `${origin}/t`, jwks_uri: `${origin}/jwks`,
            response_types_supported: ['code'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['ES256'] });
        if (req.url === '/t') return say(exchange(origin, Object.fromEntries(new URLSearchParams(await textIn(req)))));
        if (req.url === '/jwks') return say({ keys: [key.jwk] });
        return say({}, 404);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    server.unref();
    return { issuer: `http://127.0.0.1:${server.address().port}`, close: () => server.closeAllConnections() };
}

async function makeMachine(owner, name) {
    const { item, client_secret } = await tulle.use('OAUTH_CLIENT_CREATE', { name, redirect_uris: ['https://program.example/cb'] }, owner);
    return { client_id: item.id, client_secret: guard(client_secret, 'client secret') };
}

before(async () => {
    const [program, server] = await Promise.all([startTulle(), startV1()]);
    [tulle, idp] = [program, await startProvider()];
    issuer = `http://localhost:${tulle.port}`;
    [org, other] = [await makeOwner(tulle, 'acme'), await makeOwner(tulle, 'other')];
    connection = await tulle.connect(org, { name: 'Fixture', slug: 'fixture', url: server.url });
    foreign = await tulle.connect(other, { name: 'Theirs', slug: 'theirs', url: server.url });
    provider = (await tulle.use('ORGANIZATION_SSO_CREATE', { type: 'oidc', name: 'Acme ID', issuer: idp.issuer, client_id: 'tulle', client_secret: guard('assertion-test-client-secret', 'client secret'), allow_id_jag: true }, org)).item;
    client = await makeMachine(org, 'Enterprise program');
    // A person whom the provider may speak for, by an open invitation.
    person = { email: 'ada@acme.example', sub: 'ada-at-acme' };
    await tulle.use('ORGANIZATION_INVITATION_CREATE', { email: person.email, role: 'member' }, org);
});
after(async () => {
    await tulle?.end();
    idp?.close();
});

const claims = (more = {}) => ({ iss: idp.issuer, sub: person.sub, email: person.email, aud: issuer, client_id: client.client_id, resource: connection.mcp,
    scope: 'mcp', jti: randomUUID(), iat: seconds(), exp: seconds() + 120, ...more });
const jag = (more = {}, header = {}, signer = key) => signJwt(signer, claims(more), { typ: 'oauth-id-jag+jwt', ...header });
const basic = ({ client_id, client_secret }) => ({ authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}` });
const present = (assertion, more = {}, who = client) => form(`${tulle.url}/oauth/token`, { grant_type: grantType, assertion, ...more }, basic(who));
/** Failures are counted for each client and a minute: each hostile case has a client of its own. */
async function assertRefused(assertionOf, what, error = 'invalid_grant', more = {}) {
    const fresh = await makeMachine(org, what.slice(0, 60));
    const { status, body, text } = await present(assertionOf(fresh), more, fresh);
    assert.equal(`${status} ${body?.error}`, `400 ${error}`, `${what}: ${text}`);
}
const bad = (more, header, signer) => (who) => jag({ client_id: who.client_id, ...more }, header, signer);

test('metadata offers it, and an assertion gives an access token, no refresh token, no browser', async () => {
    for (const path of ['oauth-authorization-server', 'openid-configuration']) {
        const { body } = await send(`${tulle.url}/.well-known/${path}`, { method: 'GET' });
        assert.ok(body.grant_types_supported.includes(grantType));
        assert.deepEqual(body.authorization_grant_profiles_supported, ['urn:ietf:params:oauth:grant-profile:id-jag']);
    }
    const { status, body, text } = await present(jag());
    assert.equal(status, 200, text);
    guard(body.access_token, 'access token');
    assert.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'scope', 'token_type']);
    assert.equal(body.scope, 'mcp');
    const called = await tulle.callTool(connection, 'echo', { text: 'by assertion' }, { key: body.access_token });
    assert.equal(called.status, 200, called.text);
    const members = (await tulle.use('ORGANIZATION_MEMBER_LIST', {}, org)).items;
    person.user_id = members.find(({ email }) => email === person.email).user_id;
    const event = await until('audited', async () => (await tulle.use('ORGANIZATION_AUDIT_LIST', { method: 'oauth_identity_assertion' }, org)).items[0]);
    assert.equal(event.user_id, person.user_id);
    const again = await present(jag({ aud: [issuer], email: undefined }));
    assert.equal(again.status, 200, `known by issuer and subject: ${again.text}`);
});

test('the official SDK, from the address alone: metadata, the provider\'s token exchange, the assertion, the call', async () => {
    const { client_id, client_secret } = client;
    const grants = [];
    const authProvider = new CrossAppAccessProvider({
        clientId: client_id, clientSecret: client_secret, expectedIssuer: issuer,
        assertion: async ({ authorizationServerUrl, resourceUrl }) => {
            const { jwtAuthGrant } = await discoverAndRequestJwtAuthGrant({ idpUrl: idp.issuer, audience: authorizationServerUrl, resource: resourceUrl,
                idToken: 'an ID token', clientId: 'program-at-the-provider' });
            grants.push(jwtAuthGrant);
            return jwtAuthGrant;
        },
    });
    const program = new Client({ name: 'enterprise', version: '1.0.0' }, { capabilities: {} });
    await program.connect(new StreamableHTTPClientTransport(new URL(`${issuer}${new URL(connection.mcp).pathname}`), { authProvider }));
    assert.match(textOf(await program.callTool({ name: 'echo', arguments: { text: 'by assertion' } })), /by assertion/);
    await program.close();
    assert.equal(grants.length, 1);
    // Exactly what the suite's own client sends: nothing but the assertion, both parts of the header encoded.
    const alone = exchange(idp.issuer, { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', requested_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
        subject_token_type: 'urn:ietf:params:oauth:token-type:id_token', subject_token: 'an ID token', client_id: 'program-at-the-provider', audience: issuer, resource: connection.mcp });
    const authorization = `Basic ${Buffer.from([client_id, client_secret].map(encodeURIComponent).join(':')).toString('base64')}`;
    const { status, text } = await form(`${tulle.url}/oauth/token`, { grant_type: grantType, assertion: alone.access_token }, { authorization });
    assert.equal(status, 200, text);
});

test('the scope and the resource may be narrowed, never widened', async () => {
    assert.equal((await present(jag({ scope: 'mcp mcp:read' }), { scope: 'mcp:read' })).body.scope, 'mcp:read');
    await assertRefused(bad({ scope: 'mcp:read' }), 'a wider scope', 'invalid_scope', { scope: 'mcp' });
    await assertRefused(bad({}), 'another resource', 'invalid_target', { resource: `${tulle.url}/mcp` });
    for (const more of [{ scope: ['mcp:read'] }, { scope: null }, { resource: [connection.mcp] }, { resource: { is: connection.mcp } }])
        await assertRefused(bad(more), `a limit that is no text ${JSON.stringify(more)}`.slice(0, 60), 'invalid_grant', { scope: 'mcp mcp:manage', resource: `${tulle.url}/mcp` });
});

test('[92] an ID token, or anything of another type, is no identity assertion', async () => {
    for (const typ of ['JWT', 'at+jwt', 'dpop+jwt', undefined]) await assertRefused(bad({}, { typ }), `typ ${typ}`);
    await assertRefused(() => 'not.a.token', 'no token');
    assert.equal((await form(`${tulle.url}/oauth/token`, { grant_type: grantType }, basic(client))).body.error, 'invalid_request');
});

test('[93] an assertion for another server, or for two, is not ours', async () => {
    for (const aud of ['https://other.example', [issuer, 'https://other.example'], [], undefined, `${issuer}/`, `${issuer}/oauth/token`]) await assertRefused(bad({ aud }), `aud ${JSON.stringify(aud)}`);
});

test('[94] an assertion for another client is of no use to this one', async () => {
    for (const client_id of [client.client_id, 'someone', undefined]) await assertRefused(() => jag({ client_id }), `client_id ${client_id}`);
});

test('[95] only a provider that the organization has told so may speak', async () => {
    await assertRefused(bad({ iss: 'https://unknown.example' }), 'an unknown issuer');
    await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: provider.id, allow_id_jag: false }, org);
    await assertRefused(bad({}), 'not allowed to');
    await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: provider.id, allow_id_jag: true, enabled: false }, org);
    await assertRefused(bad({}), 'disabled');
    await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: provider.id, enabled: true }, org);
    assert.equal((await present(jag())).status, 200);
});

test('[96] an assertion works once, also in parallel', async () => {
    const assertion = jag();
    const answers = await Promise.all(Array.from({ length: 5 }, () => present(assertion)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400, 400, 400, 400]);
    for (const jti of [undefined, '', 'x'.repeat(300)]) await assertRefused(bad({ jti }), 'no usable jti');
});

test('[97] an assertion that is bound to a key is not taken without its proof', async () => {
    await assertRefused(bad({ cnf: { jkt: 'A'.repeat(43) } }), 'cnf');
});

test('[98] an address that the provider does not speak for links to nobody', async () => {
    const victim = await makePerson(tulle, 'victim@elsewhere.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: victim.email, role: 'member' }, org);
    for (const email of [victim.email, org.email]) await assertRefused(bad({ sub: `evil-${email}`, email }), `the address ${email}`);
    await assertRefused(bad({ sub: 'nobody', email: 'new@unproven.example' }), 'a stranger');
});

test('[99] an assertion of one organization\'s provider reaches nothing of another', async () => {
    await assertRefused(bad({ resource: foreign.mcp }), 'a foreign connection', 'invalid_target');
    await assertRefused(bad({ resource: `${tulle.url}/mcp/conn_${'0'.repeat(32)}` }), 'no connection', 'invalid_target');
    const theirs = await makeMachine(other, 'Their program');
    const answer = await present(jag({ client_id: theirs.client_id, resource: foreign.mcp }), {}, theirs);
    assert.equal(answer.body.error, 'invalid_grant', 'their organization trusts no such provider');
});

test('an assertion about an operator of the installation gives what a member has', async () => {
    assert.equal((await present(jag())).status, 200, 'there is an account');
    sql(tulle, `UPDATE users SET is_operator = 1 WHERE email = '${person.email}'`);
    const victim = await makePerson(tulle, 'victim@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: victim.email, role: 'member' }, org);
    const { status, body, text } = await present(jag({ resource: `${issuer}/mcp`, scope: 'mcp:manage' }));
    assert.equal(status, 200, text);
    const bearer = { key: guard(body.access_token, 'access token') };
    assert.equal((await tulle.tool('USER_GET', {}, bearer)).status, 200);
    assert.equal((await tulle.tool('USER_UPDATE', { user_id: victim.user_id, disabled: true }, bearer)).status, 403);
    sql(tulle, `UPDATE users SET is_operator = 0 WHERE email = '${person.email}'`);
});

test('times, signatures and algorithms are judged', async () => {
    for (const more of [{ exp: seconds() - 120 }, { exp: undefined }, { exp: `${seconds() + 60}` }, { exp: 1e300 }, { iat: seconds() - 600, exp: seconds() - 1 + 60 },
        { iat: seconds() + 3600, exp: seconds() + 3700 }, { iat: undefined }, { exp: seconds() + 3600 }, { sub: undefined }, { sub: '' }, { sub: 7 }])
        await assertRefused(bad(more), JSON.stringify(more));
    await assertRefused(bad({}, {}, makeSigner('ES256', 'k1')), 'another key of the same name');
    await assertRefused(bad({}, {}, makeSigner('ES256', 'k2')), 'an unknown kid');
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const alg of ['none', 'HS256'])
        await assertRefused((who) => {
            const text = `${part({ alg, typ: 'oauth-id-jag+jwt', kid: 'k1' })}.${part(claims({ client_id: who.client_id }))}`;
            return `${text}.${alg === 'none' ? '' : createHmac('sha256', JSON.stringify(key.jwk)).update(text).digest('base64url')}`;
        }, alg);
});

test('[122] only an organization\'s own client with a secret may use it, and who has left gets nothing', async () => {
    const open = await makeClient(tulle, { token_endpoint_auth_method: 'client_secret_basic', client_name: 'Open' });
    const answer = await present(jag({ client_id: open.client_id }), {}, open);
    assert.equal(`${answer.status} ${answer.body.error}`, '400 unauthorized_client');
    const before = await present(jag());
    await tulle.use('ORGANIZATION_MEMBER_REMOVE', { user_id: person.user_id }, org);
    assert.equal((await tulle.callTool(connection, 'echo', { text: 'x' }, { key: guard(before.body.access_token, 'access token') })).status, 401);
    await assertRefused(bad({}), 'who has left');
});
