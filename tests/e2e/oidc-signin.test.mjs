// People sign in through OpenID providers: the certified npm oidc-provider, for the installation and for one organization, by
// every kind of client authentication and signature; linking, groups, and what one organization's provider may not do.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { onward } from './lib/browser.mjs';
import { repoDir, until } from './lib/children.mjs';
import { Dns } from './lib/dns.mjs';
import { arriveBack, authorizeAt } from './lib/downstream.mjs';
import { makeOwner, makePerson } from './lib/oauth.mjs';
import { startOpenIdProvider } from './lib/servers.mjs';
import { guard } from './lib/secrets.mjs';
import { authConfig, LyingProvider, providerIds, Traveller } from './lib/sso.mjs';
import { ageProofs, sql } from './lib/store.mjs';
import { startTulle } from './lib/tulle.mjs';

const secret = guard('c1ient-secret-of-oidc-signin', 'client secret of a provider');
const kinds = {
    basic: {}, post: { tokenAuth: 'client_secret_post' }, public: { tokenAuth: 'none' }, 'ps256': { algorithms: ['PS256'] }, 'es256': {},
    'es384': { algorithms: ['ES384'] }, eddsa: {}, strict: { algorithms: ['ES256'] },
};
let tulle, home, provider, dns, liar, acme, other, ids, corp;

before(async () => {
    [dns, liar, provider] = await Promise.all([new Dns().start(), new LyingProvider().start(), startOpenIdProvider()]);
    const issuer = provider.origin;
    const socialProviders = Object.fromEntries(Object.entries(kinds).map(([slot, more]) =>
        [slot, { issuer, clientId: slot, ...(slot !== 'public' && { clientSecret: secret }), ...more }]));
    tulle = await startTulle({ env: { ALLOW_REGISTRATION: 'true', DNS_SERVER: dns.address, AUTH_CONFIG: authConfig({ socialProviders }) } });
    home = `http://localhost:${tulle.port}`;
    acme = await makeOwner(tulle, 'acme');
    other = await makeOwner(tulle, 'other');
    const browser = new Traveller(home);
    await browser.signIn(acme.email, acme.password);
    ids = await providerIds(browser);
    corp = (await tulle.use('ORGANIZATION_SSO_CREATE', { type: 'oidc', name: 'Corp', issuer, client_id: 'corp', client_secret: secret,
        scopes: ['openid', 'email', 'profile', 'groups'], group_roles: { 'tulle-admins': 'admin' } }, acme)).item;
    const client = (client_id, more = {}) => ({ client_id, client_secret: secret, redirect_uris: [`${home}/auth/oidc/${ids[client_id] ?? corp.id}/callback`], ...more });
    await provider.setClients([client('basic', { backchannel_logout_uri: `${tulle.url}/auth/oidc/${ids.basic}/backchannel_logout` }), client('corp'), client('strict'), client('post', { token_endpoint_auth_method: 'client_secret_post' }),
        { ...client('public'), client_secret: undefined, token_endpoint_auth_method: 'none' },
        ...['PS256', 'ES256', 'ES384', 'EdDSA'].map((alg) => client(alg.toLowerCase(), { id_token_signed_response_alg: alg }))]);
});
after(async () => {
    await tulle?.end();
    await Promise.all([dns?.end(), liar?.end(), provider?.stop()]);
});

/** There and back as somebody; the page where that ends. */
async function signIn(browser, id, who, query = '') {
    const page = await browser.request(`/auth/oidc/${id}/start?login_hint=${who}${query}`);
    assert.equal(page.status, 303, page.text);
    const back = await authorizeAt(onward(page), home);
    return browser.request(back.pathname + back.search);
}
const userOf = async (browser) => (await browser.session()).user;

test('every client authentication and signature signs the same person in', async () => {
    let first;
    for (const name of ['basic', 'post', 'public', 'ps256', 'es256', 'es384', 'eddsa']) {
        const browser = new Traveller(home);
        const page = await signIn(browser, ids[name], 'alice', '&return_to=/account/connections');
        assert.equal(page.status, 303, `${name}: ${page.text}`);
        assert.equal(page.headers.location, '/account/connections');
        const user = await userOf(browser);
        assert.deepEqual([user.email, user.name], ['alice@corp.test', 'Alice']);
        first ??= user.id;
        assert.equal(user.id, first, 'by the verified address');
    }
});

test('who signs out at the provider is signed out here', async () => {
    const alice = new Traveller(home), again = new Traveller(home);
    await signIn(alice, ids.basic, 'alice');
    await signIn(again, ids.public, 'alice');
    assert.ok(await userOf(alice) && await userOf(again));
    const told = await provider.logout({ client_id: 'basic', sub: 'alice', sid: 'any' });
    assert.equal(told.status, 200, await told.text());
    await until('the session ends', async () => await userOf(alice) === null);
    assert.ok(await userOf(again), 'the provider said so of one client');
});

test('a signature of another kind than the configured ones is refused', async () => {
    const browser = new Traveller(home);
    const page = await signIn(browser, ids.strict, 'alice');
    assert.equal(page.status, 502);
    assert.match(page.text, /algorithm/);
    assert.equal(await userOf(browser), null);
});

test('the sign-in page offers the providers, and Back to where one came from is kept', async () => {
    const browser = new Traveller(home);
    const page = await browser.open('/login?return_to=/account/connections');
    for (const id of Object.values(ids)) assert.ok(page.html.includes(`/auth/oidc/${id}/start`), page.html);
    assert.ok(!page.html.includes(corp.id), 'an organization\'s are not for everybody');
});

test('who says no at the provider is told so; an unknown or SAML-shaped provider is nothing', async () => {
    const browser = new Traveller(home);
    const page = await signIn(browser, ids.basic, 'deny');
    assert.equal(page.status, 403);
    assert.match(page.text, /denied/);
    for (const id of [`idp_${'0'.repeat(32)}`, 'idp_x', 'basic', '..']) assert.equal((await browser.request(`/auth/oidc/${id}/start`)).status, 404);
    assert.equal(await userOf(browser), null);
});

test('an identity is linked from the account page, signs in, and is removed', async () => {
    const person = await makePerson(tulle, 'carol@home.test');
    const browser = new Traveller(home);
    await browser.signIn(person.email, person.password);
    await browser.open('/account/identities');
    const { fields } = browser.page.form('/account/identities', { provider_id: ids.basic });
    const sent = await browser.request('/account/identities', { method: 'POST', body: new URLSearchParams(fields).toString() });
    assert.equal(sent.status, 200, 'a page that goes on: no form leads elsewhere by redirect');
    const address = new URL(onward(sent));
    address.searchParams.set('login_hint', 'stranger');
    const page = await arriveBack(browser, await authorizeAt(address.href, home));
    assert.match(page.text, /Linked/);
    assert.match(page.text, /stranger@else\.test/);

    const again = new Traveller(home);
    await signIn(again, ids.basic, 'stranger');
    assert.equal((await userOf(again)).email, person.email, 'the account keeps its own address');

    const forged = await browser.request('/account/identities', { method: 'POST', body: new URLSearchParams({ ...fields, csrf_token: 'x' }).toString() });
    assert.equal(forged.status, 403);
    await browser.open('/account/identities');
    const { identity_id } = browser.page.forms().find((form) => form.fields.identity_id).fields;
    const thief = new Traveller(home);
    await thief.signIn(other.email, other.password);
    await thief.open('/account/identities');
    const { csrf_token } = thief.page.form('/account/identities').fields;
    const tried = await thief.request('/account/identities', { method: 'POST', body: new URLSearchParams({ csrf_token, identity_id }).toString() });
    assert.equal(tried.status, 404, 'another\'s');
    await browser.submit('/account/identities', {}, { having: { identity_id } });
    assert.match(browser.page.text, /Removed/);
    assert.equal(await userOf(again), null, 'what it had proved is over');
});

test('an organization\'s provider makes members of its proven domain only, with roles by group', async () => {
    const stranger = new Traveller(home);
    const refused = await signIn(stranger, corp.id, 'bob');
    assert.equal(refused.status, 403, refused.text);
    assert.match(refused.text, /invite/);
    const { item } = await tulle.use('ORGANIZATION_DOMAIN_ADD', { domain: 'corp.test', provider_id: corp.id }, acme);
    dns.set(item.txt_name, item.txt_value);
    await tulle.use('ORGANIZATION_DOMAIN_VERIFY', { domain: 'corp.test' }, acme);

    const outsider = await signIn(new Traveller(home), corp.id, 'stranger');
    assert.equal(outsider.status, 403, 'an address of no domain of theirs');
    const impostor = new Traveller(home);
    assert.equal((await signIn(impostor, corp.id, 'unverified')).status, 403, 'alice\'s address, not verified');

    const bob = new Traveller(home), alice = new Traveller(home);
    assert.equal((await signIn(bob, corp.id, 'bob')).status, 303);
    assert.deepEqual((await bob.session()).organizations.map(({ slug, role }) => [slug, role]), [['acme', 'member']]);
    assert.equal((await signIn(alice, corp.id, 'alice')).status, 303);
    const { items } = await tulle.use('ORGANIZATION_MEMBER_LIST', {}, acme);
    assert.deepEqual(items.map(({ email }) => email).sort(), ['alice@corp.test', 'bob@corp.test', acme.email]);
    for (const wanted of ['ok', 'denied'])
        await until(`the audit has a sign-in that is ${wanted}`, async () => (await tulle.use('ORGANIZATION_AUDIT_LIST', { limit: 100 }, acme)).items
            .some(({ method, name, outcome }) => method === 'signin' && name === 'oidc' && outcome === wanted));
});

test('who was removed does not come back by the provider alone', async () => {
    const { items } = await tulle.use('ORGANIZATION_MEMBER_LIST', {}, acme);
    const { user_id } = items.find(({ email }) => email === 'bob@corp.test');
    await tulle.use('ORGANIZATION_MEMBER_REMOVE', { user_id }, acme);
    const bob = new Traveller(home);
    const page = await signIn(bob, corp.id, 'bob');
    assert.equal(page.status, 403);
    assert.match(page.text, /not a member .* any more/);
    await tulle.use('ORGANIZATION_INVITATION_CREATE', { email: 'bob@corp.test', role: 'member' }, acme);
    assert.equal((await signIn(bob, corp.id, 'bob')).status, 303, 'invited again');
});

test('[202] what the provider of one organization says of a person of another is good in its own at most', async () => {
    const evil = (await tulle.use('ORGANIZATION_SSO_CREATE', { type: 'oidc', name: 'Evil', issuer: liar.issuer, client_id: 'tulle', client_secret: secret }, other)).item;
    for (const email of [acme.email, 'alice@corp.test', 'new@corp.test']) {
        liar.plan = { claims: { sub: email, email } };
        const browser = new Traveller(home);
        const page = await browser.travel(liar, evil.id);
        assert.equal(page.status, 403, `${email}: ${page.text}`);
        assert.equal(await userOf(browser), null);
    }
    await tulle.use('ORGANIZATION_INVITATION_CREATE', { email: 'new@else.test', role: 'member' }, other);
    liar.plan = { claims: { sub: 'n', email: 'new@else.test' } };
    const browser = new Traveller(home);
    assert.equal((await browser.travel(liar, evil.id)).status, 303);
    await browser.open('/account/identities');
    for (const { fields } of browser.page.forms()) assert.ok(!Object.values(ids).includes(fields.provider_id), 'no way out to identities that are good everywhere');
    const { csrf_token } = browser.page.form('/account/identities').fields;
    const out = await browser.request('/account/identities', { method: 'POST', body: new URLSearchParams({ csrf_token, provider_id: ids.basic }).toString() });
    assert.equal(out.status, 403);
});

/** A dangerous tool with the cookie of a browser: 200 if the proof is fresh, else what is asked for. */
async function makeKey(browser, org) {
    const { csrf_token } = await browser.session();
    const answer = await browser.request('/api/tools/API_KEY_CREATE', { method: 'POST', body: JSON.stringify({ organization_id: org.org_id, name: 'by cookie' }),
        headers: { 'content-type': 'application/json', 'x-csrf-token': csrf_token } });
    const { key, error } = JSON.parse(answer.html);
    if (key) guard(key, 'a key made by cookie');
    return error?.code ?? answer.status;
}
/** From the page that asks for a fresh proof to the provider: the address that the browser is sent to. */
async function again(browser) {
    const page = await browser.open('/account/security');
    assert.equal(page.path, '/login/again');
    const link = /href="(\/login\/again\/provider\?[^"]*)"/.exec(page.html)[1].replaceAll('&amp;', '&');
    const sent = await browser.request(link);
    assert.equal(sent.status, 303, sent.text);
    return new URL(sent.headers.location);
}

test('dangerous acts ask for a fresh proof, which the provider gives: of the same person, who signed in there again', async () => {
    const alice = new Traveller(home);
    await signIn(alice, ids.basic, 'alice');
    assert.equal(await makeKey(alice, acme), 200);
    ageProofs(tulle);
    assert.equal(await makeKey(alice, acme), 'reauthentication_required');

    const address = await again(alice);
    assert.deepEqual(['prompt', 'max_age'].map((name) => address.searchParams.get(name)), ['login', '0']);
    address.searchParams.set('login_hint', 'stranger');
    const other = await authorizeAt(address.href, home);
    assert.equal((await alice.request(other.pathname + other.search)).status, 403, 'somebody else there');
    assert.equal(await makeKey(alice, acme), 'reauthentication_required');

    const mine = await again(alice);
    mine.searchParams.set('login_hint', 'alice');
    const old = new Map(alice.jar);
    const back = await authorizeAt(mine.href, home);
    const page = await alice.request(back.pathname + back.search);
    assert.deepEqual([page.status, page.headers.location], [303, '/account/security'], page.text);
    assert.equal(await makeKey(alice, acme), 200);
    const thief = new Traveller(home);
    for (const [name, value] of old) thief.jar.set(name, value);
    assert.equal(await userOf(thief), null, 'the old cookie is worthless');
});

test('a provider that did not ask the person again proves nothing anew', async () => {
    const evil = (await tulle.use('ORGANIZATION_SSO_LIST', {}, other)).items[0];
    liar.plan = { claims: { sub: 'n', email: 'new@else.test' } };
    const browser = new Traveller(home);
    await browser.travel(liar, evil.id);
    ageProofs(tulle);
    const now = Math.floor(Date.now() / 1000);
    for (const [auth_time, status] of [[undefined, 502], [now - 3600, 502], [`${now}`, 502], [now, 303]]) {
        const address = await again(browser);
        liar.plan = { claims: { sub: 'n', email: 'new@else.test', auth_time } };
        const page = await browser.arrive(liar, evil.id, Object.fromEntries(address.searchParams));
        assert.equal(page.status, status, `${auth_time}: ${page.text}`);
    }
    assert.equal((await browser.open('/account/security')).path, '/account/security');
    liar.plan = {};
});

test('groups that do not fit into the token are fetched from the provider, and from nowhere else', async () => {
    const evil = (await tulle.use('ORGANIZATION_SSO_LIST', {}, other)).items[0];
    const overage = (endpoint) => ({ claims: { sub: 'n', email: 'new@else.test', _claim_names: { groups: 's' }, _claim_sources: { s: { endpoint } } } });
    let pages = 0;
    liar.plan = { ...overage(`${liar.issuer}/groups`), '/groups': (req, res, json) => {
        assert.match(req.headers.authorization, /^Bearer at/);
        json(200, pages++ ? { value: [{ id: 'g2' }] } : { value: ['g1'], '@odata.nextLink': `${liar.issuer}/groups?next` });
    } };
    const browser = new Traveller(home);
    assert.equal((await browser.travel(liar, evil.id)).status, 303);
    assert.equal(pages, 2);
    const victim = await new LyingProvider().start();
    liar.plan = overage(`${victim.issuer}/steal`);
    assert.equal((await browser.travel(liar, evil.id)).status, 303, 'groups stay as they are');
    assert.deepEqual(victim.seen.other, []);
    await victim.end();
    liar.plan = {};
});

test('Entra\'s overage is asked of the configured address only, and its pages have an end', async () => {
    const evil = (await tulle.use('ORGANIZATION_SSO_LIST', {}, other)).items[0];
    const [graph, victim] = await Promise.all([new LyingProvider().start(), new LyingProvider().start()]);
    await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: evil.id, groups_endpoint: `${graph.issuer}/v1.0/me/getMemberObjects`, group_roles: { 'entra-admins': 'admin' } }, other);
    const roles = () => sql(tulle, `SELECT roles FROM org_provider_roles WHERE provider_id = '${evil.id}' AND roles <> ''`).map((row) => row.roles);
    const claims = { sub: 'n', email: 'new@else.test', _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: `${victim.issuer}/users/n/getMemberObjects` } } };
    let asked = [];
    /** Graph's answers: page by page. */
    const travel = async (pages, said = claims) => {
        asked = [];
        const answer = (req, res, json) => {
            asked.push(`${req.method} ${req.headers.authorization?.slice(0, 9)}`);
            json(200, pages(asked.length));
        };
        graph.plan = { '/v1.0/me/getMemberObjects': answer, '/next': answer };
        liar.plan = { claims: said };
        assert.equal((await new Traveller(home).travel(liar, evil.id)).status, 303);
    };
    try {
        await travel((n) => (n === 1 ? { value: ['eng'], '@odata.nextLink': `${graph.issuer}/next` } : { value: ['entra-admins'] }));
        assert.deepEqual(asked, ['POST Bearer at', 'GET Bearer at']);
        assert.deepEqual(roles(), ['admin']);
        await travel(() => ({ value: ['x'], '@odata.nextLink': `${graph.issuer}/next` }));
        assert.equal(asked.length, 10);
        assert.deepEqual(roles(), ['admin'], 'half a list takes nothing away');
        await travel(() => ({ value: ['x'], '@odata.nextLink': `${victim.issuer}/next` }));
        assert.deepEqual([asked.length, roles()], [1, ['admin']], 'nor does one that goes on elsewhere');
        await travel(() => ({ value: [] }), { sub: 'n', email: 'new@else.test', hasgroups: true });
        assert.deepEqual([asked.length, roles()], [1, []], 'a whole list does');
        assert.deepEqual([victim.seen.other, victim.seen.userinfo], [[], []]);
    } finally {
        liar.plan = {};
        await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: evil.id, groups_endpoint: null, group_roles: null }, other);
        await Promise.all([graph.end(), victim.end()]);
    }
});

test('a mistake in the file stops the start with one line', async () => {
    const client = { clientId: 'c', clientSecret: secret };
    for (const [config, expected] of [
        ['{', /AUTH_CONFIG: /], ['[]', /AUTH_CONFIG: .*no JSON object/], [{ socialProviders: [] }, /socialProviders is no object/],
        [{ socialProvider: {} }, /AUTH_CONFIG: .*unknown member "socialProvider"/],
        [{ socialProviders: { google: { clientId: 'c' } } }, /socialProviders\.google: clientSecret is missing/],
        [{ socialProviders: { google: { ...client, clientID: 'c' } } }, /socialProviders\.google: google has an unknown member "clientID"/],
        [{ socialProviders: { gitea: client } }, /socialProviders\.gitea: issuer is missing/],
        [{ socialProviders: { microsoft: client } }, /socialProviders\.microsoft: tenantId is missing/],
        [{ socialProviders: { gitea: { ...client, issuer: 'ftp://x' } } }, /socialProviders\.gitea: issuer is "ftp:\/\/x"/],
        [{ ssoConfig: { providerId: 'x' } }, /ssoConfig\.providerId/],
    ]) await assert.rejects(startTulle({ env: { AUTH_CONFIG: authConfig(config) } }), ({ message }) => {
        const [line, ...more] = message.split('\n').filter((one) => one.startsWith('tulle: '));
        assert.match(line ?? message, expected);
        assert.deepEqual(more, []);
        assert.ok(!message.includes(secret));
        return true;
    });
});

test('the example file is a good one', async () => {
    const own = await startTulle({ env: { AUTH_CONFIG: join(repoDir, 'auth-config.example.json') } });
    try {
        const { html } = await new Traveller(`http://localhost:${own.port}`).open('/login');
        for (const name of ['Google', 'GitHub', 'Microsoft', 'Company sign-in']) assert.ok(html.includes(`Continue with ${name}`), name);
    } finally {
        await own.end();
    }
});

test('a provider keeps its id over restarts; one that left the file is closed', async () => {
    const config = (...slots) => authConfig({ socialProviders: Object.fromEntries(slots.map((slot) => [slot, { issuer: liar.issuer, clientId: 'c', clientSecret: secret }])) });
    const own = await startTulle({ env: { AUTH_CONFIG: config('one', 'two') } });
    try {
        const person = await makePerson(own, 'a@b.test', '--operator');
        const look = async () => {
            const browser = new Traveller(`http://localhost:${own.port}`);
            await browser.signIn(person.email, person.password);
            return providerIds(browser);
        };
        const before = await look();
        await own.stop();
        own.env.AUTH_CONFIG = config('one');
        await own.serve();
        assert.deepEqual(await look(), { one: before.one });
        const browser = new Traveller(`http://localhost:${own.port}`);
        assert.equal((await browser.request(`/auth/oidc/${before.two}/start`)).status, 404);
        assert.equal((await browser.request(`/auth/oidc/${before.one}/start`)).status, 303);
        const good = await own.cli(['doctor']);
        assert.equal(good.code, 0, good.stdout);
        assert.ok(good.stdout.includes(`ok   provider one     comes back to http://localhost:${own.port}/auth/oidc/${before.one}/callback\n`), good.stdout);
        const silent = authConfig({ socialProviders: { one: { issuer: `${liar.issuer}/nobody`, clientId: 'c', clientSecret: secret }, new: { issuer: liar.issuer, clientId: 'c', clientSecret: secret } } });
        const bad = await own.cli(['doctor'], { env: { AUTH_CONFIG: silent } });
        assert.equal(bad.code, 1, bad.stdout);
        assert.match(bad.stdout, /^FAIL provider one     .*publishes no metadata; comes back to /m);
        assert.match(bad.stdout, /^ok   provider new     .*first start/m);
    } finally {
        await own.end();
    }
});
