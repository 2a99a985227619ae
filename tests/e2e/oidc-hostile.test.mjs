// An identity provider that signs correctly and says wrong things: nobody is signed in, nothing is fetched from where it points,
// and the page says so in plain words. Numbers in brackets: rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { send } from './lib/http.mjs';
import { makePerson } from './lib/oauth.mjs';
import { authConfig, LyingProvider, makeKey, nowS, providerIds, Traveller } from './lib/sso.mjs';
import { sql } from './lib/store.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard } from './lib/secrets.mjs';

const secret = guard('c1ient-secret-planted-here', 'client secret of a provider');
let tulle, home, liar, google, microsoft, github, other, ids;
const everyone = () => [liar, google, microsoft, github, other];

before(async () => {
    [liar, google, microsoft, github, other] = await Promise.all(Array.from({ length: 5 }, () => new LyingProvider().start()));
    const client = (provider) => ({ issuer: provider.issuer, clientId: 'tulle', clientSecret: secret });
    const { issuer } = github;
    tulle = await startTulle({ env: { ALLOW_REGISTRATION: 'true', AUTH_CONFIG: authConfig({ socialProviders: {
        liar: { ...client(liar), name: 'Liar' },
        other: { ...client(other), name: 'Other' },
        google: { ...client(google), hostedDomain: 'corp.test' },
        microsoft: { ...client(microsoft), tenantId: 'tenant-1' },
        github: { clientId: 'tulle', clientSecret: secret, authorizationEndpoint: `${issuer}/authorize`, tokenEndpoint: `${issuer}/token`,
            userinfoEndpoint: `${issuer}/user`, emailsEndpoint: `${issuer}/user/emails` },
    } }) } });
    home = `http://localhost:${tulle.port}`;
    const operator = new Traveller(home);
    const { email, password } = await makePerson(tulle, 'root@home.test', '--operator');
    await operator.signIn(email, password);
    ids = await providerIds(operator);
    assert.deepEqual(Object.keys(ids).sort(), ['GitHub', 'Google', 'Liar', 'Microsoft', 'Other']);
});
after(async () => {
    await tulle?.end();
    await Promise.all(everyone().map((provider) => provider?.end()));
});

const sessionOf = async (browser) => (await browser.session()).user;

/** One sign-in with lies. */
async function attempt(provider, id, plan = {}, options = {}) {
    provider.plan = plan;
    const browser = new Traveller(home);
    const page = await browser.travel(provider, id, options).finally(() => (provider.plan = {}));
    return { page, browser, user: await sessionOf(browser) };
}

/** An account whose owner has shown that they read its address. */
async function makeProven(email) {
    const person = await makePerson(tulle, email);
    sql(tulle, `UPDATE users SET email_verified_at = 1 WHERE id = '${person.user_id}'`);
    return person;
}

async function refused(plan, options = {}, status = 502) {
    const { page, user } = await attempt(liar, ids.Liar, plan, options);
    const what = JSON.stringify({ plan, options });
    assert.equal(user, null, `signed in: ${what}`);
    assert.ok([status].flat().includes(page.status), `${page.status} for ${what}: ${page.text}`);
    assert.doesNotMatch(page.html, /session|stack|error_description/i);
    return page;
}
const claims = (lies) => refused({ claims: lies });

test('an honest answer signs in, so the others fail for what they say', async () => {
    const { page, user } = await attempt(liar, ids.Liar, {}, { query: '?return_to=/account' });
    assert.equal(page.status, 303, page.text);
    assert.equal(page.headers.location, '/account');
    assert.equal(user.email, 'ada@example.test');
    const { form, authorization } = liar.seen.token.at(-1);
    assert.equal(authorization, `Basic ${Buffer.from(`tulle:${encodeURIComponent(secret)}`).toString('base64')}`);
    assert.equal(form.client_secret, undefined);
    assert.equal(form.redirect_uri, `${home}/auth/oidc/${ids.Liar}/callback`);
});

test('[186] a state that is missing, wrong, used, or of another browser', async () => {
    const browser = new Traveller(home), stranger = new Traveller(home);
    const asked = await browser.leave(ids.Liar);
    assert.ok(Buffer.from(asked.state, 'base64url').length >= 32);
    assert.equal(asked.code_challenge_method, 'S256');
    assert.ok(asked.nonce.length >= 43);
    for (const state of [null, '', 'x', `${asked.state}x`]) assert.equal((await browser.arrive(liar, ids.Liar, asked, { state })).status, 400);
    assert.equal((await stranger.arrive(liar, ids.Liar, asked)).status, 400, 'without the cookie');
    await stranger.leave(ids.Liar);
    assert.equal((await stranger.arrive(liar, ids.Liar, asked)).status, 400, 'with another cookie');
    assert.equal((await browser.arrive(liar, ids.Liar, asked)).status, 303, 'what others tried used nothing up');
    assert.equal((await browser.arrive(liar, ids.Liar, asked)).status, 400, 'twice');
    assert.equal(await sessionOf(stranger), null);
});

test('[187] code, state, iss or error twice', async () => {
    const browser = new Traveller(home);
    const asked = await browser.leave(ids.Liar);
    for (const [name, value] of Object.entries({ code: ['a', 'b'], state: [asked.state, asked.state], iss: [liar.issuer, liar.issuer], error: ['a', 'b'] }))
        assert.equal((await browser.arrive(liar, ids.Liar, asked, { [name]: value })).status, 400, name);
    assert.equal(await sessionOf(browser), null);
});

test('[188] iss missing though promised, or another; the answer of one provider at the address of another (mix-up)', async () => {
    for (const iss of [null, '', other.issuer, `${liar.issuer}/`]) await refused({}, { answer: { iss } }, 400);
    const browser = new Traveller(home);
    const asked = await browser.leave(ids.Liar);
    assert.equal((await browser.arrive(other, ids.Other, asked)).status, 400);
    assert.equal(await sessionOf(browser), null);
});

test('[189] an error of the provider is a plain page that repeats nothing', async () => {
    const evil = '<script>alert(1)</script>';
    const page = await refused({}, { answer: { code: null, error: evil, error_description: evil, error_uri: 'https://evil.example' } }, 403);
    assert.doesNotMatch(page.html, /alert|evil/);
    assert.match((await refused({}, { answer: { code: null, error: 'access_denied' } }, 403)).text, /denied/);
    await refused({}, { answer: { code: null } }, 400);
});

test('[190] alg none, HS256 with the client secret, HS256 with the public key', async () => {
    const pem = liar.keys[0].publicKey.export({ type: 'spki', format: 'pem' });
    for (const how of [{ alg: 'none', signature: '' }, { alg: 'none', signature: 'AA' }, { alg: 'None', signature: 'AA' }, { alg: 'HS256', mac: secret },
        { alg: 'HS256', mac: pem }, { alg: 'HS256', mac: liar.keys[0].jwk.n }, { alg: 'RS256', signature: 'AA' }, { alg: 'rs256' }, { alg: 'RS384' }, { alg: 'RS512' }])
        await refused({ sign: how });
});

test('[191] another key, an unknown kid, keys in the header, crit; nothing is fetched from there', async () => {
    const mine = makeKey('mine');
    await refused({ sign: { key: { ...mine, kid: liar.keys[0].kid } } });
    await refused({ sign: { key: mine } });
    await refused({ sign: { key: mine }, header: { jwk: mine.jwk } });
    await refused({ sign: { key: mine }, header: { jku: `${liar.issuer}/evil-jwks`, x5u: `${liar.issuer}/evil-x5u` } });
    await refused({ sign: { key: mine }, header: { x5c: [Buffer.from('x').toString('base64')] } });
    await refused({ header: { crit: ['exp'] } });
    await refused({ header: { typ: 'at+jwt' } });
    await refused({ header: { typ: 'logout+jwt' } });
    assert.deepEqual(liar.seen.other, []);
});

test('[192] a nonce that is missing, wrong, or no text', async () => {
    for (const nonce of [undefined, '', 'x', 1, null, ['x']]) await claims({ nonce });
});

test('[193] aud of another client, several without azp, azp of another', async () => {
    for (const aud of [undefined, 'evil', [], ['evil'], {}, 1, ['tulle', 'evil'], ['tulle', 1], 'tulle ']) await claims({ aud });
    await claims({ aud: ['tulle', 'evil'], azp: 'evil' });
    await claims({ azp: 'evil' });
    const { user } = await attempt(liar, ids.Liar, { claims: { aud: ['tulle', 'friend'], azp: 'tulle' } });
    assert.equal(user.email, 'ada@example.test');
});

test('[194] iss, exp and iat that are wrong, missing, absurd, or text', async () => {
    for (const iss of [undefined, other.issuer, `${liar.issuer}/`, liar.issuer.toUpperCase(), '', null]) await claims({ iss });
    for (const exp of [undefined, nowS() - 3600, 0, -1, 1e300, String(nowS() + 300), null, true]) await claims({ exp });
    for (const iat of [undefined, nowS() + 86400, nowS() - 3600, '1', null]) await claims({ iat });
    for (const nbf of [nowS() + 3600, 'x']) await claims({ nbf });
    await claims({ at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' });
    await claims({ at_hash: 1 });
});

test('[195] sub missing, a number, empty, too long, not ASCII', async () => {
    for (const sub of [undefined, 1, '', 'x'.repeat(256), 'x'.repeat(100_000), 'ådä', 'a\nb', null]) await claims({ sub });
});

test('[196] an address that is not verified links to nobody; only the boolean true counts', async () => {
    const victim = await makeProven('victim@example.test');
    for (const email_verified of [false, 'true', 1, undefined, null]) {
        const { page, user } = await attempt(liar, ids.Liar, { claims: { sub: 'mallory', email: victim.email, email_verified } });
        assert.equal(user, null);
        assert.equal(page.status, 403, page.text);
    }
    const { user } = await attempt(liar, ids.Liar, { claims: { sub: 'victim', email: 'Victim@Example.TEST' } });
    assert.equal(user.email, victim.email, 'a verified one does');
    const second = await attempt(liar, ids.Liar, { claims: { sub: 'mallory', email: victim.email } });
    assert.equal(second.user, null, 'an account has one subject at a provider');
});

test('[196] an account that somebody made in advance, its address never proven, is not shared with the owner of the address', async () => {
    const squatter = await makePerson(tulle, 'owner-of-it@example.test');
    const { page, user } = await attempt(liar, ids.Liar, { claims: { sub: 'owner', email: squatter.email } });
    assert.equal(user, null);
    assert.equal(page.status, 403);
});

test('[197] look-alike and ill-formed addresses link to nobody', async () => {
    await makeProven('mike@example.test');
    for (const email of ['mıke@example.test', 'mike@example.test\r\nBcc: x@y.test', 'mike@exаmple.test', ' mike@example.test', 'mike', '', {}, ['mike@example.test']]) {
        const { page, user } = await attempt(liar, ids.Liar, { claims: { sub: 'fake', email } });
        assert.equal(user, null, JSON.stringify(email));
        assert.equal(page.status, 403);
    }
});

test('[198] user information about somebody else', async () => {
    const metadata = { userinfo_endpoint: `${other.issuer}/userinfo` };
    other.plan = { metadata, claims: { email: undefined, email_verified: undefined }, userinfo: { sub: 'eve', email: 'eve@example.test', email_verified: true } };
    const browser = new Traveller(home);
    const page = await browser.travel(other, ids.Other);
    assert.equal(page.status, 502, page.text);
    assert.equal(await sessionOf(browser), null);
    for (const userinfo of [{}, { email: 'x@y.test' }, { sub: '' }]) {
        other.plan.userinfo = userinfo;
        assert.equal((await browser.travel(other, ids.Other)).status, 502);
    }
    other.plan.userinfo = { sub: 'ada', email: 'other-ada@example.test', email_verified: true };
    assert.equal((await browser.travel(other, ids.Other)).status, 303);
    assert.equal((await sessionOf(browser)).email, 'other-ada@example.test');
    other.plan = {};
});

test('[199] a token endpoint that fails, talks nonsense, floods, redirects or is silent', async () => {
    const raw = (status, type, body, headers = {}) => ({ '/token': (req, res) => res.writeHead(status, { 'content-type': type, ...headers }).end(body) });
    await refused(raw(500, 'application/json', '{}'));
    await refused(raw(200, 'text/html', '<h1>Hello</h1>'));
    await refused(raw(200, 'application/json', '[]'));
    await refused(raw(200, 'application/json', '{"access_token":"x","token_type":"Bearer"}'));
    await refused(raw(200, 'application/json', '{"access_token":"x","token_type":"mac","id_token":"x"}'));
    await refused(raw(200, 'application/json', JSON.stringify({ error: 'x', access_token: 1 })));
    await refused(raw(307, 'text/plain', '', { location: `${liar.issuer}/stolen` }));
    await refused(raw(200, 'application/json', `{"a":"${'x'.repeat(5_000_000)}"}`),);
    await refused({ token: (good, res, json) => json(200, { ...good, id_token: `${good.id_token}${'A'.repeat(30_000)}` }) });
    await refused({ token: (good, res, json) => json(200, { ...good, id_token: 1 }) });
    assert.ok(!liar.seen.other.includes('/stolen'));
    const begun = Date.now();
    const page = await refused({ '/token': () => {} }, {}, 504);
    assert.match(page.text, /did not answer in time/);
    assert.ok(Date.now() - begun < 30_000);
    assert.equal((await send(`${tulle.url}/health`, { method: 'GET' })).status, 200);
});

test('[200] metadata of another issuer, endpoints at private hosts, redirects', async () => {
    const redirect = (req, res) => res.writeHead(302, { location: `${liar.issuer}/.well-known/openid-configuration` }).end();
    const lies = [{ metadata: { issuer: 'https://evil.example' } }, { metadata: { token_endpoint: 'http://169.254.169.254/token' } },
        { metadata: { jwks_uri: 'http://10.0.0.1/jwks' } }, { metadata: { jwks_uri: 'file:///etc/passwd' } }, { metadata: { token_endpoint: undefined } },
        { '/.well-known/openid-configuration': redirect }];
    const providers = await Promise.all(lies.map(async (plan) => Object.assign(await new LyingProvider().start(), { plan })));
    const socialProviders = Object.fromEntries(providers.map(({ issuer }, n) => [`lie-${n}`, { issuer, clientId: 'tulle', clientSecret: secret }]));
    const own = await startTulle({ env: { AUTH_CONFIG: authConfig({ socialProviders }) } });
    try {
        const { email, password } = await makePerson(own, 'a@b.test', '--operator');
        const browser = new Traveller(`http://localhost:${own.port}`);
        await browser.signIn(email, password);
        const found = await providerIds(browser);
        assert.equal(Object.keys(found).length, lies.length);
        for (const [name, id] of Object.entries(found)) {
            const page = await browser.request(`/auth/oidc/${id}/start`);
            assert.ok(page.status >= 400, `${name}: ${page.status}`);
            assert.equal(page.headers.location, undefined);
        }
    } finally {
        await own.end();
        await Promise.all(providers.map((provider) => provider.end()));
    }
});

test('[201] a flood of unknown keys is at most one fetch a minute', async () => {
    const before = liar.seen.jwks;
    for (let i = 0; i < 30; i++) await refused({ sign: { key: makeKeyOnce(i) } });
    assert.ok(liar.seen.jwks - before <= 1, `${liar.seen.jwks - before} fetches`);
    const { user } = await attempt(liar, ids.Liar);
    assert.equal(user.email, 'ada@example.test', 'the good key still works');
});
const spare = makeKey('spare');
const makeKeyOnce = (i) => ({ ...spare, kid: `unknown-${i}` });

test('[203] a token of another Entra tenant, or of any tenant; an Entra address proves nothing', async () => {
    const email = 'entra@example.test';
    for (const lies of [{ tid: 'tenant-2' }, {}, { tid: 'tenant-1', iss: 'https://login.microsoftonline.com/{tenantid}/v2.0' }]) {
        const { user } = await attempt(microsoft, ids.Microsoft, { claims: { email, ...lies } });
        assert.equal(user, null);
    }
    await makeProven(email);
    const unproven = await attempt(microsoft, ids.Microsoft, { claims: { tid: 'tenant-1', email, email_verified: true } });
    assert.equal(unproven.user, null, 'not even with email_verified');
    const proven = await attempt(microsoft, ids.Microsoft, { claims: { tid: 'tenant-1', email, xms_edov: true } });
    assert.equal(proven.user.email, email);
});

test('[203] an issuer for any tenant is refused when the server starts', async () => {
    for (const issuer of ['https://login.microsoftonline.com/common/v2.0', 'https://login.microsoftonline.com/{tenantid}/v2.0']) {
        const start = startTulle({ env: { AUTH_CONFIG: authConfig({ socialProviders: { microsoft: { issuer, tenantId: 'x', clientId: 'c', clientSecret: secret } } }) } });
        await assert.rejects(start, /AUTH_CONFIG: socialProviders\.microsoft: issuer is /);
    }
});

test('Google: another Workspace domain, and an address that Google does not speak for', async () => {
    for (const lies of [{}, { hd: 'evil.test' }, { hd: ['corp.test'] }]) {
        const { user } = await attempt(google, ids.Google, { claims: { email: 'g@corp.test', ...lies } });
        assert.equal(user, null);
    }
    const victim = await makeProven('vip@elsewhere.test');
    assert.equal((await attempt(google, ids.Google, { claims: { sub: 'g2', email: victim.email, hd: 'corp.test' } })).user, null);
    assert.equal((await attempt(google, ids.Google, { claims: { email: 'g@corp.test', hd: 'corp.test' } })).user.email, 'g@corp.test');
});

test('[204] GitHub says 200 with an error; an address that is not primary and verified', async () => {
    const user = { id: 4711, login: 'octo', name: 'Octo' };
    const go = (plan) => attempt(github, ids.GitHub, plan);
    const emails = (...list) => list.map(([email, primary, verified]) => ({ email, primary, verified }));
    const good = emails(['octo@example.test', true, true]);
    assert.equal((await go({ token: (x, res, json) => json(200, { error: 'bad_verification_code', error_description: 'no' }) })).user, null);
    assert.equal((await go({ user: { error: 'x' }, emails: good })).user, null);
    for (const id of [undefined, '4711', 0, -1, 1.5, null]) assert.equal((await go({ user: { ...user, id }, emails: good })).user, null);
    const victim = await makeProven('dev@example.test');
    for (const list of [emails([victim.email, true, false]), emails([victim.email, true, 'true']), emails([victim.email, false, true]), {}, []])
        assert.equal((await go({ user, emails: list })).user, null);
    const { page, user: person } = await go({ user, emails: emails(['second@example.test', false, true], ['octo@example.test', true, true]) });
    assert.equal(page.status, 303, page.text);
    assert.equal(person.email, 'octo@example.test');
    assert.equal((await go({ user: { ...user, login: 'renamed' }, emails: [] })).user.email, 'octo@example.test', 'known by the number');
    assert.equal(github.seen.token.at(-1).form.client_secret, secret);
    assert.match(github.seen.userinfo.at(-1).authorization, /^Bearer at/);
});

test('the provider ends the sessions that it proved, by person or by session, and nobody else ends any', async () => {
    const signIn = async (lies, at = liar, id = ids.Liar) => {
        const { page, browser, user } = await attempt(at, id, { claims: lies, userinfo: { sub: 'ada' } });
        assert.ok(user, page.text);
        return browser;
    };
    const one = await signIn({ sid: 's1' }), two = await signIn({ sid: 's2' });
    const elsewhere = await signIn({ email: 'ada2@example.test' }, other, ids.Other);
    const day = 86_400;
    const wrong = [
        { iss: 'https://else.test' }, { aud: 'another' }, { exp: nowS() - day }, { exp: undefined }, { iat: nowS() - day }, { iat: nowS() + day }, { jti: undefined },
        { nonce: 'n' }, { events: undefined }, { events: {} }, { events: { 'http://schemas.openid.net/event/backchannel-logout': true } },
        { sub: undefined }, { sub: 7 }, { sub: '' }, { sid: ['s1'] },
    ].map((lies) => liar.logout(home, ids.Liar, lies));
    wrong.push(liar.logout(home, ids.Liar, {}, { header: { typ: 'at+jwt' } }), liar.logout(home, ids.Liar, {}, { header: { alg: 'none' }, sign: { signature: '' } }),
        liar.logout(home, ids.Liar, {}, { sign: { key: makeKey(liar.keys[0].kid) } }), other.logout(home, ids.Liar), liar.logout(home, ids.Other));
    for (const { send: post, token } of wrong) {
        const answer = await post();
        const what = Buffer.from(token.split('.')[1], 'base64url').toString();
        assert.equal(answer.status, 400, what);
        assert.deepEqual(await answer.json(), { error: 'invalid_request', error_description: 'the logout token was refused' }, what);
    }
    for (const browser of [one, two, elsewhere]) assert.ok(await sessionOf(browser), 'nobody was signed out by a lie');

    const bySession = liar.logout(home, ids.Liar, { sid: 's1', sub: undefined });
    const answer = await bySession.send();
    assert.equal(answer.status, 200, await answer.text());
    assert.match(answer.headers.get('cache-control'), /no-store/);
    assert.equal(await sessionOf(one), null);
    assert.ok(await sessionOf(two));
    assert.equal((await bySession.send()).status, 400, 'a token works once');
    assert.equal((await liar.logout(home, ids.Liar, { sub: 'nobody-we-know' }).send()).status, 200);
    assert.ok(await sessionOf(two));
    assert.equal((await liar.logout(home, ids.Liar).send()).status, 200);
    assert.equal(await sessionOf(two), null);
    assert.ok(await sessionOf(elsewhere), 'another provider proved that one');
});

test('who leaves while a provider does not answer costs a worker nothing', async () => {
    const deaf = await new LyingProvider().start();
    let asked;
    const arrived = new Promise((resolve) => (asked = resolve));
    deaf.plan = { '/.well-known/openid-configuration': () => asked() };
    const one = await startTulle({ env: { WORKERS: '1', AUTH_CONFIG: authConfig({ socialProviders: {
        deaf: { issuer: deaf.issuer, clientId: 'tulle', clientSecret: secret, name: 'Deaf' } } }) } });
    try {
        const [{ id }] = sql(one, 'SELECT id FROM sso_providers');
        const leaving = new AbortController();
        const left = fetch(`http://localhost:${one.port}/auth/oidc/${id}/start`, { redirect: 'manual', signal: leaving.signal }).catch(() => 'left');
        await arrived;
        leaving.abort();
        assert.equal(await left, 'left');
        const answer = await fetch(`http://localhost:${one.port}/login`, { signal: AbortSignal.timeout(5_000) });
        assert.equal(answer.status, 200);
    } finally {
        await one.kill9();
        await deaf.end();
    }
});
