// What an organization demands of sign-ins and sessions, and that it holds at once: for sessions, consent, tokens and refreshes
// that were there before. Numbers in brackets: rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { makeClock } from './lib/clock.mjs';
import { until } from './lib/children.mjs';
import { Dns } from './lib/dns.mjs';
import { form, makeClient, makeOwner, makePerson, obtainTokens, pkce, refresh, request, signedIn } from './lib/oauth.mjs';
import { LyingProvider, Traveller } from './lib/sso.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard, plant } from './lib/secrets.mjs';
import { sql } from './lib/store.mjs';

let tulle, home, clock, dns, provider;
const secret = guard('c1ient-secret-of-policies', 'client secret of a provider');

before(async () => {
    clock = makeClock();
    [dns, provider] = await Promise.all([new Dns().start(), new LyingProvider().start()]);
    tulle = await startTulle({ env: { ...clock.env, DNS_SERVER: dns.address, WORKERS: '3' } });
    home = `http://localhost:${tulle.port}`;
});
after(async () => {
    await tulle?.end();
    await Promise.all([dns, provider].map((one) => one?.end()));
});

const policy = async (org, change) => (await tulle.use('ORGANIZATION_POLICY_UPDATE', change, org)).item;
const defaults = {
    require_sso: false, provider_id: null, require_two_factor: false, session_idle_minutes: 10080, session_life_minutes: 43200, magic_links: true,
    oauth_clients: 'open', approved_clients: [], search_mode_default: null, rate_organization: 0, rate_connection: 0, rate_key: 0,
    concurrent_organization: 0, concurrent_connection: 0, concurrent_key: 0,
};

/** A management tool by cookie. */
async function byCookie(browser, name, args = {}) {
    const { csrf_token } = await browser.session();
    return browser.request(`/api/tools/${name}`, { method: 'POST', body: JSON.stringify(args),
        headers: { 'content-type': 'application/json', 'x-csrf-token': csrf_token ?? '' } });
}

/** An organization with a provider of its own whose domain is proven. */
async function withProvider(slug, ...flags) {
    const org = await makeOwner(tulle, slug, ...flags);
    const { item: idp } = await tulle.use('ORGANIZATION_SSO_CREATE', { type: 'oidc', name: 'Corp', issuer: provider.issuer, client_id: 'tulle', client_secret: secret }, org);
    const { item: domain } = await tulle.use('ORGANIZATION_DOMAIN_ADD', { domain: `${slug}.example`, provider_id: idp.id }, org);
    dns.set(domain.txt_name, domain.txt_value);
    await tulle.use('ORGANIZATION_DOMAIN_VERIFY', { domain: domain.domain }, org);
    return { ...org, idp };
}
async function throughProvider(org, email, claims = {}) {
    const browser = new Traveller(home);
    const iat = Math.floor(clock.now() / 1000);
    provider.plan = { claims: { sub: email, email, iat, exp: iat + 300, ...claims } };
    const page = await browser.travel(provider, org.idp.id);
    provider.plan = {};
    assert.equal(page.status, 303, page.text);
    return browser;
}

test('the policy has defaults, keeps what is not named, and null is the default again', async () => {
    const org = await makeOwner(tulle, 'plain');
    assert.deepEqual((await tulle.use('ORGANIZATION_POLICY_GET', {}, org)).item, defaults);
    const changed = { magic_links: false, session_idle_minutes: 30, rate_key: 100, oauth_clients: 'approved', approved_clients: ['https://client.test/doc'] };
    assert.deepEqual(await policy(org, changed), { ...defaults, ...changed });
    assert.deepEqual(await policy(org, { rate_key: null, session_life_minutes: 60 }), { ...defaults, ...changed, rate_key: 0, session_life_minutes: 60 });
    assert.deepEqual((await tulle.use('ORGANIZATION_POLICY_GET', {}, org)).item, { ...defaults, ...changed, rate_key: 0, session_life_minutes: 60 });
    for (const bad of [{ session_idle_minutes: 1 }, { session_life_minutes: 100_000 }, { require_sso: 'yes' }, { other: 1 }, { rate_key: -1 }])
        await tulle.refuse('ORGANIZATION_POLICY_UPDATE', bad, org, 400);
    await tulle.refuse('ORGANIZATION_POLICY_UPDATE', { require_sso: true }, org, 422);
    await tulle.refuse('ORGANIZATION_POLICY_UPDATE', { provider_id: `idp_${'0'.repeat(32)}` }, org, 422);
    const person = await makePerson(tulle, 'member@plain.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: person.email, role: 'member' }, org);
    const member = { key: await tulle.makeKey('plain', person.email) };
    assert.equal((await tulle.use('ORGANIZATION_POLICY_GET', {}, member)).item.magic_links, false);
    await tulle.refuse('ORGANIZATION_POLICY_UPDATE', { magic_links: true }, member, [403, 404]);
});

test('changes made at the same time are all kept', async () => {
    const org = await makeOwner(tulle, 'busy');
    await Promise.all([{ rate_key: 7 }, { rate_connection: 8 }, { rate_organization: 9 }].map((change) => policy(org, change)));
    const { item } = await tulle.use('ORGANIZATION_POLICY_GET', {}, org);
    assert.deepEqual([item.rate_key, item.rate_connection, item.rate_organization], [7, 8, 9]);
});

test('[237] an organization that requires its provider refuses every other proof at once: sessions, tokens, refreshes, consent', async () => {
    const org = await withProvider('strict');
    const browser = await signedIn(tulle, org);
    const client = await makeClient(tulle);
    const wanted = { scope: 'mcp:manage offline_access', resource: `${home}/mcp` };
    const tokens = await obtainTokens(tulle, browser, client, wanted);
    const bearer = { key: tokens.access_token };
    assert.equal((await byCookie(browser, 'ORGANIZATION_GET', { organization_id: org.org_id })).status, 200);
    assert.equal((await tulle.tool('ORGANIZATION_GET', {}, bearer)).status, 200);
    const { item } = await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: org.idp.id, enforced: true }, org);
    assert.equal(item.enforced, true);
    assert.deepEqual([(await tulle.use('ORGANIZATION_POLICY_GET', {}, org)).item].map(({ require_sso, provider_id }) => [require_sso, provider_id]), [[true, org.idp.id]]);
    // On every worker: each request may reach another.
    await until('every worker refuses the token', async () =>
        (await Promise.all(Array.from({ length: 12 }, () => tulle.tool('ORGANIZATION_GET', {}, bearer)))).every(({ status }) => status === 401));
    for (const name of ['ORGANIZATION_GET', 'CONNECTION_LIST', 'API_KEY_CREATE']) {
        const { status, html } = await byCookie(browser, name, { organization_id: org.org_id, ...(name === 'API_KEY_CREATE' && { name: 'x' }) });
        assert.equal(status, 403, html);
        assert.match(html, /own provider/);
    }
    const { status, body } = await refresh(tulle, client, tokens.refresh_token);
    assert.deepEqual([status, body.error], [400, 'invalid_grant']);
    const page = await browser.open(`/oauth/authorize?${request(client, pkce(), wanted)}`);
    assert.equal(page.status, 403);
    assert.match(page.text, /Another sign-in is needed/);
    const way = /href="([^"]*\/auth\/oidc\/[^"]*)"/.exec(page.html)[1].replaceAll('&amp;', '&');
    assert.ok(way.startsWith(`/auth/oidc/${org.idp.id}/start?return_to=%2Foauth%2Fauthorize`), way);
    // And a client that asks without a person is told to sign in.
    const silent = await browser.request(`/oauth/authorize?${request(client, pkce(), { ...wanted, prompt: 'none' })}`);
    assert.match(silent.headers.location, /error=login_required/);
    // A password signs nobody in any more who has no other organization; keys are no sign-ins.
    const again = new Traveller(home);
    await again.open('/login');
    const { fields } = again.page.form('/login');
    await again.request('/login', { method: 'POST', body: new URLSearchParams({ ...fields, email: org.email, password: org.password }).toString() });
    assert.equal((await again.session()).user, null);
    assert.equal((await tulle.tool('ORGANIZATION_GET', {}, org)).status, 200);
    // Through the provider everything works, also what is granted then.
    const person = await throughProvider(org, org.email);
    assert.equal((await byCookie(person, 'ORGANIZATION_GET', { organization_id: org.org_id })).status, 200);
    const fresh = await obtainTokens(tulle, person, client, wanted);
    assert.equal((await tulle.tool('ORGANIZATION_GET', {}, { key: fresh.access_token })).status, 200);
    const rotated = await refresh(tulle, client, fresh.refresh_token);
    assert.equal(rotated.status, 200, rotated.text);
    guard(rotated.body.access_token, 'access token');
    guard(rotated.body.refresh_token, 'refresh token');
    // What is required cannot be taken away by mistake.
    await tulle.refuse('ORGANIZATION_SSO_DELETE', { provider_id: org.idp.id }, org, 422);
    await tulle.refuse('ORGANIZATION_SSO_UPDATE', { provider_id: org.idp.id, enabled: false }, org, 422);
    await policy(org, { require_sso: false, provider_id: null });
    await until('the old token works again', async () => (await tulle.tool('ORGANIZATION_GET', {}, bearer)).status === 200);
});

test('two factors: what one factor proved is refused, a provider that says it checked two is enough', async () => {
    const org = await withProvider('double');
    const browser = await signedIn(tulle, org);
    await policy(org, { require_two_factor: true });
    const { status, html } = await byCookie(browser, 'ORGANIZATION_GET', { organization_id: org.org_id });
    assert.equal(status, 403, html);
    assert.match(html, /two factors/);
    const strong = await throughProvider(org, org.email, { amr: ['pwd', 'mfa'] });
    assert.equal((await byCookie(strong, 'ORGANIZATION_GET', { organization_id: org.org_id })).status, 200);
});

/** What an organization's own provider proves of an operator who is a member elsewhere, too, by two factors. */
async function operatorThrough(slug) {
    const org = await withProvider(slug, '--operator');
    const other = await makeOwner(tulle, `not-${slug}`);
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: org.email, role: 'member' }, other);
    return { org, other, browser: await throughProvider(org, org.email, { amr: ['pwd', 'mfa'] }) };
}

test('what an organization\'s provider proves is no operator: not by cookie, by token or by a key made with it', async () => {
    const { org, browser } = await operatorThrough('reach');
    const victim = await makePerson(tulle, 'victim@reach.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: victim.email, role: 'member' }, org);
    const stop = { user_id: victim.user_id, disabled: true };
    assert.equal((await byCookie(browser, 'USER_UPDATE', stop)).status, 403);
    const client = await makeClient(tulle);
    const { access_token } = await obtainTokens(tulle, browser, client, { scope: 'mcp:manage', resource: `${tulle.url}/mcp` });
    assert.equal((await tulle.tool('USER_UPDATE', stop, { key: access_token })).status, 403);
    const named = { organization_id: org.org_id };
    const made = await byCookie(browser, 'API_KEY_CREATE', { ...named, name: 'k' });
    assert.equal(made.status, 403, made.html);
    const key_id = (await tulle.use('API_KEY_LIST', {}, org)).items[0].id;
    assert.equal((await byCookie(browser, 'API_KEY_ROTATE', { ...named, key_id })).status, 403);
    assert.equal((await tulle.tool('USER_UPDATE', { ...stop, disabled: false }, org)).status, 200, 'with a key from elsewhere they are');
});

test('a session that an organization\'s provider proved changes the password, and is still good there only', async () => {
    const { org, browser } = await operatorThrough('stay');
    const slugs = async () => (await browser.session()).organizations.map(({ slug }) => slug);
    assert.deepEqual(await slugs(), ['stay']);
    await browser.open('/account');
    const page = await browser.submit('/account/password', { current: org.password, password: plant('the next password of stay') });
    assert.match(page.text, /password is changed/);
    assert.deepEqual(await slugs(), ['stay']);
});

test('with such a session nobody removes other identities, accepts other invitations or adds an app beside a passkey', async () => {
    const { org, other, browser } = await operatorThrough('keep');
    sql(tulle, `INSERT INTO identities (id, provider_id, issuer, subject, org_id, user_id, email, created_at, last_used_at)
        SELECT 'idn_theirs', provider_id, 'https://else.example', 'x', '${other.org_id}', user_id, email, created_at + 1, created_at
        FROM identities WHERE user_id = '${org.user_id}'`);
    await browser.open('/account/identities');
    assert.equal((await browser.submit('/account/identities', {}, { having: { identity_id: 'idn_theirs' } })).status, 403);
    assert.equal(sql(tulle, `SELECT id FROM identities WHERE user_id = '${org.user_id}'`).length, 2);

    const third = await makeOwner(tulle, 'third-of-keep');
    const { url } = await tulle.use('ORGANIZATION_INVITATION_CREATE', { email: org.email, role: 'member' }, third);
    const { pathname } = new URL(url);
    await browser.open(pathname);
    assert.equal((await browser.submit(pathname)).status, 403);
    const { items } = await tulle.use('ORGANIZATION_MEMBER_LIST', {}, third);
    assert.deepEqual(items.map(({ email }) => email), [third.email]);

    sql(tulle, `INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, is_backup_eligible, is_backed_up, name, created_at)
        VALUES ('pk_keep', '${org.user_id}', 'keep', 'keep', 0, 0, 0, 'Mine', 1)`);
    await browser.open('/account/security');
    assert.equal((await browser.submit('/account/security/app')).status, 403);
    assert.deepEqual(sql(tulle, `SELECT user_id FROM user_totp WHERE user_id = '${org.user_id}'`), []);
});

test('the device flow: a decision counts only while its proof does', async () => {
    const org = await withProvider('devices');
    const browser = await signedIn(tulle, org);
    const client = await makeClient(tulle, { client_name: 'A television' });
    const asked = (await form(`${tulle.url}/oauth/device_authorization`, { client_id: client.client_id, resource: `${home}/mcp`, scope: 'mcp:manage' })).body;
    guard(asked.device_code, 'device code');
    await browser.open('/device');
    await browser.submit('/device', { user_code: asked.user_code });
    const { fields } = browser.page.form('/device');
    await browser.request('/device', { method: 'POST', body: new URLSearchParams({ ...fields, decision: 'allow' }).toString() });
    await policy(org, { require_sso: true });
    const poll = () => form(`${tulle.url}/oauth/token`, { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: asked.device_code, client_id: client.client_id });
    await until('the device is refused', async () => (await poll()).body.error === 'invalid_grant');
    const second = (await form(`${tulle.url}/oauth/device_authorization`, { client_id: client.client_id, resource: `${home}/mcp`, scope: 'mcp:manage' })).body;
    guard(second.device_code, 'device code');
    await browser.open('/device');
    await browser.submit('/device', { user_code: second.user_code });
    assert.match(browser.page.text, /Another sign-in is needed/);
});

test('sessions end by the policy: unused for too long, or too old', async () => {
    const org = await makeOwner(tulle, 'short');
    const browser = await signedIn(tulle, org);
    const user = async () => (await browser.session()).user;
    await policy(org, { session_idle_minutes: 10, session_life_minutes: 30 });
    const ends = (await tulle.use('SESSION_LIST', {}, org)).items.at(-1);
    assert.ok(Date.parse(ends.expires_at) - Date.parse(ends.last_seen_at) <= 600_000, JSON.stringify(ends));
    assert.deepEqual([ends.proof, ends.proof_organization_id, ends.two_factor], ['password', null, false]);
    for (let i = 0; i < 3; i++) {
        clock.advance(9 * 60);
        assert.ok(await user(), `used every nine minutes: ${i}`);
    }
    clock.advance(4 * 60);
    assert.equal(await user(), null, 'thirty minutes are over');
    await browser.signIn(org.email, org.password);
    assert.ok(await user());
    clock.advance(11 * 60);
    assert.equal(await user(), null, 'unused for eleven minutes');
});

test('of somebody with several organizations the strictest counts; a session that one proved lives as that one says', async () => {
    const org = await withProvider('lax');
    const strict = await makeOwner(tulle, 'tight');
    await policy(strict, { session_idle_minutes: 5 });
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: org.email, role: 'member' }, strict);
    const byPassword = await signedIn(tulle, org);
    const proved = await throughProvider(org, org.email);
    clock.advance(8 * 60);
    assert.equal((await byPassword.session()).user, null);
    assert.equal((await proved.session()).user?.email, org.email);
});
