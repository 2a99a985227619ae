// An organization's own sign-in providers: their administration, dry runs, and that what one proves counts in its organization
// only. Numbers in brackets: rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Dns } from './lib/dns.mjs';
import { send } from './lib/http.mjs';
import { makeClient, makeOwner, makePerson, obtainTokens, pkce, request, signedIn } from './lib/oauth.mjs';
import { LyingProvider, Traveller } from './lib/sso.mjs';
import { sql } from './lib/store.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard } from './lib/secrets.mjs';

let tulle, home, dns, acme, evil, provider, liar;
const secret = guard('c1ient-secret-of-sso-admin', 'client secret of a provider');

before(async () => {
    [dns, provider, liar] = await Promise.all([new Dns().start(), new LyingProvider().start(), new LyingProvider().start()]);
    tulle = await startTulle({ env: { DNS_SERVER: dns.address } });
    home = `http://localhost:${tulle.port}`;
    acme = await makeOwner(tulle, 'acme');
    evil = await makeOwner(tulle, 'evil');
});
after(async () => {
    await tulle?.end();
    await Promise.all([dns, provider, liar].map((one) => one?.end()));
});

async function make(org, { issuer }, more = {}) {
    const { item } = await tulle.use('ORGANIZATION_SSO_CREATE', { type: 'oidc', name: 'Corp', issuer, client_id: 'tulle', client_secret: secret, ...more }, org);
    return item;
}
async function prove(org, domain, more = {}) {
    const { item } = await tulle.use('ORGANIZATION_DOMAIN_ADD', { domain, ...more }, org);
    dns.set(item.txt_name, item.txt_value);
    return (await tulle.use('ORGANIZATION_DOMAIN_VERIFY', { domain }, org)).item;
}

test('a provider is made, shown without its secret, changed, and removed', async () => {
    const item = await make(acme, provider, { scopes: ['openid', 'email'], claims: { groups: 'roles' }, group_roles: { Admins: 'admin', Staff: ['member'] } });
    assert.match(item.id, /^idp_[0-9a-f]{32}$/);
    assert.equal(item.redirect_uri, `http://localhost:${tulle.port}/auth/oidc/${item.id}/callback`);
    assert.equal(item.start_url, `http://localhost:${tulle.port}/auth/oidc/${item.id}/start`);
    assert.deepEqual([item.type, item.enabled, item.enforced, item.jit, item.default_role, item.has_client_secret, item.problem],
        ['oidc', true, false, true, 'member', true, null]);
    assert.deepEqual(item.group_roles, { Admins: 'admin', Staff: ['member'] });
    const { item: shown } = await tulle.use('ORGANIZATION_SSO_GET', { provider_id: item.id }, acme);
    assert.deepEqual({ ...shown }, { ...item });
    for (const [name, args] of [['ORGANIZATION_SSO_LIST', {}], ['ORGANIZATION_SSO_GET', { provider_id: item.id }], ['ORGANIZATION_AUDIT_LIST', {}]])
        assert.ok(!(await tulle.tool(name, args, acme)).text.includes(secret), name);
    for (const elsewhere of [{ issuer: 'https://else.example' }, { token_endpoint: 'https://else.example/token' }])
        await tulle.refuse('ORGANIZATION_SSO_UPDATE', { provider_id: item.id, ...elsewhere }, acme, 422); // the secret would go there
    const { item: changed } = await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: item.id, name: 'Corporation', enabled: false, claims: null, default_role: 'admin' }, acme);
    assert.deepEqual([changed.name, changed.enabled, changed.claims, changed.default_role, changed.client_id, changed.has_client_secret],
        ['Corporation', false, undefined, 'admin', 'tulle', true]);
    assert.equal((await send(`${home}/auth/oidc/${item.id}/start`, { method: 'GET' })).status, 404, 'switched off');
    assert.equal((await tulle.use('ORGANIZATION_SSO_LIST', {}, acme)).total_count, 1);
    await tulle.use('ORGANIZATION_SSO_DELETE', { provider_id: item.id }, acme);
    await tulle.refuse('ORGANIZATION_SSO_GET', { provider_id: item.id }, acme, 404);
});

test('a GitHub provider needs no issuer', async () => {
    const { item } = await tulle.use('ORGANIZATION_SSO_CREATE', { type: 'github', name: 'GitHub', client_id: 'tulle', client_secret: secret }, acme);
    assert.equal(item.type, 'github');
    await tulle.use('ORGANIZATION_SSO_DELETE', { provider_id: item.id }, acme);
});

test('[200] a configuration that cannot be right is refused; what hinders it just now is said', async () => {
    const refuse = (more, status) => tulle.refuse('ORGANIZATION_SSO_CREATE', { type: 'oidc', name: 'X', client_id: 'tulle', issuer: provider.issuer, ...more }, acme, status);
    await refuse({ issuer: undefined, token_endpoint: `${provider.issuer}/token` }, 400);
    await refuse({ issuer: 'ftp://x.test' }, 400);
    await refuse({ issuer: 'https://10.1.2.3' }, 422);
    await refuse({ issuer: 'https://169.254.169.254' }, 422);
    await refuse({ scopes: ['email'] }, 400);
    await refuse({ algorithms: ['HS256'] }, 400);
    await refuse({ algorithms: ['none'] }, 400);
    await refuse({ default_role: 'owner' }, 422);
    await refuse({ default_role: `role_${'0'.repeat(32)}` }, 404);
    await refuse({ type: 'ldap' }, 400);
    await refuse({ secret: 'x' }, 400);
    const wrong = await new LyingProvider().start();
    wrong.plan = { metadata: { issuer: 'https://elsewhere.test' } };
    const item = await make(acme, wrong).finally(() => wrong.end());
    assert.match(item.problem, /issuer/);
    await tulle.use('ORGANIZATION_SSO_DELETE', { provider_id: item.id }, acme);
});

test('only administrators see and configure providers', async () => {
    const person = await makePerson(tulle, 'member@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: person.email, role: 'member' }, acme);
    const member = { key: await tulle.makeKey('acme', person.email) };
    const item = await make(acme, provider);
    for (const [name, args] of [['CREATE', { type: 'oidc', name: 'X', client_id: 'x', issuer: provider.issuer }], ['LIST', {}], ['GET', { provider_id: item.id }],
        ['UPDATE', { provider_id: item.id, name: 'Y' }], ['DELETE', { provider_id: item.id }], ['TEST', { provider_id: item.id }]])
        await tulle.refuse(`ORGANIZATION_SSO_${name}`, args, member, [403, 404]);
    await tulle.use('ORGANIZATION_SSO_DELETE', { provider_id: item.id }, acme);
});

/** A dry run through the browser: the tool's item afterwards. */
async function dryRun(org, { id }, idp, { answer } = {}) {
    const { item } = await tulle.use('ORGANIZATION_SSO_TEST', { provider_id: id }, org);
    assert.equal(item.outcome, 'pending');
    const browser = new Traveller(home);
    const { pathname } = new URL(item.url);
    const begin = await browser.open(pathname);
    assert.match(begin.text, /Nobody is signed in here by that/);
    const away = await browser.request(/href="([^"]*\/start)"/.exec(begin.html)[1]);
    assert.equal(away.status, 303, away.text);
    const asked = Object.fromEntries(new URL(away.headers.location).searchParams);
    const back = await browser.arrive(idp, id, asked, answer);
    assert.equal(back.status, 303, back.text);
    const shown = await browser.follow(back);
    assert.equal((await browser.session()).user, null, 'a dry run signs nobody in');
    const { item: after } = await tulle.use('ORGANIZATION_SSO_TEST', { provider_id: id, test_id: item.id }, org);
    return { item: after, page: shown, browser, id: item.id };
}

test('an administrator locks no owner out by a domain, and nobody overwrites what they have not seen', async () => {
    const email = 'adam@acme.test';
    await makePerson(tulle, email);
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email, role: 'admin' }, acme);
    const adam = { key: await tulle.makeKey('acme', email) };
    const item = await make(acme, provider);
    await prove(acme, 'forced.test', { provider_id: item.id, forced: true });
    const change = (fields) => ({ provider_id: item.id, ...fields });
    for (const fields of [{ client_secret: secret }, { client_secret: secret, enforced: false }])
        await tulle.refuse('ORGANIZATION_SSO_UPDATE', change(fields), adam, 422);
    await tulle.use('ORGANIZATION_DOMAIN_ADD', { domain: 'forced.test', provider_id: item.id, forced: false }, acme);
    assert.equal((await tulle.use('ORGANIZATION_SSO_UPDATE', change({ client_secret: secret }), adam)).item.vouches_for_owners, false);
    await tulle.refuse('ORGANIZATION_DOMAIN_ADD', { domain: 'forced.test', provider_id: item.id, forced: true }, adam, 422);
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => tulle.tool('ORGANIZATION_SSO_UPDATE', change({ name: `Corp ${i}` }), acme)));
    const statuses = answers.map(({ status }) => status);
    assert.ok(statuses.every((status) => status === 200 || status === 409) && statuses.includes(200), statuses.join(' '));
    await tulle.use('ORGANIZATION_DOMAIN_REMOVE', { domain: 'forced.test' }, acme);
    await tulle.use('ORGANIZATION_SSO_DELETE', { provider_id: item.id }, acme);
    await tulle.use('ORGANIZATION_MEMBER_REMOVE', { email }, acme);
});

test('a dry run shows each check and what would come of it, and signs nobody in', async () => {
    const item = await make(acme, provider);
    await prove(acme, 'example.test', { provider_id: item.id });
    provider.plan = { claims: { groups: ['Admins', '<b>Bold</b>'] } };
    const before = (await tulle.use('ORGANIZATION_MEMBER_LIST', {}, acme)).total_count;
    const { item: good, page, id } = await dryRun(acme, item, provider);
    assert.equal(good.outcome, 'would_sign_in', JSON.stringify(good));
    assert.ok(good.steps.length > 3 && good.steps.every(({ ok }) => ok), JSON.stringify(good.steps));
    assert.deepEqual([good.identity.email, good.identity.email_verified, good.identity.subject, good.identity.groups, good.mapping.way],
        ['ada@example.test', true, 'ada', ['Admins', '<b>Bold</b>'], 'create']);
    assert.match(page.text, /This would sign in\. Nobody was signed in\./);
    assert.ok(page.text.includes('<b>Bold</b>') && !page.html.includes('<b>Bold</b>'), 'escaped');
    assert.equal((await tulle.use('ORGANIZATION_MEMBER_LIST', {}, acme)).total_count, before, 'nobody has joined');
    assert.ok(!JSON.stringify(good).includes(secret));
    await tulle.refuse('ORGANIZATION_SSO_TEST', { provider_id: item.id, test_id: `sst_${'0'.repeat(32)}` }, acme, 404);
    const theirs = await make(evil, liar);
    await tulle.refuse('ORGANIZATION_SSO_TEST', { provider_id: theirs.id, test_id: id }, evil, 404);
    await tulle.refuse('ORGANIZATION_SSO_TEST', { provider_id: item.id }, evil, 404);
    for (const [plan, expected] of [[{ claims: { aud: 'somebody-else' } }, 'failed'], [{ claims: { nonce: 'wrong' } }, 'failed'], [{ claims: { exp: 1 } }, 'failed'],
        [{ claims: { email: 'x@unproven.test' } }, 'would_not_sign_in']]) {
        provider.plan = plan;
        const { item: bad } = await dryRun(acme, item, provider);
        assert.equal(bad.outcome, expected, JSON.stringify(plan));
        assert.ok(bad.steps.some(({ ok, detail }) => !ok && detail), `why: ${JSON.stringify(bad.steps)}`);
    }
    provider.plan = {};
    // The page is nothing for whoever guesses.
    assert.equal((await send(`${home}/auth/sso/test/sst_${'0'.repeat(32)}`, { method: 'GET' })).status, 404);
});

test('[202] a provider of one organization that asserts the people of another signs in nobody of them', async () => {
    const victim = await makePerson(tulle, 'boss@victim.test');
    const victims = await tulle.must('org', 'create', '--name', 'Victim', '--slug', 'victim', '--owner', victim.email);
    assert.match(victims, /^org_/);
    const [item] = (await tulle.use('ORGANIZATION_SSO_LIST', {}, evil)).items;
    // An address without a proven domain, then one whose domain the attacker has only claimed.
    for (const claimed of [false, true]) {
        if (claimed) await tulle.use('ORGANIZATION_DOMAIN_ADD', { domain: 'victim.test', provider_id: item.id, forced: true, join_role: 'admin' }, evil);
        liar.plan = { claims: { sub: `boss${claimed}`, email: victim.email } };
        const browser = new Traveller(home);
        const page = await browser.travel(liar, item.id);
        assert.equal(page.status, 403, page.text);
        assert.equal((await browser.session()).user, null);
    }
    liar.plan = {};
});

test('[202] what an organization\'s provider proved counts there only, for somebody of two organizations too', async () => {
    const both = await makePerson(tulle, 'both@shared.test');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: both.email, role: 'admin' }, acme);
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: both.email, role: 'member' }, evil);
    const [item] = (await tulle.use('ORGANIZATION_SSO_LIST', {}, evil)).items;
    await prove(evil, 'shared.test', { provider_id: item.id });
    liar.plan = { claims: { sub: 'both', email: both.email } };
    const browser = new Traveller(home);
    const page = await browser.travel(liar, item.id);
    assert.equal(page.status, 303, page.text);
    const session = await browser.session();
    assert.equal(session.user.email, both.email);
    assert.deepEqual(session.organizations.map(({ slug }) => slug), ['evil'], 'the others are not even named');
    const tool = (name, args) => browser.request(`/api/tools/${name}`, { method: 'POST', body: JSON.stringify(args),
        headers: { 'content-type': 'application/json', 'x-csrf-token': session.csrf_token } });
    const own = await tool('ORGANIZATION_GET', { organization_id: evil.org_id });
    assert.equal(own.status, 200, own.text);
    assert.equal(JSON.parse((await tool('ORGANIZATION_LIST', {})).html).items.length, 1);
    for (const [name, args] of [['ORGANIZATION_GET', {}], ['ORGANIZATION_MEMBER_LIST', {}], ['API_KEY_CREATE', { name: 'stolen' }], ['CONNECTION_LIST', {}], ['ORGANIZATION_AUDIT_LIST', {}]]) {
        const { status, html } = await tool(name, { organization_id: acme.org_id, ...args });
        assert.equal(status, 403, `${name}: ${html}`);
    }
    // The ways into the account that others gave stay: what is left may not be this provider alone.
    const other = await make(acme, provider);
    const identity_id = `idn_${'5'.repeat(32)}`;
    sql(tulle, `INSERT INTO identities (id, provider_id, issuer, subject, org_id, user_id, email, created_at, last_used_at)
        VALUES ('${identity_id}', '${other.id}', '${provider.issuer}', 'both', '${acme.org_id}', '${both.user_id}', '${both.email}', 1, 1)`);
    await browser.open('/account/identities');
    const { csrf_token } = browser.page.form('/account/identities').fields;
    const removed = await browser.request('/account/identities', { method: 'POST', body: new URLSearchParams({ csrf_token, identity_id }).toString() });
    assert.equal(removed.status, 403, removed.text);
    assert.equal(sql(tulle, `SELECT id FROM identities WHERE user_id = '${both.user_id}'`).length, 2);
    await tulle.use('ORGANIZATION_SSO_DELETE', { provider_id: other.id }, acme);
    // At consent there is nothing of the other organization, only the way to sign in for it.
    const client = await makeClient(tulle);
    const at = await browser.open(`/oauth/authorize?${request(client, pkce(), { scope: 'mcp:manage' })}`);
    assert.doesNotMatch(at.html, new RegExp(`value="${acme.org_id}`));
    assert.doesNotMatch(at.text, /The acme/);
    assert.match(at.text, /Sign in for your other organizations/);
    // A grant made with it is of that organization, and stays there.
    const tokens = await obtainTokens(tulle, browser, client, { scope: 'mcp:manage', resource: `${home}/mcp` });
    assert.equal((await tulle.tool('ORGANIZATION_GET', {}, { key: tokens.access_token })).body.item.slug, 'evil');
    await tulle.refuse('ORGANIZATION_GET', { organization_id: acme.org_id }, { key: tokens.access_token }, 404);
    liar.plan = {};
    // By their password they may go everywhere.
    assert.equal((await (await signedIn(tulle, both)).session()).organizations.length, 2);
});
