// SAML 2.0 sign-in with an identity provider that thousands use (Debian's SimpleSAMLphp), and with one of our own.
import assert from 'node:assert/strict';
import { verify } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { onward } from './lib/browser.mjs';
import { until } from './lib/children.mjs';
import { otp } from './lib/otp.mjs';
import { addProvider, proveDomain, readSp, SamlPerson, startForSaml } from './lib/saml.mjs';
import { emailFormat, ForgedIdp, instant, makeCertificate, messageOf, publicKeyOf } from './lib/saml-forge.mjs';
import { guard, plant } from './lib/secrets.mjs';
import { SimpleSaml, Visit } from './lib/simplesamlphp.mjs';
import { ageProofs, sql } from './lib/store.mjs';

let tulle, org, simple, provider, sp;

before(async () => {
    tulle = await startForSaml();
    org = await tulle.makeOrg('corp');
    proveDomain(tulle, org, 'corp.example');
    simple = await new SimpleSaml().start();
    ({ item: provider } = await tulle.use('ORGANIZATION_SSO_CREATE', { type: 'saml', name: 'Simple', idp_metadata_url: simple.metadataUrl }, org));
    sp = await readSp(tulle, provider);
});
after(async () => {
    simple.end();
    await tulle.end();
});

/** A management tool as a script of our own pages calls it. */
async function byCookie(person, tool, args = {}) {
    const { csrf_token } = await person.session();
    return person.request(`/api/tools/${tool}`, { method: 'POST', body: JSON.stringify(args), headers: { 'content-type': 'application/json', 'x-csrf-token': csrf_token } });
}

/** The whole way of somebody at SimpleSAMLphp: {person, visit, page, there, back}. */
async function signIn(user, { registered = {}, at = sp, query = '' } = {}) {
    simple.register([{ sp: at, ...registered }]);
    const [person, visit] = [new SamlPerson(tulle), new Visit(simple)];
    const there = await person.leave(at, query);
    const back = await visit.signIn(there.url, user);
    assert.equal(back.action, at.acs);
    const page = await person.deliver({ ...at, relayState: back.relayState }, null, { encoded: back.encoded });
    return { person, visit, page, there, back };
}

test('the tools say what the provider is, and no secret', async () => {
    const { item } = await tulle.use('ORGANIZATION_SSO_GET', { provider_id: provider.id }, org);
    assert.deepEqual([item.entity_id, item.acs_url, item.slo_url], [sp.entityId, sp.acs, sp.slo]);
    assert.equal(item.idp_entity_id, simple.entityId);
    assert.equal(item.certificates.length, 1);
    assert.doesNotMatch(JSON.stringify(item), /PRIVATE KEY|"keys?"/);
});

test('somebody signs in through SimpleSAMLphp, becomes a member and gets on to where they wanted', async () => {
    const { person, page, there } = await signIn('alice', { query: '?return_to=/account' });
    assert.equal(page.path, '/account', page.text);
    assert.equal(await person.who(), 'alice@corp.example');
    assert.match(page.text, /Alice Ångström/);
    assert.match(there.request, /^<samlp:AuthnRequest /);
    assert.match(there.url, /&SigAlg=.*&Signature=/);
    const again = await signIn('alice');
    assert.equal(await again.person.who(), 'alice@corp.example');
});

test('responses signed in each way, and encrypted ones', async () => {
    for (const registered of [{ sign: 'response' }, { sign: 'both' }, { sign: 'both', encrypt: true }, { sign: 'response', encrypt: true }]) {
        const { person, page, back } = await signIn('bob', { registered });
        assert.equal(await person.who(), 'bob@corp.example', `${JSON.stringify(registered)}: ${page.text}`);
        assert.equal(/EncryptedAssertion/.test(back.xml), registered.encrypt === true);
    }
});

test('CBC outside a signed response is not read', async () => {
    const { person, page } = await signIn('bob', { registered: { sign: 'assertion', encrypt: true } });
    assert.equal(await person.who(), undefined);
    assert.match(page.text, /\(saml_encryption\)/);
});

test('people of other domains, and values that attack, get nowhere', async () => {
    for (const user of ['mallory', 'evil']) {
        const { person, page } = await signIn(user);
        assert.equal(await person.who(), undefined, user);
        assert.ok(page.status >= 400 && page.status < 500, page.text);
        assert.doesNotMatch(page.html, /<script/);
    }
});

test('groups of the assertion become roles, and are lost with it', async () => {
    const idp = new ForgedIdp();
    const { item, sp: at } = await addProvider(tulle, org, idp, { name: 'Groups', group_roles: { 'mesh-admins': 'admin' } });
    for (const groups of [['mesh-admins'], []]) {
        const person = new SamlPerson(tulle);
        const there = await person.leave(at);
        const page = await person.deliver(there, idp.respond(there, { name: 'gus', email: 'gus@corp.example', groups }));
        assert.equal(await person.who(), 'gus@corp.example', page.text);
        const rows = sql(tulle, `SELECT roles FROM org_provider_roles WHERE provider_id = '${item.id}' AND roles <> ''`);
        assert.deepEqual(rows.map(({ roles }) => roles), groups.length ? ['admin'] : []);
    }
});

test('a group of SimpleSAMLphp\'s gives its roles, and takes them away when the next sign-in does not name it', async () => {
    await tulle.use('ORGANIZATION_GROUP_CREATE', { name: 'Mesh', roles: ['admin'], mappings: [{ provider_id: provider.id, name: 'mesh-admins' }] }, org);
    const first = await signIn('alice');
    assert.equal((await byCookie(first.person, 'ORGANIZATION_SSO_LIST')).status, 200);
    assert.equal((await byCookie((await signIn('bob')).person, 'ORGANIZATION_SSO_LIST')).status, 404, 'bob is in no such group');
    simple.know({ 'alice:alicepass': { groups: ['eng'] } });
    const second = await signIn('alice');
    assert.equal(await second.person.who(), 'alice@corp.example', second.page.text);
    assert.equal((await byCookie(second.person, 'ORGANIZATION_SSO_LIST')).status, 404);
    await until('the older session notices', async () => (await byCookie(first.person, 'ORGANIZATION_SSO_LIST')).status === 404);
    simple.know();
    assert.equal((await byCookie((await signIn('alice')).person, 'ORGANIZATION_SSO_LIST')).status, 200);
});

test('the session ends when the provider says, also behind a second factor', async () => {
    const idp = new ForgedIdp();
    const { sp: at } = await addProvider(tulle, org, idp, { name: 'Hours' });
    const signedIn = async (say) => {
        const person = new SamlPerson(tulle);
        const there = await person.leave(at);
        await person.deliver(there, idp.respond(there, { name: 'otis', email: 'otis@corp.example', ...say }));
        return person;
    };
    const owner = await signedIn({});
    await owner.open('/account/security');
    const seed = guard(/<p class="secret">([A-Z2-7]{32})<\/p>/.exec((await owner.submit('/account/security/app')).html)?.[1], 'a seed');
    assert.equal((await owner.submit('/account/security/app/confirm', { code: otp(seed) })).status, 200);
    sql(tulle, 'UPDATE user_totp SET last_step = 0');
    const end = Math.floor(Date.now() / 1000) * 1000 + 1_800_000;
    const person = await signedIn({ sessionIndex: '_hours', sessionNotOnOrAfter: instant(end) });
    assert.equal(person.page.path, '/login/second');
    assert.equal((await person.submit('/login/second', { code: otp(seed) })).path, '/account');
    assert.equal(await person.who(), 'otis@corp.example');
    assert.deepEqual(sql(tulle, "SELECT expires_at FROM browser_sessions WHERE provider_session = '_hours'").map((row) => Number(row.expires_at)), [end]);
});

test('our own key rolls over: published, then signing, then alone', async () => {
    const idp = new ForgedIdp();
    const { item, sp: before } = await addProvider(tulle, org, idp, { name: 'Keys' });
    const turn = async (own_keys) => {
        const { item: now } = await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: item.id, own_keys }, org);
        return { uses: now.own_keys.map(({ use }) => use), at: await readSp(tulle, item) };
    };
    const signer = async (at) => {
        const { url } = await new SamlPerson(tulle).leave(at);
        const [, text, signature] = /^[^?]*\?(.*)&Signature=(.*)$/.exec(url);
        return at.signing.findIndex((cert) => verify('sha256', Buffer.from(text), publicKeyOf(cert), Buffer.from(decodeURIComponent(signature), 'base64')));
    };
    const reads = async (at, cert) => {
        const person = new SamlPerson(tulle);
        const there = await person.leave(at);
        await person.deliver(there, idp.respond({ ...there, cert }, { name: 'kay', email: 'kay@corp.example' }, { encrypt: {} }));
        return await person.who() === 'kay@corp.example';
    };
    await tulle.refuse('ORGANIZATION_SSO_UPDATE', { provider_id: item.id, own_keys: 'retire' }, org, 409);
    const published = await turn('publish');
    assert.deepEqual(published.uses, ['signs', 'published']);
    assert.equal(published.at.signing[0], before.signing[0]);
    assert.deepEqual(published.at.encryption, published.at.signing.toReversed(), 'who encrypts takes the new one');
    assert.equal(await signer(published.at), 0);
    await tulle.refuse('ORGANIZATION_SSO_UPDATE', { provider_id: item.id, own_keys: 'publish' }, org, 409);
    const switched = await turn('switch');
    assert.deepEqual(switched.at.signing, published.at.signing.toReversed());
    assert.deepEqual(switched.at.encryption, published.at.encryption);
    assert.equal(await signer(switched.at), 0);
    for (const cert of switched.at.encryption) assert.ok(await reads(switched.at, cert), 'both decrypt');
    const retired = await turn('retire');
    assert.deepEqual(retired.at.signing, switched.at.signing.slice(0, 1));
    assert.ok(await reads(retired.at, retired.at.cert));
    assert.equal(await reads(retired.at, before.cert), false, 'what is retired opens nothing');
});

test('metadata is read again by itself, and only what it may change changes', async () => {
    const shown = {};
    const server = createServer((req, res) => {
        const text = shown[req.url];
        res.writeHead(text ? 200 : 500, { 'content-type': 'application/samlmetadata+xml' }).end(text);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const next = makeCertificate();
    const make = async (name, more = {}) => {
        const idp = new ForgedIdp({ entityId: `https://idp.example/${name}` });
        shown[`/${name}`] = idp.metadata();
        const url = `http://127.0.0.1:${server.address().port}/${name}`;
        const { item } = await tulle.use('ORGANIZATION_SSO_CREATE', { type: 'saml', name, idp_metadata_url: url, ...more }, org);
        return { idp, id: item.id };
    };
    const get = async ({ id }) => (await tulle.use('ORGANIZATION_SSO_GET', { provider_id: id }, org)).item;
    try {
        const made = Object.fromEntries(await Promise.all(['grows', 'changes', 'fails', 'is-off', 'is-pinned', 'ends'].map(async (name) =>
            [name, await make(name, name === 'is-off' ? { refresh_metadata: false } : {})])));
        await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: made['is-pinned'].id, certificates: [made['is-pinned'].idp.pair.cert] }, org);
        const before = await get(made.changes);
        for (const [name, { idp }] of Object.entries(made)) shown[`/${name}`] = idp.metadata({ certs: [idp.pair.cert, next.cert] });
        shown['/changes'] = shown['/changes'].replace('entityID="https://idp.example/changes"', 'entityID="https://evil.example/"');
        shown['/ends'] = shown['/ends'].replace('entityID=', `validUntil="${instant(Date.now() - 1000)}" entityID=`);
        delete shown['/fails'];
        await tulle.stop();
        sql(tulle, 'UPDATE saml_metadata SET due_at = 0');
        await tulle.serve();
        await until('all are read', async () => {
            const items = await Promise.all(['grows', 'is-pinned', 'changes', 'fails', 'ends'].map((name) => get(made[name])));
            return items[0].certificates.length === 2 && items[1].metadata_read_at && items.slice(2).every((item) => item.metadata_problem);
        });
        assert.deepEqual((await get(made.changes)).certificates, before.certificates);
        assert.equal((await get(made.changes)).idp_entity_id, before.idp_entity_id);
        assert.match((await get(made.ends)).metadata_problem, /validUntil/);
        for (const name of ['fails', 'is-off', 'is-pinned', 'ends']) assert.equal((await get(made[name])).certificates.length, 1, name);
        assert.equal((await get(made['is-off'])).metadata_read_at, null);
        const rows = await until('the audit rows', async () => {
            const { items } = await tulle.use('ORGANIZATION_AUDIT_LIST', { method: 'saml_metadata_refresh', limit: 100 }, org);
            return items.length >= 4 && items;
        });
        const of = (name) => rows.filter((row) => row.name === made[name].id).map(({ outcome }) => outcome);
        assert.deepEqual(['grows', 'changes', 'fails', 'is-off', 'is-pinned', 'ends'].map(of), [['ok'], ['denied'], ['failed'], [], [], ['denied']]);
        const { idp } = made.grows;
        const at = await readSp(tulle, { id: made.grows.id });
        for (const pair of [idp.pair, next]) {
            const person = new SamlPerson(tulle);
            const there = await person.leave(at);
            await person.deliver(there, idp.respond(there, { name: 'gro', email: 'gro@corp.example' }, { pair }));
            assert.equal(await person.who(), 'gro@corp.example');
        }
        const due = sql(tulle, 'SELECT due_at FROM saml_metadata').map((row) => Number(row.due_at) - Date.now());
        assert.ok(due.length >= 5 && due.every((ms) => ms > 3_000_000 && ms <= 86_400_000), String(due));
    } finally {
        server.close();
    }
});

test('somebody signed in links a SAML identity whose address is another, signs in by it, and removes it', async () => {
    const idp = new ForgedIdp();
    const { item, sp: at } = await addProvider(tulle, org, idp, { name: 'Linked', jit: false });
    const person = new SamlPerson(tulle);
    const account = { email: 'lin@home.example', password: plant('password of lin') };
    assert.equal((await tulle.cli(['user', 'create', '--email', account.email, '--password-stdin'], { stdin: `${account.password}\n` })).code, 0);
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: account.email, role: 'member' }, org);
    await person.signIn(account.email, account.password);
    const begin = async (browser) => {
        await browser.open('/account/identities');
        const { fields } = browser.page.form('/account/identities', { provider_id: item.id });
        const page = await browser.request('/account/identities', { method: 'POST', body: new URLSearchParams(fields).toString() });
        if (page.status !== 200) return { page };
        const { xml, relayState } = messageOf(onward(page));
        return { ...at, requestId: / ID="([^"]*)"/.exec(xml)[1], relayState };
    };
    const says = { name: 'lin-9', email: 'lin@corp.example' };
    const early = new SamlPerson(tulle);
    const there = await early.leave(at);
    await early.deliver(there, idp.respond(there, { ...says, email: account.email }));
    assert.equal(await early.who(), undefined, 'the address alone links nothing');

    ageProofs(tulle);
    const old = await begin(person);
    assert.equal(old.page.status, 303, 'the proof is old');
    assert.match(old.page.headers.location, /^\/login\/again/);
    await person.follow(old.page);
    await person.submit('/login/again', { password: account.password });
    const errand = await begin(person);
    const stolen = new SamlPerson(tulle);
    await stolen.open('/login');
    await stolen.deliver(errand, idp.respond(errand, { ...says, name: 'thief-1' }));
    assert.deepEqual(sql(tulle, `SELECT id FROM identities WHERE provider_id = '${item.id}'`), [], 'another browser brings nothing back');
    const mine = await begin(person);
    const page = await person.deliver(mine, idp.respond(mine, says));
    assert.match(page.text, /Linked\. .*lin@corp\.example/);

    const again = new SamlPerson(tulle);
    const back = await again.leave(at);
    await again.deliver(back, idp.respond(back, says));
    assert.equal(await again.who(), account.email);
    const { identity_id } = person.page.forms().find((form) => form.fields.identity_id).fields;
    assert.match((await person.submit('/account/identities', {}, { having: { identity_id } })).text, /Removed/);
    assert.equal(await again.who(), undefined, 'what it had proved is over');
});

test('a key of SimpleSAMLphp\'s rolls over by its metadata', async () => {
    simple.rollover(1);
    await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: provider.id, idp_metadata_url: simple.metadataUrl }, org);
    const { item } = await tulle.use('ORGANIZATION_SSO_GET', { provider_id: provider.id }, org);
    assert.equal(item.certificates.length, 2);
    assert.equal(await (await signIn('alice')).person.who(), 'alice@corp.example', 'the old key');
    simple.rollover(2);
    assert.equal(await (await signIn('alice')).person.who(), 'alice@corp.example', 'the new key');
    await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: provider.id, idp_metadata_xml: await simple.metadata() }, org);
    simple.rollover(0);
    const old = await signIn('alice');
    assert.match(old.page.text, /\(saml_signature\)/);
    await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: provider.id, idp_metadata_xml: await simple.metadata() }, org);
});

test('signing out here signs out there', async () => {
    const { person, visit } = await signIn('alice');
    await person.open('/logout');
    const { fields } = person.page.form('/logout');
    const out = await person.request('/logout', { method: 'POST', body: new URLSearchParams(fields).toString() });
    const { away } = await visit.go(onward(out));
    assert.ok(away?.startsWith(`${sp.slo}?SAMLResponse=`), away);
    assert.equal((await person.open(away.slice(tulle.url.length))).path, '/login');
    assert.equal(await person.who(), undefined);
    const there = await new SamlPerson(tulle).leave(sp);
    const page = await visit.go(there.url);
    assert.match(page.text, /username/, 'it asks for the password again');
});

test('signing out there signs out here', async () => {
    const { person, visit } = await signIn('alice');
    const other = await signIn('bob');
    const { away } = await visit.go(`${simple.url}/saml2/idp/SingleLogoutService.php?ReturnTo=${encodeURIComponent(`${simple.url}/`)}`);
    assert.ok(away?.startsWith(`${sp.slo}?SAMLRequest=`), away);
    const answer = await person.request(away.slice(tulle.url.length));
    assert.equal(answer.status, 303, answer.html);
    assert.match(messageOf(answer.headers.location, 'SAMLResponse').xml, /status:Success/);
    const done = await visit.go(answer.headers.location);
    assert.doesNotMatch(done.text ?? '', /error/i);
    assert.equal(await person.who(), undefined);
    assert.equal(await other.person.who(), 'bob@corp.example', 'nobody else');
});

test('what SimpleSAMLphp begins by itself asks the person first, where it is allowed', async () => {
    const { item } = await tulle.use('ORGANIZATION_SSO_CREATE', { type: 'saml', name: 'Begins', idp_metadata_xml: await simple.metadata(), allow_idp_initiated: true }, org);
    const begins = await readSp(tulle, item);
    for (const [at, isAllowed] of [[begins, true], [sp, false]]) {
        simple.register([{ sp: at }]);
        const [person, visit] = [new SamlPerson(tulle), new Visit(simple)];
        const back = await visit.signIn(`${simple.url}/saml2/idp/SSOService.php?spentityid=${encodeURIComponent(at.entityId)}&RelayState=/account`, 'bob');
        const page = await person.deliver({ ...at, relayState: '/account' }, null, { encoded: back.encoded });
        if (isAllowed) {
            assert.match(page.text, /as bob@corp\.example/);
            // The account belongs to the first provider's name for the person: another provider cannot take it over.
            await person.submit(`/auth/saml/${at.id}/finish`);
        } else {
            assert.match(page.text, /\(saml_unsolicited\)/);
        }
    }
});

test('requests go by a form where a provider wants that, signed within', async () => {
    const idp = new ForgedIdp();
    const { item } = await tulle.use('ORGANIZATION_SSO_CREATE', { type: 'saml', name: 'Post', idp_metadata_xml: idp.metadata({ binding: 'HTTP-POST' }) }, org);
    const page = await new SamlPerson(tulle).request(`/auth/saml/${item.id}/start`);
    assert.equal(page.status, 200);
    const { fields } = page.form(idp.ssoUrl);
    const xml = Buffer.from(fields.SAMLRequest, 'base64').toString();
    assert.match(xml, /<saml:Issuer>[^<]*<\/saml:Issuer><ds:Signature/);
    assert.match(page.headers['content-security-policy'], /form-action 'self' https:\/\/idp\.example/);
    assert.ok(fields.RelayState.length <= 80);
});

test('the address can be the NameID', async () => {
    const idp = new ForgedIdp();
    const { sp: at } = await addProvider(tulle, org, idp, { name: 'Addresses', name_id_format: emailFormat });
    const person = new SamlPerson(tulle);
    const there = await person.leave(at);
    assert.match(there.request, /NameIDPolicy AllowCreate="true" Format="urn:oasis:names:tc:SAML:1\.1:nameid-format:emailAddress"/);
    await person.deliver(there, idp.respond(there, { name: 'nan@corp.example', nameIdFormat: emailFormat, attributes: {} }));
    assert.equal(await person.who(), 'nan@corp.example');
});
