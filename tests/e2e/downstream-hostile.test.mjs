// Tulle at other servers, against those who would have its tokens: tokens bound to a key (RFC 9449: proofs at the token endpoint and
// at the server, nonces of both, a key for each authorization), servers that name another authorization server, and what changes
// while an answer is under way.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createHash, randomUUID } from 'node:crypto';
import { until } from './lib/children.mjs';
import { arriveBack, authorizeAt, begin, connectBy } from './lib/downstream.mjs';
import { rpc, send } from './lib/http.mjs';
import { makeOwner, makePerson, signedIn } from './lib/oauth.mjs';
import { guard, plant } from './lib/secrets.mjs';
import { startOAuthRaw, startOAuthReal } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, raw, real, browser;
before(async () => {
    [tulle, raw, real] = await Promise.all([startTulle(), startOAuthRaw(), startOAuthReal()]);
    org = await makeOwner(tulle, 'acme');
    browser = await signedIn(tulle, org);
});
after(() => tulle?.end());

let count = 0;
const connect = (url, fields = {}) => tulle.connect(org, { name: `Bound ${++count}`, url, auth: 'oauth', ...fields });
const call = (connection) => rpc(connection.mcp, 'tools/call', { name: 'whoami', arguments: {} }, { key: org.key });
const whoami = async (connection) => {
    const { body, text } = await call(connection);
    assert.ok(body.result && !body.result.isError, text);
    return JSON.parse(body.result.content[0].text);
};
const plan = (value) => real.plan({ forget: true, ...value });

test('the token is bound: proofs at the token endpoint and with every request, nonces of both, each message executed once', async () => {
    await plan({ issuerNonce: true, resourceNonce: 'first' });
    const connection = await connect(real.bound);
    await connectBy(browser, connection, org);
    const { calls } = await real.seen();
    const { authorization } = await whoami(connection);
    assert.match(authorization, /^DPoP /);
    let seen = await real.seen();
    assert.equal(seen.calls, calls + 1);
    assert.deepEqual(seen.grants, ['authorization_code: use_dpop_nonce', 'authorization_code']);
    await real.plan({ issuerNonce: true, resourceNonce: 'second' });
    await whoami(connection);
    seen = await real.seen();
    assert.equal(seen.calls, calls + 2, 'another nonce: sent again, executed once');
    assert.deepEqual([...new Set(seen.proofs.map(({ nonce }) => nonce))], ['first', 'second']);
    assert.deepEqual([...new Set(seen.proofs.map(({ jkt }) => jkt))], [seen.authorize[0].dpop_jkt], 'one key, to which the code was bound');
    assert.equal(new Set(seen.proofs.map(({ jti }) => jti)).size, seen.proofs.length);
    assert.equal((await tulle.use('CONNECTION_TEST', { connection_id: connection.id }, org)).ok, true);
});

test('renewal keeps the key; the token is nothing to others: another key, no proof, and a proof that was seen are refused', async () => {
    await plan({});
    const connection = await connect(real.bound);
    await connectBy(browser, connection, org);
    const before = await whoami(connection);
    const token = before.authorization.slice('DPoP '.length);
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const jwk = await exportJWK(publicKey);
    const forged = await new SignJWT({ htm: 'POST', htu: real.bound, jti: randomUUID(), ath: createHash('sha256').update(token).digest('base64url') })
        .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk }).setIssuedAt().sign(privateKey);
    for (const headers of [{ authorization: `DPoP ${token}`, dpop: forged }, { authorization: `DPoP ${token}` }, { authorization: `Bearer ${token}` },
        { authorization: `DPoP ${token}`, dpop: before.dpop }])
        assert.equal((await send(real.bound, { headers, body: '{}' })).status, 401);
    await plan({ destroy: [token] });
    const after = await whoami(connection);
    assert.notEqual(after.authorization, before.authorization);
    const { grants, proofs } = await real.seen();
    assert.deepEqual(grants, ['refresh_token']);
    const { jwk: own } = JSON.parse(Buffer.from(before.dpop.split('.')[0], 'base64url'));
    assert.deepEqual([...new Set(proofs.map(({ jkt }) => jkt))], [await calculateJwkThumbprint(own)]);
    const { calls } = await real.seen();
    await plan({ refuseProofs: true });
    const refused = await call(connection);
    assert.ok(refused.body.error ?? refused.body.result.isError, refused.text);
    const seen = await real.seen();
    assert.deepEqual([seen.calls, seen.grants], [calls, []], 'a refused proof renews no token');
    await plan({});
    assert.match((await whoami(connection)).authorization, /^DPoP /);
});

test('disconnecting forgets the key: the next authorization has another', async () => {
    await plan({});
    const connection = await connect(real.bound);
    await connectBy(browser, connection, org);
    await tulle.use('CONNECTION_CREDENTIAL_DELETE', { connection_id: connection.id }, org);
    assert.match((await call(connection)).text, /not connected yet/);
    await connectBy(browser, connection, org);
    await whoami(connection);
    const { authorize, proofs } = await real.seen();
    assert.notEqual(authorize[0].dpop_jkt, authorize[1].dpop_jkt);
    assert.ok(proofs.every(({ jkt }) => jkt === authorize[1].dpop_jkt));
});

test('client credentials are bound too', async () => {
    await plan({ issuerNonce: true });
    const connection = await connect(real.bound, { metadata: { oauth: { grant: 'client_credentials', scope: 'tools' } } });
    const { body: client } = await send(`${real.origin}/register`, { headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ grant_types: ['client_credentials'], response_types: [], redirect_uris: [], token_endpoint_auth_method: 'client_secret_basic' }) });
    await tulle.use('CONNECTION_CREDENTIAL_SET', { connection_id: connection.id, client_id: client.client_id, client_secret: guard(client.client_secret, 'client secret') }, org);
    assert.match((await whoami(connection)).authorization, /^DPoP /);
});

test('without an offer, or with an answer that is no bound token, it is as before; a server that takes no others is not begun with', async () => {
    const dpop_signing_alg_values_supported = ['ES256'];
    for (const [asked, offered, resource] of [[true, { dpop_signing_alg_values_supported }, { dpop_bound_access_tokens_required: true }],
        [true, { dpop_signing_alg_values_supported }, { dpop_signing_alg_values_supported }], [true, {}, { dpop_bound_access_tokens_required: true }],
        [false, { dpop_signing_alg_values_supported }, {}], [false, {}, { dpop_signing_alg_values_supported }]]) {
        const connection = await connect(raw.url);
        await raw.plan({ metadata: offered, resource });
        await raw.forget();
        await connectBy(browser, connection, org);
        const { headers } = await whoami(connection);
        assert.deepEqual([/^Bearer /.test(headers.authorization), headers.dpop], [true, undefined]);
        assert.equal((await raw.seen()).authorize[0].dpop_jkt !== undefined, asked, JSON.stringify([offered, resource]));
    }
    await raw.plan({ metadata: { dpop_signing_alg_values_supported: ['RS256'] }, resource: { dpop_bound_access_tokens_required: true } });
    assert.equal(await begin(browser, await connect(raw.url), org), undefined);
    assert.match(browser.page.text, /bound by DPoP/);
    await raw.plan({ tokenRaw: { status: 200, headers: { 'content-type': 'application/json' }, text: JSON.stringify({ access_token: 'x', token_type: 'DPoP' }) } });
    const page = await arriveBack(browser, await authorizeAt(await begin(browser, await connect(raw.url), org), browser.origin));
    assert.match(page.text, /no Bearer token/, 'bound to nothing of ours');
    await raw.plan({});
});

// ---- another authorization server ----

test('a client that was given for one authorization server is shown to no other, with a person and without, until it is given again', async () => {
    const other = await startOAuthRaw();
    const secret = plant('bound client secret');
    const give = (connection) => tulle.use('CONNECTION_CREDENTIAL_SET', { connection_id: connection.id, client_id: 'ours', client_secret: secret }, org);
    const elsewhere = { resource: { authorization_servers: [other.origin] } };
    const connection = await connect(raw.url);
    await give(connection);
    await connectBy(browser, connection, org);
    await raw.plan(elsewhere);
    assert.equal(await begin(browser, connection, org), undefined);
    assert.match(browser.page.text, new RegExp(`names the authorization server ${other.origin} now, and client_id was given for ${raw.origin}`));
    await raw.plan({ machineSecret: secret });
    const machine = await connect(raw.url, { metadata: { oauth: { grant: 'client_credentials', scope: 'read' } } });
    await give(machine);
    await whoami(machine);
    await raw.plan({ ...elsewhere, machineSecret: 'another' });
    await raw.expire();
    await until('it is begun anew, and refused', async () => /was given for/.test((await call(machine)).text), 30_000);
    assert.deepEqual((await other.seen()).token, []);
    await raw.plan(elsewhere);
    await give(connection);
    await connectBy(browser, connection, org);
    assert.equal((await other.seen()).token.length, 1);
    await raw.plan({});
});

// ---- while an answer is under way ----

test('disconnected while the token is renewed: what the server answers then is revoked, not forgotten', async () => {
    const connection = await connect(raw.url);
    await raw.plan({});
    await connectBy(browser, connection, org);
    await raw.forget();
    await raw.expire();
    await raw.merge({ holdToken: true });
    const answer = call(connection);
    await until('the renewal is asked for', async () => (await raw.seen()).token.length > 0, 60_000);
    await tulle.use('CONNECTION_CREDENTIAL_DELETE', { connection_id: connection.id }, org);
    await raw.release();
    assert.match((await answer).text, /\/oauth\/connect\//);
    const { revoke } = await raw.seen();
    assert.deepEqual(revoke.map(({ token_type_hint }) => token_type_hint), ['refresh_token', 'access_token', 'refresh_token', 'access_token']);
    assert.equal(new Set(revoke.map(({ token }) => token)).size, 4);
});

test('a person removed, a server moved or deleted while the code is redeemed: nothing is kept, and the tokens are revoked', async () => {
    const leaver = await makePerson(tulle, 'leaver@acme.example');
    const cases = [[leaver, () => tulle.use('ORGANIZATION_MEMBER_REMOVE', { user_id: leaver.user_id }, org)],
        [org, (connection) => tulle.use('CONNECTION_UPDATE', { connection_id: connection.id, url: `${raw.url}?moved` }, org)],
        [org, (connection) => tulle.use('CONNECTION_DELETE', { connection_id: connection.id, confirm: connection.slug }, org)]];
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: leaver.email, role: 'member' }, org);
    for (const [who, act] of cases) {
        const connection = await connect(raw.url, { credential_scope: 'user' });
        const theirs = await signedIn(tulle, who);
        await raw.plan({});
        await raw.forget();
        const url = await authorizeAt(await begin(theirs, connection, org), theirs.origin);
        await raw.merge({ holdToken: true });
        const page = arriveBack(theirs, url);
        await until('the code is redeemed', async () => (await raw.seen()).token.length > 0, 60_000);
        await act(connection);
        await raw.release();
        assert.ok((await page).status >= 400, `${act}`);
        assert.deepEqual((await raw.seen()).revoke.map(({ token_type_hint }) => token_type_hint), ['refresh_token', 'access_token'], `${act}`);
    }
    await raw.plan({});
});

test('the browser leaves while the code is redeemed: the server is connected all the same', async () => {
    const connection = await connect(raw.url);
    await raw.forget();
    const url = await authorizeAt(await begin(browser, connection, org), browser.origin);
    await raw.merge({ holdToken: true });
    const leaving = new AbortController();
    const page = fetch(url, { headers: { cookie: browser.cookies() }, signal: leaving.signal }).catch(() => undefined);
    await until('the code is redeemed', async () => (await raw.seen()).token.length > 0, 60_000);
    leaving.abort();
    await page;
    await raw.release();
    await until('it is connected', async () => (await call(connection)).body.result?.isError !== true, 30_000);
});
