// SAML 2.0 sign-in with an identity provider that thousands use (Debian's SimpleSAMLphp), and with one of our own.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { onward } from './lib/browser.mjs';
import { addProvider, proveDomain, readSp, SamlPerson, startForSaml } from './lib/saml.mjs';
import { emailFormat, ForgedIdp, messageOf } from './lib/saml-forge.mjs';
import { SimpleSaml, Visit } from './lib/simplesamlphp.mjs';
import { sql } from './lib/store.mjs';

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
