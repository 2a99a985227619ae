// Domains: proven by a TXT record, claimed by one organization, and what follows for their people on the sign-in page.
// Numbers in brackets: rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser } from './lib/browser.mjs';
import { until } from './lib/children.mjs';
import { Dns } from './lib/dns.mjs';
import { makeOwner, makePerson } from './lib/oauth.mjs';
import { LyingProvider, Traveller } from './lib/sso.mjs';
import { sql } from './lib/store.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard } from './lib/secrets.mjs';

let tulle, dns, acme, beta, provider, idp;
const secret = guard('c1ient-secret-of-the-domain-test', 'client secret of a provider');

before(async () => {
    [dns, provider] = await Promise.all([new Dns().start(), new LyingProvider().start()]);
    tulle = await startTulle({ env: { DNS_SERVER: dns.address } });
    acme = await makeOwner(tulle, 'acme');
    beta = await makeOwner(tulle, 'beta');
    idp = (await tulle.use('ORGANIZATION_SSO_CREATE', { type: 'oidc', name: 'Corp', issuer: provider.issuer, client_id: 'tulle', client_secret: secret }, acme)).item;
});
after(async () => {
    await tulle?.end();
    await Promise.all([dns?.end(), provider?.end()]);
});

const add = async (org, domain, more = {}) => (await tulle.use('ORGANIZATION_DOMAIN_ADD', { domain, ...more }, org)).item;
const verify = async (org, domain) => (await tulle.use('ORGANIZATION_DOMAIN_VERIFY', { domain }, org)).item;
/** Claims and proves. */
async function prove(org, domain, more = {}) {
    const item = await add(org, domain, more);
    dns.set(item.txt_name, item.txt_value);
    return verify(org, domain);
}

test('a domain is proven by its TXT record, and not before', async () => {
    const item = await add(acme, 'Corp.Test.');
    assert.equal(item.domain, 'corp.test');
    assert.equal(item.txt_name, '_tulle.corp.test');
    assert.match(item.txt_value, /^tulle-verification=[0-9a-f]{32}$/);
    assert.equal(item.verified, false);
    await tulle.refuse('ORGANIZATION_DOMAIN_VERIFY', { domain: 'corp.test' }, acme, 422);
    dns.set(item.txt_name, 'v=something else', [item.txt_value.slice(0, 10), item.txt_value.slice(10)]);
    const proven = await verify(acme, 'corp.test');
    assert.equal(proven.verified, true);
    assert.ok(proven.verified_at);
    assert.ok(dns.asked.every(({ name }) => name === '_tulle.corp.test'));
    const again = await add(acme, 'corp.test');
    assert.deepEqual([again.txt_value, again.verified, again.id], [item.txt_value, true, item.id], 'adding again keeps the proof');
    const { items, total_count } = await tulle.use('ORGANIZATION_DOMAIN_LIST', {}, acme);
    assert.deepEqual([items.map(({ domain }) => domain), total_count], [['corp.test'], 1]);
});

test('[236] e-mail providers, public suffixes and what is no domain are refused; another name\'s record proves nothing', async () => {
    for (const domain of ['gmail.com', 'GMail.com.', 'outlook.com', 'co.uk', 'github.io', 'com', 'localhost', 'corp.localhost', 'x.onion'])
        await tulle.refuse('ORGANIZATION_DOMAIN_ADD', { domain }, acme, [400, 422]);
    for (const domain of ['127.0.0.1', 'a b.test', '-a.test', 'a..test', 'ä.test', `${'a'.repeat(64)}.test`, 'a_b.test', '.test', 'x.test/..', 'corp.test\n'.repeat(2)])
        await tulle.refuse('ORGANIZATION_DOMAIN_ADD', { domain }, acme, 400);
    const item = await add(acme, 'other.test');
    dns.set('_tulle.sub.other.test', item.txt_value);
    dns.set('other.test', item.txt_value);
    dns.set('_tulle.other.test', `${item.txt_value}0`, item.txt_value.toUpperCase());
    await tulle.refuse('ORGANIZATION_DOMAIN_VERIFY', { domain: 'other.test' }, acme, 422);
    await tulle.use('ORGANIZATION_DOMAIN_REMOVE', { domain: 'other.test' }, acme);
    await tulle.refuse('ORGANIZATION_DOMAIN_VERIFY', { domain: 'other.test' }, acme, 404);
});

test('another organization cannot prove a proven domain, nor use its proof', async () => {
    const theirs = await add(beta, 'corp.test');
    const ours = await add(acme, 'corp.test');
    assert.notEqual(theirs.txt_value, ours.txt_value);
    await tulle.refuse('ORGANIZATION_DOMAIN_VERIFY', { domain: 'corp.test' }, beta, 422);
    dns.set('_tulle.corp.test', ours.txt_value, theirs.txt_value);
    await tulle.refuse('ORGANIZATION_DOMAIN_VERIFY', { domain: 'corp.test' }, beta, 409);
    assert.equal((await verify(acme, 'corp.test')).verified, true);
    assert.equal((await tulle.use('ORGANIZATION_DOMAIN_LIST', {}, beta)).items[0].verified, false);
});

test('a domain that has come to somebody else is theirs, once the record of who had it is gone', async () => {
    const old = await prove(beta, 'sold.test');
    const { txt_name, txt_value } = await add(acme, 'sold.test');
    dns.set(txt_name, old.txt_value, txt_value);
    await tulle.refuse('ORGANIZATION_DOMAIN_VERIFY', { domain: 'sold.test' }, acme, 409);
    dns.set(txt_name, txt_value);
    assert.equal((await verify(acme, 'sold.test')).verified, true);
    const before = (await tulle.use('ORGANIZATION_DOMAIN_LIST', {}, beta)).items.find(({ id }) => id === old.id);
    assert.equal(before.verified, false);
    await tulle.refuse('ORGANIZATION_DOMAIN_VERIFY', { domain: 'sold.test' }, beta, 422);
    for (const org of [acme, beta]) await tulle.use('ORGANIZATION_DOMAIN_REMOVE', { domain: 'sold.test' }, org);
});

test('looking again: a record that is gone takes the proof with it, a resolver that fails does not', async () => {
    const item = await prove(beta, 'beta.test');
    for (const mode of ['refuse', 'nonsense']) {
        dns.mode = mode;
        await tulle.refuse('ORGANIZATION_DOMAIN_VERIFY', { domain: 'beta.test' }, beta, [503, 504]);
    }
    dns.mode = '';
    assert.equal((await tulle.use('ORGANIZATION_DOMAIN_LIST', {}, beta)).items.find(({ id }) => id === item.id).verified, true);
    dns.records.delete(item.txt_name);
    assert.equal((await verify(beta, 'beta.test')).verified, false);
    // Now it is free for whoever proves it.
    assert.equal((await prove(acme, 'beta.test')).verified, true);
});

test('an answer that does not fit into a datagram is asked for again by TCP', async () => {
    const item = await add(acme, 'large.test');
    dns.set(item.txt_name, ...Array.from({ length: 30 }, (_, i) => `${i}`.padEnd(200, '.')), item.txt_value);
    dns.mode = 'truncate';
    assert.equal((await verify(acme, 'large.test')).verified, true);
    assert.ok(dns.asked.some(({ name, way }) => name === item.txt_name && way === 'tcp'));
    dns.mode = '';
});

test('only administrators claim domains', async () => {
    const person = await makePerson(tulle, 'member@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: person.email, role: 'member' }, acme);
    const member = { key: await tulle.makeKey('acme', person.email) };
    for (const [name, args] of [['ADD', { domain: 'm.test' }], ['VERIFY', { domain: 'corp.test' }], ['LIST', {}], ['REMOVE', { domain: 'corp.test' }]])
        await tulle.refuse(`ORGANIZATION_DOMAIN_${name}`, args, member, [403, 404]);
});

/** The second step of the sign-in page for an address. */
async function secondStep(email) {
    const browser = new Browser(tulle.url);
    await browser.open('/login');
    await browser.submit('/login', { email });
    return browser.page;
}

test('addresses of a proven domain are led to its provider; a domain that must use it gets nothing else', async () => {
    await prove(acme, 'led.test', { provider_id: idp.id });
    const led = await secondStep('somebody@led.test');
    assert.match(led.html, new RegExp(`/auth/oidc/${idp.id}/start`));
    assert.doesNotMatch((await secondStep('somebody@elsewhere.test')).html, new RegExp(idp.id));
    await add(acme, 'led.test', { forced: true });
    const browser = new Browser(tulle.url);
    await browser.open('/login');
    const { fields } = browser.page.form('/login');
    const page = await browser.request('/login', { method: 'POST', body: new URLSearchParams({ ...fields, email: 'Some.Body@LED.test' }).toString() });
    assert.match(page.headers.location ?? page.html, new RegExp(`/auth/oidc/${idp.id}/start`));
    assert.doesNotMatch(page.html, /type="password"/);
    await tulle.refuse('ORGANIZATION_DOMAIN_ADD', { domain: 'free.test', forced: true }, acme, 422);
    await tulle.refuse('ORGANIZATION_DOMAIN_ADD', { domain: 'free.test', provider_id: idp.id }, beta, 404);
});

test('a claim that is not proven routes nobody', async () => {
    await add(acme, 'wished.test', { provider_id: idp.id, forced: true, join_role: 'admin' });
    const page = await secondStep('somebody@wished.test');
    assert.equal(page.status, 200);
    assert.doesNotMatch(page.html, new RegExp(idp.id));
});

test('whoever the provider of a proven domain proves joins with its role', async () => {
    await prove(acme, 'example.test', { provider_id: idp.id, join_role: 'admin' });
    const ada = new Traveller(`http://localhost:${tulle.port}`);
    const page = await ada.travel(provider, idp.id);
    assert.equal(page.status, 303, page.text);
    const { user, organizations } = await ada.session();
    assert.equal(user.email, 'ada@example.test');
    assert.deepEqual(organizations.map(({ slug }) => slug), ['acme']);
    const { items } = await tulle.use('ORGANIZATION_MEMBER_LIST', {}, acme);
    assert.deepEqual(items.find(({ email }) => email === 'ada@example.test').roles, ['admin']);
});

test('a password does not open what a domain must use its provider for', async () => {
    await prove(acme, 'must.test', { provider_id: idp.id, forced: true });
    const person = await makePerson(tulle, 'eve@must.test');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: person.email, role: 'member' }, acme);
    // A page that was open before still has its password field.
    const browser = new Browser(tulle.url);
    await browser.open('/login');
    const { fields } = browser.page.form('/login');
    await browser.request('/login', { method: 'POST', body: new URLSearchParams({ ...fields, email: person.email, password: person.password }).toString() });
    assert.equal((await browser.session()).user, null);
});

test('proven domains are looked at again: what is gone for days is proven no more, what cannot be asked stays', async () => {
    const longAgo = Date.now() - 4 * 24 * 3600 * 1000;
    const names = ['gone.test', 'just.test', 'broken.test', 'back.test', 'resting.test'];
    for (const name of names) {
        const { txt_name } = await prove(acme, name, name === 'gone.test' ? { provider_id: idp.id, forced: true } : {});
        if (!['back.test', 'broken.test'].includes(name)) dns.records.delete(txt_name);
    }
    dns.broken.add('_tulle.broken.test');
    sql(tulle, `UPDATE org_domains SET n_missing = 2, missing_since = ${longAgo}, check_at = 0 WHERE domain IN ('gone.test', 'broken.test', 'back.test')`);
    sql(tulle, `UPDATE org_domains SET n_missing = 2, missing_since = ${longAgo}, check_at = ${Date.now() + 3600_000} WHERE domain = 'resting.test'`);
    sql(tulle, `UPDATE org_domains SET n_missing = 2, missing_since = ${Date.now() - 3600_000} WHERE domain = 'just.test'`);
    await tulle.stop();
    dns.asked.length = 0;
    await tulle.serve();
    const rows = () => Object.fromEntries(sql(tulle, 'SELECT domain, verified_at, n_missing, check_at FROM org_domains').map((row) => [row.domain, row]));
    await until('all that is due was looked at', () => Object.values(rows()).every((row) => !row.verified_at || Number(row.check_at) > Date.now() + 120_000));
    const after = rows();
    assert.deepEqual(names.map((name) => [name, Boolean(after[name].verified_at), Number(after[name].n_missing)]),
        [['gone.test', false, 0], ['just.test', true, 3], ['broken.test', true, 2], ['back.test', true, 0], ['resting.test', true, 2]]);
    const hours = (Number(after['back.test'].check_at) - Date.now()) / 3600_000;
    assert.ok(hours > 17 && hours < 31, `about a day: ${hours}`);
    assert.ok((Number(after['broken.test'].check_at) - Date.now()) / 3600_000 < 2, 'sooner where the DNS failed');
    assert.ok(!dns.asked.some(({ name }) => name === '_tulle.resting.test'));
    const lost = await until('the audit row', async () => (await tulle.use('ORGANIZATION_AUDIT_LIST', { method: 'domain_lost' }, acme)).items[0]);
    const listed = (await tulle.use('ORGANIZATION_DOMAIN_LIST', { limit: 100 }, acme)).items.find(({ domain }) => domain === 'gone.test');
    assert.deepEqual([lost.name, lost.kind, listed.verified], [listed.id, 'auth', false]);
    const page = await secondStep('somebody@gone.test');
    assert.match(page.html, /type="password"/, 'nobody must use its provider any more');
    assert.doesNotMatch(page.html, new RegExp(idp.id));
});
