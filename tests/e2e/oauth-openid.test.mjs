// OpenID Connect: ID tokens, userinfo, the keys that sign them.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { makeClock } from './lib/clock.mjs';
import { send } from './lib/http.mjs';
import { verifyJwt } from './lib/jose.mjs';
import { answerOf, makeClient, makeOwner, obtainTokens, pkce, request, signedIn } from './lib/oauth.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, clock, org, browser, client, issuer;
const audience = () => ({ resource: `${tulle.url}/mcp` });

before(async () => {
    clock = makeClock();
    tulle = await startTulle({ env: clock.env });
    issuer = `http://localhost:${tulle.port}`;
    org = await makeOwner(tulle, 'acme');
    browser = await signedIn(tulle, org);
    client = await makeClient(tulle);
});
after(() => tulle?.end());

const keys = async () => (await send(`${tulle.url}/oauth/jwks`, { method: 'GET' })).body.keys;
const tokens = (more = {}, who = client) => obtainTokens(tulle, browser, who, { ...audience(), scope: 'openid profile email mcp', nonce: 'n-1', prompt: 'consent', ...more });

test('an ID token says who, for whom, when, and belongs to its access token', async () => {
    const { id_token, access_token, scope } = await tokens();
    assert.equal(scope, 'openid profile email mcp');
    const { header, claims } = verifyJwt(id_token, await keys());
    assert.equal(header.alg, 'ES256');
    assert.deepEqual([claims.iss, claims.aud, claims.sub, claims.nonce], [issuer, client.client_id, org.user_id, 'n-1']);
    assert.ok(claims.exp > claims.iat && claims.exp - claims.iat <= 3600);
    assert.ok(claims.auth_time <= claims.iat);
    assert.equal(claims.at_hash, createHash('sha256').update(access_token).digest().subarray(0, 16).toString('base64url'));
    const without = await tokens({ scope: 'mcp' });
    assert.equal(without.id_token, undefined, 'only with openid');
});

test('RS256 for a client that registered for it', async () => {
    const old = await makeClient(tulle, { client_name: 'Old', id_token_signed_response_alg: 'RS256' });
    assert.equal(old.id_token_signed_response_alg, 'RS256');
    assert.equal(verifyJwt((await tokens({}, old)).id_token, await keys()).header.alg, 'RS256');
});

test('userinfo: by scope, with an access token only', async () => {
    const { access_token, id_token } = await tokens();
    const ask = (key, method = 'GET') => send(`${tulle.url}/oauth/userinfo`, { method, key });
    const { body, headers } = await ask(access_token);
    assert.deepEqual(body, { sub: org.user_id, email: org.email, email_verified: false, ...(body.name && { name: body.name }) });
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal((await ask(access_token, 'POST')).body.sub, org.user_id);
    const slim = await tokens({ scope: 'openid mcp' });
    assert.deepEqual((await ask(slim.access_token)).body, { sub: org.user_id });
    const { access_token: none } = await tokens({ scope: 'mcp' });
    const refused = await ask(none);
    assert.equal(`${refused.status} ${refused.body.error}`, '403 insufficient_scope');
    for (const bad of [id_token, org.key, 'x', undefined]) assert.equal((await ask(bad)).status, 401);
});

test('[250] an ID token is no access token', async () => {
    const { id_token } = await tokens();
    assert.equal((await send(`${tulle.url}/api/tools/ORGANIZATION_LIST`, { body: {}, key: id_token })).status, 401);
});

test('[29] [30] [31] [32] prompt and max_age', async () => {
    const fresh = await makeClient(tulle, { client_name: 'Fresh' });
    const ask = async (more, who = browser) => who.request(`/oauth/authorize?${request(fresh, pkce(), { ...audience(), scope: 'openid mcp', ...more })}`);
    assert.equal(answerOf(await ask({ prompt: 'none' })).error, 'consent_required');
    assert.equal(answerOf(await ask({ prompt: 'none login' })).error, 'invalid_request');
    for (const max_age of ['abc', '-1']) assert.equal(answerOf(await ask({ max_age })).error, 'invalid_request');
    assert.equal(answerOf(await ask({ nonce: 'a\nb' })).error, 'invalid_request');
    clock.advance(3600);
    assert.equal(answerOf(await ask({ prompt: 'none', max_age: '600' })).error, 'login_required');
    const page = await ask({ prompt: 'login' });
    assert.match(page.headers.location, /^\/login/, 'prompt=login: the person proves it again');
});

test('the metadata is true', async () => {
    const { body } = await send(`${tulle.url}/.well-known/openid-configuration`, { method: 'GET' });
    assert.deepEqual(body.id_token_signing_alg_values_supported, ['ES256', 'RS256']);
    assert.equal(body.userinfo_endpoint, `${issuer}/oauth/userinfo`);
    for (const scope of ['openid', 'profile', 'email', 'offline_access']) assert.ok(body.scopes_supported.includes(scope));
    const { headers, body: set } = await send(`${tulle.url}/oauth/jwks`, { method: 'GET' });
    assert.equal(headers['cache-control'], 'public, max-age=300');
    assert.deepEqual(set.keys.map(({ alg }) => alg), ['ES256', 'RS256']);
    for (const key of set.keys) for (const part of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.ok(!(part in key), '[146]');
});

test('keys rotate --signing: published, then used, and the old ones stay until what they signed has expired', async () => {
    browser = await signedIn(tulle, org);
    const before = await keys();
    const { id_token } = await tokens();
    await tulle.must('keys', 'rotate', '--signing');
    assert.equal((await keys()).length, 4);
    const kidOf = async () => verifyJwt((await tokens()).id_token, await keys()).header.kid;
    assert.equal(await kidOf(), before[0].kid, 'not used yet');
    clock.advance(11 * 60);
    const used = await kidOf();
    assert.ok(before.every(({ kid }) => kid !== used), 'the new one signs');
    assert.ok(verifyJwt(id_token, await keys()), 'the old one verifies on');
    clock.advance(25 * 3600);
    const after = await keys();
    assert.equal(after.length, 2);
    assert.ok(after.every(({ kid }) => before.every((old) => old.kid !== kid)));
    await tulle.must('keys', 'rotate');
    assert.deepEqual(await keys(), after, 'the master keys are another matter');
});
