// SAML against an identity provider that signs correctly and says wrong things, and against forgers of what an honest one said.
// Numbers in brackets: the rows of the abuse matrix.
import assert from 'node:assert/strict';
import { deflateRawSync } from 'node:zlib';
import { after, before, test } from 'node:test';
import { Browser } from './lib/browser.mjs';
import { addProvider, proveDomain, readSp, SamlPerson, startForSaml } from './lib/saml.mjs';
import { enveloped, ForgedIdp, instant, makeCertificate, newId, ns, pemBody, signature } from './lib/saml-forge.mjs';
import { forgeries, harmless, strangeSignatures } from './lib/saml-forgeries.mjs';
import { sql } from './lib/store.mjs';

let tulle, org, idp, provider, sp;

before(async () => {
    tulle = await startForSaml({ TRUSTED_PROXIES: '127.0.0.1' });
    org = await tulle.makeOrg('corp');
    proveDomain(tulle, org, 'corp.example');
    idp = new ForgedIdp();
    ({ item: provider, sp } = await addProvider(tulle, org, idp));
});
after(() => tulle.end());

const eve = { name: 'eve-1', email: 'eve@corp.example' };

/** Sends what make(there) gives; the page, and who is signed in then. */
async function attempt(make, { at = sp, ...options } = {}) {
    const person = new SamlPerson(tulle);
    const there = await person.leave(at);
    const made = make(there);
    const page = await person.deliver(there, made, options).catch((error) => {
        if (!['EPIPE', 'ECONNRESET'].includes(error.code)) throw error;
        return { status: 413, text: 'cut off: far too long' };
    });
    return { page, who: await person.who(), person, there, made };
}

async function refused(make, code, what = code) {
    const { page, who } = await attempt(make);
    assert.equal(who, undefined, `${what}: signed in`);
    assert.ok(page.status >= 400 && page.status < 500, `${what}: ${page.status} ${page.text}`);
    if (code) assert.match(page.text, new RegExp(`\\(${code}\\)`), what);
}

async function accepted(make, what) {
    const { page, who } = await attempt(make);
    assert.equal(who, 'ada@corp.example', `${what}: ${page.text}`);
}

/** Each way to say a thing wrongly, with the code of its refusal. */
async function eachRefused(cases, how) {
    for (const [what, [say, code]] of Object.entries(cases)) await refused((there) => idp.respond(there, typeof say === 'function' ? say(there) : say, how), code, what);
}

// ---- what a provider may say wrongly (reference: the 17 checks) ----

test('versions must be 2.0 (check 1)', () => eachRefused({
    'response 1.1': [{ responseVersion: '1.1' }, 'saml_version'],
    'response 2.1': [{ responseVersion: '2.1' }, 'saml_version'],
    'assertion 1.1': [{ version: '1.1' }, 'saml_version'],
}));

test('only a top-level Success is one (check 2) [167]', () => eachRefused({
    'Requester': [{ statusCode: 'urn:oasis:names:tc:SAML:2.0:status:Requester' }, 'saml_status'],
    'Success within Requester': [{ status: `<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Requester"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"></samlp:StatusCode></samlp:StatusCode></samlp:Status>` }, 'saml_status'],
    'none': [{ status: '' }, 'saml_status'],
    'a longer one': [{ statusCode: 'urn:oasis:names:tc:SAML:2.0:status:SuccessX' }, 'saml_status'],
}));

test('Destination is the address exactly, and present in a signed response (check 3) [166]', async () => {
    const wrong = { 'another': [{ destination: 'https://other.example/acs' }, 'saml_destination'], 'longer': [(there) => ({ destination: `${there.acs}/x` }), 'saml_destination'],
        'shorter': [(there) => ({ destination: there.acs.slice(0, -1) }), 'saml_destination'], 'empty': [{ destination: '' }, 'saml_destination'] };
    await eachRefused(wrong);
    await eachRefused({ ...wrong, absent: [{ destination: null }, 'saml_destination'] }, { sign: 'response' });
    await accepted((there) => idp.respond(there, { destination: null }), 'absent in an unsigned response');
});

test('issuers must be the provider (check 4) [173]', async () => {
    await eachRefused({
        'of the response': [{ responseIssuer: 'https://other.example' }, 'saml_issuer'],
        'of the assertion': [{ issuer: 'https://other.example' }, 'saml_issuer'],
        'prefix': [{ issuer: `${idp.entityId}/` }, 'saml_issuer'],
        'another format': [{ issuerFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified' }, 'saml_issuer'],
    });
    await accepted((there) => idp.respond(there, { responseIssuer: null }), 'a response without issuer');
});

test('InResponseTo is this browser\'s open request, in both places (check 5) [169]', async () => {
    await eachRefused({
        'unknown': [{ inResponseTo: newId() }, 'saml_in_response_to'],
        'only in the response': [(there) => ({ inResponseTo: null, responseInResponseTo: there.requestId }), 'saml_in_response_to'],
        'only in the assertion': [{ responseInResponseTo: null }, 'saml_in_response_to'],
        'another in the response': [{ responseInResponseTo: newId() }, 'saml_in_response_to'],
    });
    const first = await attempt((there) => idp.respond(there));
    assert.equal(first.who, 'ada@corp.example');
    const again = await new SamlPerson(tulle).deliver(first.there, idp.respond(first.there));
    assert.match(again.text, /not begun in this browser/, 'a request answered twice');
    const other = await addProvider(tulle, org, idp, { name: 'Other' });
    const elsewhere = await new SamlPerson(tulle).leave(other.sp);
    await refused((there) => idp.respond({ ...there, requestId: elsewhere.requestId }), 'saml_in_response_to', 'a request to another provider');
    await refused((there) => idp.respond({ ...other.sp, requestId: there.requestId }), null, 'an answer for another provider');
    const victim = new SamlPerson(tulle);
    const attacker = new SamlPerson(tulle);
    const there = await attacker.leave(sp);
    const page = await victim.deliver(there, idp.respond(there));
    assert.equal(page.status, 403);
    assert.equal(await victim.who(), undefined, 'another browser');
    const silent = await attempt((here) => idp.respond(here), { relayState: '' });
    assert.match(silent.page.text, /\(saml_in_response_to\)/, 'no relay state');
});

test('IssueInstant is now (check 6)', async () => {
    const now = Date.now();
    await eachRefused({
        'a day old': [{ issueInstant: instant(now - 86_400_000) }, 'saml_issue_instant'],
        'response a day old': [{ responseIssueInstant: instant(now - 86_400_000) }, 'saml_issue_instant'],
        'in the future': [{ issueInstant: instant(now + 600_000) }, 'saml_issue_instant'],
        'without zone': [{ issueInstant: instant(now).slice(0, -1) }, 'saml_issue_instant'],
        'absent': [{ issueInstant: null }, 'saml_issue_instant'],
        'no time': [{ issueInstant: 'now' }, 'saml_issue_instant'],
    });
    await accepted((there) => idp.respond(there, { issueInstant: new Date().toISOString() }), 'with a fraction');
    await accepted((there) => idp.respond(there, { issueInstant: instant(Date.now() + 7_200_000).replace('Z', '+02:00') }), 'with an offset');
});

test('there is one NameID that says something and stays (checks 7 and 16) [175]', async () => {
    const nameId = '<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">ada-17</saml:NameID>';
    await eachRefused({
        'none': [{ nameId: null }, 'saml_name_id'],
        'two': [{ nameId: nameId + nameId }, 'saml_name_id'],
        'empty': [{ name: '' }, 'saml_name_id'],
        'spaces': [{ name: '   ' }, 'saml_name_id'],
        '257 bytes': [{ name: 'x'.repeat(257) }, 'saml_name_id'],
        'newline': [{ name: 'ada\n17' }, 'saml_name_id'],
        'with an element': [{ rawName: '<saml:x></saml:x>ada' }, 'saml_name_id'],
        'EncryptedID': [{ nameId: '<saml:EncryptedID>x</saml:EncryptedID>' }, 'saml_name_id'],
        'transient': [{ nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient' }, 'saml_name_id_transient'],
    });
});

test('a bearer confirms for this address, now (check 8) [166 168]', async () => {
    const now = Date.now();
    await eachRefused({
        'no confirmation': [{ confirmation: null }, 'saml_confirmation'],
        'holder of key': [{ method: 'urn:oasis:names:tc:SAML:2.0:cm:holder-of-key' }, 'saml_confirmation'],
        'sender vouches': [{ method: 'urn:oasis:names:tc:SAML:2.0:cm:sender-vouches' }, 'saml_confirmation'],
        'no data': [{ data: '' }, 'saml_confirmation'],
        'no recipient': [{ recipient: null }, 'saml_recipient'],
        'another recipient': [{ recipient: 'https://other.example/acs' }, 'saml_recipient'],
        'a longer recipient': [(there) => ({ recipient: `${there.acs}?x` }), 'saml_recipient'],
        'a shorter recipient': [(there) => ({ recipient: there.acs.slice(0, -4) }), 'saml_recipient'],
        'NotBefore': [{ dataNotBefore: instant(now - 60_000) }, 'saml_confirmation'],
        'no NotOnOrAfter': [{ dataNotOnOrAfter: null }, 'saml_confirmation_expired'],
        'over': [{ dataNotOnOrAfter: instant(now - 90_000) }, 'saml_confirmation_expired'],
    });
    await accepted((there) => idp.respond(there, { dataNotOnOrAfter: instant(Date.now() - 30_000) }), 'over by less than the clocks may differ');
});

test('Conditions hold now and not for long (check 9) [168]', async () => {
    const now = Date.now();
    await eachRefused({
        'none': [{ conditions: null }, 'saml_conditions'],
        'over': [{ notOnOrAfter: instant(now - 90_000), notBefore: instant(now - 200_000) }, 'saml_expired'],
        'not yet': [{ notBefore: instant(now + 120_000) }, 'saml_not_yet'],
        'no end': [{ notOnOrAfter: null }, 'saml_conditions'],
        'two days': [{ notOnOrAfter: instant(now + 2 * 86_400_000) }, 'saml_conditions'],
        'ends before it begins': [{ notBefore: instant(now - 10_000), notOnOrAfter: instant(now - 20_000) }, 'saml_conditions'],
    });
    await accepted((there) => idp.respond(there, { notBefore: instant(Date.now() + 40_000) }), 'not yet by less than the clocks may differ');
    await accepted((there) => idp.respond(there, { notBefore: null }), 'without beginning');
});

test('every audience restriction names us (check 10) [166]', async () => {
    const audience = (...names) => `<saml:AudienceRestriction>${names.map((name) => `<saml:Audience>${name}</saml:Audience>`).join('')}</saml:AudienceRestriction>`;
    await eachRefused({
        'none': [{ restriction: null }, 'saml_audience'],
        'another': [{ audience: 'https://other.example' }, 'saml_audience'],
        'longer': [(there) => ({ audience: `${there.entityId}/` }), 'saml_audience'],
        'shorter': [(there) => ({ audience: there.entityId.slice(0, -1) }), 'saml_audience'],
        'empty': [{ restriction: audience() }, 'saml_audience'],
        'one of two restrictions': [{ moreConditions: audience('https://other.example') }, 'saml_audience'],
    });
    await accepted((there) => idp.respond(there, { restriction: audience('https://other.example', there.entityId) }), 'one of two audiences');
});

test('an unknown condition makes the assertion worthless (check 11)', async () => {
    await eachRefused({
        'by its type': [{ moreConditions: '<saml:Condition xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x"></saml:Condition>' }, 'saml_condition'],
        'by its name': [{ moreConditions: '<saml:Weather></saml:Weather>' }, 'saml_condition'],
    });
    await accepted((there) => idp.respond(there, { moreConditions: '<saml:OneTimeUse></saml:OneTimeUse><saml:ProxyRestriction></saml:ProxyRestriction>' }), 'known ones');
});

test('somebody has signed in there, and the session lasts (check 12)', async () => {
    const now = Date.now();
    await eachRefused({
        'no statement': [{ authn: null }, 'saml_authn'],
        'in the future': [{ authnInstant: instant(now + 600_000) }, 'saml_authn'],
        'without time': [{ authnInstant: null }, 'saml_authn'],
        'session over': [{ sessionNotOnOrAfter: instant(now - 1000) }, 'saml_session_over'],
        'session without a time': [{ sessionNotOnOrAfter: 'soon' }, 'saml_session_over'],
        'a long index': [{ sessionIndex: 'x'.repeat(300) }, 'saml_authn'],
    });
    const end = Math.floor(now / 1000) * 1000 + 3_600_000;
    const { who } = await attempt((there) => idp.respond(there, { sessionIndex: '_capped', sessionNotOnOrAfter: instant(end) }));
    assert.equal(who, 'ada@corp.example');
    assert.deepEqual(sql(tulle, "SELECT expires_at FROM browser_sessions WHERE provider_session = '_capped'").map((row) => Number(row.expires_at)), [end]);
});

test('an assertion works once, also when it comes twice at once (check 13) [171]', async () => {
    const person = new SamlPerson(tulle);
    const there = await person.leave(sp);
    const xml = idp.respond(there, { sessionIndex: '_once' });
    const pages = await Promise.all(Array.from({ length: 4 }, () => person.deliver(there, xml)));
    assert.equal(pages.filter((page) => page.status === 200).length, 1, pages.map((page) => page.text).join('\n'));
    const late = await person.deliver(there, xml);
    assert.match(late.text, /\(saml_replay\)/);
    assert.equal(sql(tulle, "SELECT id FROM browser_sessions WHERE provider_session = '_once'").length, 1);
});

test('attributes have one reading (check 14)', async () => {
    await eachRefused({
        'two addresses': [{ attributes: { mail: ['ada@corp.example', 'eve@corp.example'] } }, 'saml_attribute'],
        'an address twice': [{ more: '<saml:AttributeStatement><saml:Attribute Name="mail"><saml:AttributeValue>eve@corp.example</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>' }, 'saml_attribute'],
        'elements in a value': [{ attributes: { mail: [{ raw: '<saml:AttributeValue><saml:x>ada@corp.example</saml:x></saml:AttributeValue>' }] } }, 'saml_attribute'],
        'a long value': [{ attributes: { mail: ['ada@corp.example'], groups: ['g'.repeat(4097)] } }, 'saml_attribute'],
        '1,001 groups': [{ attributes: { mail: ['ada@corp.example'], groups: Array.from({ length: 1001 }, (_, i) => `g${i}`) } }, 'saml_attribute'],
        '201 attributes': [{ attributes: Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`a${i}`, ['x']])) }, 'saml_attribute'],
        'a newline in the address': [{ attributes: { mail: ['ada@corp.example\n.evil.example'] } }, 'saml_attribute'],
    });
    await accepted((there) => idp.respond(there, { attributes: { mail: ['ada@corp.example'], displayName: [''], groups: [] } }), 'an empty name');
});

test('an address of another domain joins and links nobody (check 15) [174]', async () => {
    const victim = await tulle.makeOrg('victim');
    const { page, who } = await attempt((there) => idp.respond(there, { name: 'm-1', email: victim.email }));
    assert.equal(who, undefined);
    assert.equal(page.status, 403);
    const stranger = await attempt((there) => idp.respond(there, { name: 'm-2', email: 'new@other.example' }));
    assert.equal(stranger.who, undefined);
});

test('an account is the provider\'s name for it, never the address (check 16)', async () => {
    const first = await attempt((there) => idp.respond(there, { name: 'kim-1', email: 'kim@corp.example' }));
    assert.equal(first.who, 'kim@corp.example');
    const renamed = await attempt((there) => idp.respond(there, { name: 'kim-1', email: 'someone@corp.example' }));
    assert.equal(renamed.who, 'kim@corp.example', 'the same name with another address is the same person');
    const other = await attempt((there) => idp.respond(there, { name: 'kim-2', email: 'kim@corp.example' }));
    assert.equal(other.who, undefined, 'another name with the same address is nobody');
    const format = await attempt((there) => idp.respond(there, { name: 'kim-1', nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified', email: 'kim@corp.example' }));
    assert.equal(format.who, undefined, 'the same name in another format is another name');
});

test('the session says who proved it (check 17)', async () => {
    await attempt((there) => idp.respond(there, { sessionIndex: '_proof' }));
    assert.deepEqual(sql(tulle, "SELECT proof, proof_org_id FROM browser_sessions WHERE provider_session = '_proof'").map((row) => ({ ...row })),
        [{ proof: provider.id, proof_org_id: org.org_id }]);
});

test('refusals are in the organization\'s audit log, without the assertion', async () => {
    await refused((there) => idp.respond(there, { audience: 'https://audited.example' }), 'saml_audience');
    const { items } = await tulle.use('ORGANIZATION_AUDIT_LIST', { limit: 100 }, org);
    assert.ok(JSON.stringify(items).includes('saml_audience'), JSON.stringify(items.slice(0, 3)));
    assert.ok(!JSON.stringify(items).includes('<saml:'));
});

// ---- forgers ----

const kinds = {
    'assertion signed': [{ assertion: true }, { sign: 'assertion' }],
    'response signed': [{ response: true }, { sign: 'response' }],
    'both signed': [{ response: true, assertion: true }, { sign: 'both' }],
    'signed assertion encrypted': [{ assertion: true, encrypted: true }, { sign: 'assertion', encrypt: {} }],
    'response signed over an encrypted assertion': [{ response: true, encrypted: true }, { sign: 'response', encrypt: {} }],
};

async function forgeAll(name) {
    const [kind, how] = kinds[name];
    await accepted((there) => idp.respond(there, {}, how), `the genuine answer, ${name}`);
    const probe = forgeries(kind, { xml: idp.respond({ ...sp, requestId: newId() }, {}, how), evilAssertion: (id) => idp.assertion(sp, { ...eve, assertionId: id }), envelope: (content, id) => idp.envelope(sp, content, { responseId: id }) });
    for (let i = 0; i < probe.length; i++) {
        let xml;
        const { who, page, made } = await attempt((there) => {
            xml = idp.respond(there, {}, how);
            return forgeries(kind, {
                xml, evilAssertion: (id) => idp.assertion(there, { ...eve, assertionId: id }),
                envelope: (content, id) => idp.envelope(there, content, { responseId: id }),
            })[i][1];
        });
        // What is encrypted cannot be edited by text; around an assertion that alone is signed, edits may leave it as it was.
        const mayStay = made === xml || (kind.encrypted && !kind.response);
        if (mayStay && who === 'ada@corp.example') continue;
        assert.equal(who, undefined, `${name}, ${probe[i][0]}: signed in as ${who} by\n${made}`);
        assert.ok(page.status >= 400 && page.status < 500, `${name}, ${probe[i][0]}: ${page.status} ${page.text}`);
    }
    for (const [what, change] of Object.entries(harmless)) {
        const { who } = await attempt((there) => change({ xml: idp.respond(there, {}, how) }));
        assert.ok(who === 'ada@corp.example' || who === undefined, `${name}, ${what}: ${who}`);
    }
}

test('no forgery of a signed assertion signs anybody in [158 159 164 165 181]', () => forgeAll('assertion signed'));
test('no forgery of a signed response signs anybody in [158 159 164 165 181]', () => forgeAll('response signed'));
test('no forgery signs anybody in when both are signed [158 159 164 165 181]', () => forgeAll('both signed'));
test('no forgery of an encrypted assertion signs anybody in [158 159 164 165 181]', () => forgeAll('signed assertion encrypted'));
test('no forgery of a signed response with an encrypted assertion signs anybody in', () => forgeAll('response signed over an encrypted assertion'));

test('a signature that is more than SAML needs is none, even by the right key [160 162 163]', async () => {
    for (const sign of ['assertion', 'response'])
        for (const [what, plan] of Object.entries(strangeSignatures)) await refused((there) => idp.respond(there, {}, { sign, signature: plan }), 'saml_signature', `${what}, ${sign}`);
    const outer = (there) => {
        const text = idp.assertion(there);
        return idp.envelope(there, text + signature(text, newId(), idp.pair));
    };
    await refused(outer, null, 'a signature beside the assertion');
});

test('only the provider\'s certificate counts, whatever KeyInfo says [160 161]', async () => {
    const other = makeCertificate();
    const jwk = new (await import('node:crypto')).X509Certificate(other.cert).publicKey.export({ format: 'jwk' });
    const b64 = (s) => Buffer.from(s, 'base64url').toString('base64');
    const keyValue = `<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>${b64(jwk.n)}</ds:Modulus><ds:Exponent>${b64(jwk.e)}</ds:Exponent></ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>`;
    const certificate = `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>${pemBody(idp.pair.cert)}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`;
    for (const sign of ['assertion', 'response', 'both']) {
        await refused((there) => idp.respond(there, eve, { sign, pair: other }), 'saml_signature', `another key, ${sign}`);
        await refused((there) => idp.respond(there, eve, { sign, pair: other, signature: { keyInfo: keyValue } }), 'saml_signature', `KeyValue, ${sign}`);
        await refused((there) => idp.respond(there, eve, { sign, pair: other, signature: { keyInfo: certificate } }), 'saml_signature', `somebody else's certificate, ${sign}`);
        await refused((there) => idp.respond(there, eve, { sign, signature: { signatureMethod: `${ns.more}hmac-sha256`, mac: idp.pair.cert } }), 'saml_signature', `HMAC with the certificate, ${sign}`);
        await refused((there) => idp.respond(there, eve, { sign, signature: { signatureMethod: `${ns.dsig}hmac-sha1`, mac: '' } }), 'saml_signature', `HMAC with nothing, ${sign}`);
    }
    await refused((there) => idp.respond(there, eve, { sign: 'none' }), 'saml_unsigned', 'unsigned');
    await accepted((there) => idp.respond(there, {}, { signature: { keyInfo: '' } }), 'the right key without KeyInfo');
});

test('stronger digests and elliptic curves are read', async () => {
    for (const bits of [384, 512]) await accepted((there) => idp.respond(there, {}, { signature: { signatureMethod: `${ns.more}rsa-sha${bits}`, digestMethod: bits === 512 ? `${ns.enc}sha512` : `${ns.more}sha384` } }), `SHA-${bits}`);
    const curve = new ForgedIdp({ entityId: 'https://curve.example', pair: makeCertificate({ ec: 'P-256' }) });
    const made = await addProvider(tulle, org, curve, { name: 'Curve' });
    const { who } = await attempt((there) => curve.respond(there, { name: 'cy', email: 'cy@corp.example' }, { signature: { signatureMethod: `${ns.more}ecdsa-sha256` } }), { at: made.sp });
    assert.equal(who, 'cy@corp.example');
});

test('two assertions, each signed, are one too many [176]', async () => {
    await refused((there) => {
        const one = enveloped(idp.assertion(there), idp.pair);
        const two = enveloped(idp.assertion(there, eve), idp.pair);
        return idp.envelope(there, one + two);
    }, 'saml_structure');
});

test('an encrypted assertion is read in allowed ways only, and every failure says the same [177]', async () => {
    const ways = {
        'RSA 1.5': { keyMethod: `${ns.enc}rsa-1_5` },
        '3DES': { dataMethod: `${ns.enc}tripledes-cbc` },
        'CBC': { dataMethod: `${ns.enc}aes128-cbc` },
        'a truncated tag': { damage: (bytes) => bytes.subarray(0, -4) },
        'a flipped bit': { damage: (bytes) => Buffer.concat([bytes.subarray(0, 40), Buffer.from([bytes[40] ^ 1]), bytes.subarray(41)]) },
        'nothing': { damage: () => Buffer.alloc(0) },
    };
    const pages = [];
    for (const [what, encrypt] of Object.entries(ways)) {
        const { who, page } = await attempt((there) => idp.respond(there, {}, { encrypt }));
        assert.equal(who, undefined, what);
        pages.push(page.text.replaceAll(/[0-9a-f]{8}-[0-9a-f-]+|req_\w+/g, ''));
    }
    const foreign = await attempt((there) => idp.respond({ ...there, cert: makeCertificate().cert }, {}, { encrypt: {} }));
    assert.equal(foreign.who, undefined, 'another key');
    for (const text of pages) assert.match(text, /\(saml_encryption\)/);
    await accepted((there) => idp.respond(there, {}, { sign: 'response', encrypt: { dataMethod: `${ns.enc}aes128-cbc` } }), 'CBC under a signed response');
    await accepted((there) => idp.respond(there, {}, { encrypt: { beside: true } }), 'the key beside the data');
    await accepted((there) => idp.respond(there, {}, { encrypt: { dataMethod: `${ns.enc11}aes128-gcm` } }), 'AES-128-GCM');
    await refused((there) => idp.respond(there, eve, { sign: 'none', encrypt: {} }), 'saml_unsigned', 'encrypted and unsigned');
});

// ---- the addresses ----

test('the consumer takes one form by POST, within bounds [157 158]', async () => {
    const browser = new Browser(tulle.url);
    assert.equal((await browser.request(`/auth/saml/${sp.id}/acs`)).status, 405);
    const post = (body, headers) => browser.request(`/auth/saml/${sp.id}/acs`, { method: 'POST', body, headers: { origin: 'null', ...headers } });
    assert.equal((await post('SAMLResponse=PGEvPg%3D%3D&SAMLResponse=PGEvPg%3D%3D')).status, 400);
    assert.equal((await post('')).status, 400);
    assert.equal((await post('SAMLResponse=!!!')).status, 400);
    assert.equal((await post('SAMLResponse=PGEvPg')).status, 400, 'without padding');
    assert.equal((await post(`SAMLResponse=${encodeURIComponent(Buffer.alloc(257 * 1024, 'a').toString('base64'))}`)).status, 400);
    assert.equal((await post(`SAMLResponse=${'A'.repeat(1 << 20)}`)).status, 413);
    assert.equal((await browser.request('/auth/saml/idp_00000000000000000000000000000000/acs', { method: 'POST', body: 'SAMLResponse=PGEvPg%3D%3D' })).status, 404);
});

test('RelayState leads nowhere but home [178]', async () => {
    for (const relayState of ['https://evil.example/', '//evil.example', '/\\evil.example', 'javascript:1', 'x'.repeat(10_240)]) {
        const { who, page } = await attempt((there) => idp.respond(there), { relayState });
        assert.equal(who, undefined);
        assert.ok(page.url.startsWith(tulle.url), page.url);
    }
});

test('what the provider begins by itself needs leave, and asks the person [170 178]', async () => {
    const unasked = (at) => idp.respond({ ...at, requestId: undefined }, { name: 'uma', email: 'uma@corp.example', inResponseTo: null });
    const first = await new SamlPerson(tulle).deliver({ ...sp, relayState: undefined }, unasked(sp));
    assert.match(first.text, /\(saml_unsolicited\)/);
    const { sp: open } = await addProvider(tulle, org, idp, { name: 'Open', allow_idp_initiated: true });
    for (const [relayState, path] of [['/account', '/account'], ['https://evil.example/', '/account'], ['//evil.example', '/account']]) {
        const uma = new SamlPerson(tulle);
        const page = await uma.deliver(open, unasked(open), { relayState });
        assert.equal(page.status, 200, page.text);
        assert.match(page.text, /Sign in\? You are about to sign in to The corp as uma@corp\.example/);
        assert.equal(await uma.who(), undefined, 'not before the person says so');
        const done = await uma.submit(`/auth/saml/${open.id}/finish`);
        assert.equal(done.path, path);
        assert.equal(await uma.who(), 'uma@corp.example');
    }
    const asked = await new SamlPerson(tulle).deliver({ ...open, relayState: '/account' }, idp.respond({ ...open, requestId: newId() }));
    assert.match(asked.text, /\(saml_in_response_to\)/, 'an answer to nothing is not taken for one that nobody asked for');
});

test('a provider that was switched off meanwhile signs nobody in [179]', async () => {
    const made = await addProvider(tulle, org, idp, { name: 'Off' });
    const person = new SamlPerson(tulle);
    const there = await person.leave(made.sp);
    await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: made.item.id, enabled: false }, org);
    const page = await person.deliver(there, idp.respond(there));
    assert.equal(page.status, 404);
    assert.equal(await person.who(), undefined);
});

test('an organization\'s provider is no other organization\'s [172]', async () => {
    const other = await tulle.makeOrg('acme');
    proveDomain(tulle, other, 'acme.example');
    const theirs = new ForgedIdp({ entityId: 'https://acme-idp.example' });
    const made = await addProvider(tulle, other, theirs);
    const { who, page } = await attempt((there) => theirs.respond(there));
    assert.equal(who, undefined);
    assert.match(page.text, /\(saml_(issuer|signature)\)/);
    const named = await attempt((there) => new ForgedIdp({ entityId: idp.entityId, pair: theirs.pair }).respond(there));
    assert.match(named.page.text, /\(saml_signature\)/);
    const linked = await attempt((there) => theirs.respond(there, { email: 'ada@corp.example', name: 'ada-17' }), { at: made.sp });
    assert.equal(linked.who, undefined, 'the address of somebody in another organization');
});

test('certificates roll over: both while both are listed, the old one not after [180]', async () => {
    const [old, next] = [idp.pair, makeCertificate()];
    const made = await addProvider(tulle, org, idp, { name: 'Rolling', idp_metadata_xml: idp.metadata({ certs: [old.cert, next.cert] }) });
    const by = (pair) => attempt((there) => idp.respond(there, { name: 'rolf', email: 'rolf@corp.example' }, { pair }), { at: made.sp });
    assert.equal((await by(old)).who, 'rolf@corp.example');
    assert.equal((await by(next)).who, 'rolf@corp.example');
    await tulle.use('ORGANIZATION_SSO_UPDATE', { provider_id: made.item.id, certificates: [next.cert] }, org);
    assert.equal((await by(old)).who, undefined);
    assert.equal((await by(next)).who, 'rolf@corp.example');
});

test('metadata that is hostile, weak or empty is refused [185]', async () => {
    const add = (fields) => tulle.refuse('ORGANIZATION_SSO_CREATE', { type: 'saml', name: 'Bad', ...fields }, org, [400, 502]);
    await add({ idp_metadata_xml: `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>${idp.metadata()}` });
    await add({ idp_metadata_xml: '<a/>' });
    await add({ idp_metadata_xml: idp.metadata({ certs: [] }) });
    await add({ idp_metadata_xml: idp.metadata({ certs: [makeCertificate({ bits: 1024 }).cert] }) });
    await add({ idp_metadata_xml: idp.metadata({ binding: 'SOAP' }) });
    await add({ idp_metadata_url: 'http://169.254.169.254/metadata' });
    await add({ idp_entity_id: 'x', sso_url: 'javascript:alert(1)', certificates: [idp.pair.cert] });
    await add({ idp_entity_id: 'x', sso_url: 'https://idp.example/', certificates: ['not a certificate'] });
    await add({});
});

// ---- log-out ----

test('a log-out that the provider did not sign, or not for us, ends nothing [182 183 184]', async () => {
    const { person } = await attempt((there) => idp.respond(there, { sessionIndex: '_stays' }));
    const slo = (query) => new Browser(tulle.url).request(`/auth/saml/${sp.id}/slo?${query}`);
    const whole = idp.logoutQuery(sp);
    const [message, relay, algorithm, signed] = whole.split('&');
    const queries = {
        'unsigned': idp.logoutQuery(sp, {}, { unsigned: true }),
        'by another key': idp.logoutQuery(sp, {}, { pair: makeCertificate() }),
        'reordered': [relay, message, algorithm, signed].join('&'),
        'with more behind': `${whole}&x=1`,
        'with another RelayState': whole.replace('RelayState=over', 'RelayState=other'),
        'from another issuer': idp.logoutQuery(sp, { issuer: 'https://other.example' }),
        'to another address': idp.logoutQuery(sp, { destination: 'https://other.example/slo' }),
        'old': idp.logoutQuery(sp, { issueInstant: instant(Date.now() - 3_600_000) }),
        'over': idp.logoutQuery(sp, { notOnOrAfter: instant(Date.now() - 600_000) }),
        'a bomb': idp.logoutQuery(sp, {}, { bytes: deflateRawSync(Buffer.alloc(64 << 20, ' ')) }).slice(0, 7000),
        'no DEFLATE': idp.logoutQuery(sp, {}, { bytes: Buffer.from('<a/>') }),
    };
    for (const [what, query] of Object.entries(queries)) {
        const page = await slo(query);
        assert.ok(page.status >= 400 && page.status < 500, `${what}: ${page.status}`);
    }
    const form = new URLSearchParams({ SAMLRequest: deflateRawSync(Buffer.alloc(200 << 10, 'a')).toString('base64') });
    assert.equal((await new Browser(tulle.url).request(`/auth/saml/${sp.id}/slo`, { method: 'POST', body: form.toString() })).status, 403);
    assert.equal((await slo(idp.logoutQuery(sp, { name: 'somebody-else' }))).status, 303, 'nobody of ours');
    assert.equal((await slo(idp.logoutQuery(sp, { sessionIndex: '_another' }))).status, 303, 'another session');
    assert.equal(await person.who(), 'ada@corp.example');
});

test('a log-out works once, and however its query is escaped [184]', async () => {
    const { person } = await attempt((there) => idp.respond(there, { sessionIndex: '_ends' }));
    const lower = (text) => encodeURIComponent(text).replaceAll(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
    const query = idp.logoutQuery(sp, { sessionIndex: '_ends' }, { escape: lower });
    const page = await new Browser(tulle.url).request(`/auth/saml/${sp.id}/slo?${query}`);
    assert.equal(page.status, 303, page.html);
    assert.equal(await person.who(), undefined);
    assert.equal((await new Browser(tulle.url).request(`/auth/saml/${sp.id}/slo?${query}`)).status, 403, 'twice');
});

test('after all that, a genuine answer still signs in', async () => {
    assert.deepEqual(await readSp(tulle, provider), sp);
    await accepted((there) => idp.respond(there), 'genuine');
});

test('answers that are refused are counted by address; nobody else waits, and right ones count nothing', async () => {
    const at = async (address, right) => {
        const person = new SamlPerson(tulle);
        const there = await person.leave(sp);
        const xml = idp.respond(there, right ? {} : { issuer: 'https://else.example' });
        return (await person.post(there, xml, { headers: { 'x-forwarded-for': address } })).status;
    };
    for (let i = 0; i < 25; i++) assert.equal(await at('203.0.113.9', true), 303);
    const since = Date.now();
    let n = 0;
    while (await at('203.0.113.9', false) === 303 && n < 60) n++;
    assert.ok(n >= 20 && n <= 20 + Math.ceil((Date.now() - since) / 3000), `${n} bad ones, and one more comes back every three seconds`);
    assert.equal(await at('203.0.113.10', true), 303);
});
