// A SAML identity provider that signs correctly and says what it is told, and forgeries of what it said. All XML here is written
// in its canonical form (attributes in order, namespaces where they are used, no empty-element tags), so that digests and
// signatures can be made from the text itself.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { constants, createCipheriv, createHash, createHmac, createPublicKey, publicEncrypt, randomBytes, sign, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';

export const ns = {
    protocol: 'urn:oasis:names:tc:SAML:2.0:protocol',
    assertion: 'urn:oasis:names:tc:SAML:2.0:assertion',
    metadata: 'urn:oasis:names:tc:SAML:2.0:metadata',
    dsig: 'http://www.w3.org/2000/09/xmldsig#',
    enc: 'http://www.w3.org/2001/04/xmlenc#',
    enc11: 'http://www.w3.org/2009/xmlenc11#',
    more: 'http://www.w3.org/2001/04/xmldsig-more#',
    exc: 'http://www.w3.org/2001/10/xml-exc-c14n#',
};
export const success = 'urn:oasis:names:tc:SAML:2.0:status:Success';
export const emailFormat = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress';
export const persistentFormat = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';

/** An RSA key and a certificate for it: {key (PEM), cert (PEM)}. */
export function makeCertificate({ bits = 2048, ec } = {}) {
    const dir = mkdtempSync(join(tmpdir(), 'tulle-saml-'));
    try {
        const kind = ec ? ['-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${ec}`] : ['-newkey', `rsa:${bits}`];
        const made = spawnSync('openssl', ['req', '-x509', ...kind, '-nodes', '-days', '30', '-subj', '/CN=test idp',
            '-keyout', join(dir, 'key'), '-out', join(dir, 'cert')], { encoding: 'utf8' });
        assert.equal(made.status, 0, made.stderr);
        return { key: readFileSync(join(dir, 'key'), 'utf8'), cert: readFileSync(join(dir, 'cert'), 'utf8') };
    } finally {
        rmSync(dir, { recursive: true, force: true });
    }
}

export const pemBody = (pem) => pem.replaceAll(/-----[^-]+-----|\s/g, '');
export const escapeXml = (s) => String(s).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
export const newId = () => `_${randomBytes(20).toString('hex')}`;
/** Whole seconds, as most identity providers write it. */
export const instant = (ms) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
export const idOf = (xml) => / ID="([^"]*)"/.exec(xml)[1];

/** Attributes in canonical order; undefined ones are left out. */
function attributes(values) {
    return Object.keys(values).filter((name) => values[name] !== undefined).sort().map((name) => ` ${name}="${escapeXml(values[name])}"`).join('');
}

// ---- signatures ----

const hashName = (algorithm) => /sha(1|256|384|512)$/.exec(algorithm)[0];

/** A ds:Signature over the canonical text of an element with this id. */
export function signature(text, id, { key, cert }, plan = {}) {
    const method = plan.signatureMethod ?? `${ns.more}rsa-sha256`;
    const digestMethod = plan.digestMethod ?? `${ns.enc}sha256`;
    const digest = plan.digest ?? createHash(hashName(digestMethod)).update(text).digest('base64');
    const transforms = plan.transforms ?? `<ds:Transform Algorithm="${ns.dsig}enveloped-signature"></ds:Transform>` +
        `<ds:Transform Algorithm="${ns.exc}"></ds:Transform>`;
    const reference = `<ds:Reference${plan.uri === null ? '' : ` URI="${escapeXml(plan.uri ?? `#${id}`)}"`}><ds:Transforms>${transforms}</ds:Transforms>` +
        `<ds:DigestMethod Algorithm="${digestMethod}"></ds:DigestMethod><ds:DigestValue>${digest}</ds:DigestValue></ds:Reference>`;
    const inner = `<ds:CanonicalizationMethod Algorithm="${plan.canonical ?? ns.exc}"></ds:CanonicalizationMethod>` +
        `<ds:SignatureMethod Algorithm="${method}"></ds:SignatureMethod>${(plan.reference ?? ((r) => r))(reference)}`;
    const octets = Buffer.from(`<ds:SignedInfo xmlns:ds="${ns.dsig}">${inner}</ds:SignedInfo>`);
    let value;
    if (plan.mac !== undefined) value = createHmac(hashName(method), plan.mac).update(octets).digest('base64');
    else if (/ecdsa/.test(method)) value = sign(hashName(method), octets, { key, dsaEncoding: 'ieee-p1363' }).toString('base64');
    else value = sign(hashName(method), octets, key).toString('base64');
    return `<ds:Signature xmlns:ds="${ns.dsig}"><ds:SignedInfo>${inner}</ds:SignedInfo><ds:SignatureValue>${value}</ds:SignatureValue>` +
        (plan.keyInfo ?? `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>${pemBody(cert)}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`) +
        `${plan.object ?? ''}</ds:Signature>`;
}

/** The element with its signature behind the issuer, where SAML's schemas have it. */
export function enveloped(text, pair, plan = {}) {
    const at = text.indexOf('</saml:Issuer>') + '</saml:Issuer>'.length;
    return text.slice(0, at) + signature(text, idOf(text), pair, plan) + text.slice(at);
}

export const signatureOf = (xml) => /<ds:Signature .*?<\/ds:Signature>/s.exec(xml)[0];

// ---- encryption ----

/** An EncryptedAssertion for the service provider's certificate. */
export function encrypted(text, spCert, { dataMethod = `${ns.enc11}aes256-gcm`, keyMethod = `${ns.enc}rsa-oaep-mgf1p`, beside = false, damage } = {}) {
    const bits = Number(/aes(\d+)/.exec(dataMethod)?.[1] ?? 192);
    const key = randomBytes(bits / 8);
    let bytes;
    if (dataMethod.endsWith('-gcm')) {
        const iv = randomBytes(12);
        const cipher = createCipheriv(`aes-${bits}-gcm`, key, iv);
        bytes = Buffer.concat([iv, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
    } else {
        const isTriple = dataMethod.endsWith('tripledes-cbc');
        const iv = randomBytes(isTriple ? 8 : 16);
        const cipher = createCipheriv(isTriple ? 'des-ede3-cbc' : `aes-${bits}-cbc`, key, iv);
        bytes = Buffer.concat([iv, cipher.update(text), cipher.final()]);
    }
    if (damage) bytes = damage(bytes);
    const padding = keyMethod.endsWith('rsa-1_5') ? { padding: constants.RSA_PKCS1_PADDING } : { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' };
    const wrapped = publicEncrypt({ key: createPublicKey(spCert), ...padding }, key).toString('base64');
    const digest = keyMethod.endsWith('rsa-1_5') ? '' : `<ds:DigestMethod xmlns:ds="${ns.dsig}" Algorithm="${ns.dsig}sha1"></ds:DigestMethod>`;
    const encryptedKey = `<xenc:EncryptedKey xmlns:xenc="${ns.enc}"><xenc:EncryptionMethod Algorithm="${keyMethod}">${digest}</xenc:EncryptionMethod>` +
        `<xenc:CipherData><xenc:CipherValue>${wrapped}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>`;
    // The canonical form does not declare xenc again where it is declared already.
    const inner = encryptedKey.replace(` xmlns:xenc="${ns.enc}"`, '');
    return `<saml:EncryptedAssertion xmlns:saml="${ns.assertion}"><xenc:EncryptedData xmlns:xenc="${ns.enc}" Type="${ns.enc}Element">` +
        `<xenc:EncryptionMethod Algorithm="${dataMethod}"></xenc:EncryptionMethod>` +
        (beside ? '' : `<ds:KeyInfo xmlns:ds="${ns.dsig}">${inner.replace(` xmlns:ds="${ns.dsig}"`, '')}</ds:KeyInfo>`) +
        `<xenc:CipherData><xenc:CipherValue>${bytes.toString('base64')}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>` +
        `${beside ? encryptedKey : ''}</saml:EncryptedAssertion>`;
}

// ---- messages ----

/** One identity provider. */
export class ForgedIdp {
    constructor({ entityId = 'https://idp.example/saml', pair = makeCertificate() } = {}) {
        this.entityId = entityId;
        this.pair = pair;
        this.ssoUrl = `${entityId}/sso`;
        this.sloUrl = `${entityId}/slo`;
    }

    metadata({ certs = [this.pair.cert], slo = true, binding = 'HTTP-Redirect' } = {}) {
        const keys = certs.map((cert) => `<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>${pemBody(cert)}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`);
        const bindings = 'urn:oasis:names:tc:SAML:2.0:bindings:';
        return `<?xml version="1.0"?><md:EntityDescriptor xmlns:md="${ns.metadata}" xmlns:ds="${ns.dsig}" entityID="${this.entityId}">` +
            `<md:IDPSSODescriptor protocolSupportEnumeration="${ns.protocol}">${keys.join('')}` +
            (slo ? `<md:SingleLogoutService Binding="${bindings}HTTP-Redirect" Location="${this.sloUrl}"/>` : '') +
            `<md:SingleSignOnService Binding="${bindings}${binding}" Location="${this.ssoUrl}"/></md:IDPSSODescriptor></md:EntityDescriptor>`;
    }

    /** The assertion, unsigned. `say` changes what it says; null leaves a part out. */
    assertion(sp, say = {}) {
        const now = say.now ?? Date.now();
        const part = (name, text) => (say[name] === null ? '' : say[name] ?? text);
        const time = (name, ms) => (say[name] === null ? undefined : say[name] ?? instant(now + ms));
        const value = (name, fallback) => (say[name] === null ? undefined : say[name] ?? fallback);
        const people = say.attributes ?? { mail: [say.email ?? 'ada@corp.example'], displayName: ['Ada'], groups: say.groups ?? ['eng'] };
        const statement = Object.entries(people).map(([name, values]) => `<saml:Attribute${attributes({ Name: name })}>` +
            values.map((v) => (typeof v === 'object' ? v.raw : `<saml:AttributeValue>${escapeXml(v)}</saml:AttributeValue>`)).join('') + '</saml:Attribute>').join('');
        const data = say.data ?? `<saml:SubjectConfirmationData${attributes({ InResponseTo: value('inResponseTo', sp.requestId),
            NotBefore: say.dataNotBefore, NotOnOrAfter: time('dataNotOnOrAfter', 300_000), Recipient: value('recipient', sp.acs) })}></saml:SubjectConfirmationData>`;
        const nameId = part('nameId', `<saml:NameID${attributes({ Format: value('nameIdFormat', persistentFormat), NameQualifier: say.nameQualifier })}>${say.rawName ?? escapeXml(say.name ?? 'ada-17')}</saml:NameID>`);
        const confirmation = part('confirmation', `<saml:SubjectConfirmation${attributes({ Method: say.method ?? 'urn:oasis:names:tc:SAML:2.0:cm:bearer' })}>${data}</saml:SubjectConfirmation>`);
        const restriction = part('restriction', `<saml:AudienceRestriction><saml:Audience>${escapeXml(say.audience ?? sp.entityId)}</saml:Audience></saml:AudienceRestriction>`);
        const conditions = part('conditions', `<saml:Conditions${attributes({ NotBefore: time('notBefore', -30_000), NotOnOrAfter: time('notOnOrAfter', 300_000) })}>${restriction}${say.moreConditions ?? ''}</saml:Conditions>`);
        const authn = part('authn', `<saml:AuthnStatement${attributes({ AuthnInstant: time('authnInstant', -1000), SessionIndex: value('sessionIndex', `_s${newId()}`),
            SessionNotOnOrAfter: say.sessionNotOnOrAfter })}><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`);
        const issuer = part('issuerElement', `<saml:Issuer${attributes({ Format: say.issuerFormat })}>${escapeXml(say.issuer ?? this.entityId)}</saml:Issuer>`);
        return `<saml:Assertion xmlns:saml="${ns.assertion}"${attributes({ ID: say.assertionId ?? newId(), IssueInstant: time('issueInstant', 0), Version: say.version ?? '2.0' })}>` +
            `${issuer}<saml:Subject>${nameId}${confirmation}</saml:Subject>${conditions}${authn}` +
            `${part('statement', `<saml:AttributeStatement>${statement}</saml:AttributeStatement>`)}${say.more ?? ''}</saml:Assertion>`;
    }

    /** A response around `content`, unsigned. */
    envelope(sp, content, say = {}) {
        const now = say.now ?? Date.now();
        const value = (name, fallback) => (say[name] === null ? undefined : say[name] ?? fallback);
        const inResponseTo = say.responseInResponseTo === undefined ? say.inResponseTo : say.responseInResponseTo;
        const status = say.status ?? `<samlp:Status><samlp:StatusCode${attributes({ Value: say.statusCode ?? success })}></samlp:StatusCode></samlp:Status>`;
        const issuer = say.responseIssuer === null ? '' : `<saml:Issuer xmlns:saml="${ns.assertion}">${escapeXml(say.responseIssuer ?? this.entityId)}</saml:Issuer>`;
        return `<samlp:Response xmlns:samlp="${ns.protocol}"${attributes({ Destination: value('destination', sp.acs), ID: say.responseId ?? newId(),
            InResponseTo: inResponseTo === null ? undefined : inResponseTo ?? sp.requestId, IssueInstant: value('responseIssueInstant', instant(now)),
            Version: say.responseVersion ?? '2.0' })}>${issuer}${status}${content}</samlp:Response>`;
    }

    /** A whole response. how: {sign: assertion|response|both|none, encrypt: options or false, signature: plan}. */
    respond(sp, say = {}, { sign: what = 'assertion', encrypt = false, signature: plan = {}, pair = this.pair } = {}) {
        let assertion = this.assertion(sp, say);
        if (what === 'assertion' || what === 'both') assertion = enveloped(assertion, pair, plan);
        if (encrypt) assertion = encrypted(assertion, sp.cert, encrypt);
        const response = this.envelope(sp, assertion, say);
        return what === 'response' || what === 'both' ? enveloped(response, pair, plan) : response;
    }

    /** The address of a LogoutRequest by redirect, signed over its query. */
    logoutQuery(sp, say = {}, { escape = encodeURIComponent, pair = this.pair, unsigned = false, relayState = 'over', bytes } = {}) {
        const now = say.now ?? Date.now();
        const xml = `<samlp:LogoutRequest xmlns:samlp="${ns.protocol}"${attributes({ Destination: say.destination ?? sp.slo, ID: say.id ?? newId(),
            IssueInstant: say.issueInstant ?? instant(now), NotOnOrAfter: say.notOnOrAfter, Version: '2.0' })}>` +
            `<saml:Issuer xmlns:saml="${ns.assertion}">${escapeXml(say.issuer ?? this.entityId)}</saml:Issuer>` +
            `<saml:NameID xmlns:saml="${ns.assertion}"${attributes({ Format: say.nameIdFormat ?? persistentFormat })}>${escapeXml(say.name ?? 'ada-17')}</saml:NameID>` +
            (say.sessionIndex ? `<samlp:SessionIndex>${escapeXml(say.sessionIndex)}</samlp:SessionIndex>` : '') + '</samlp:LogoutRequest>';
        const message = (bytes ?? deflateRawSync(Buffer.from(xml))).toString('base64');
        const text = `SAMLRequest=${escape(message)}${relayState === null ? '' : `&RelayState=${escape(relayState)}`}&SigAlg=${escape(`${ns.more}rsa-sha256`)}`;
        return unsigned ? text.replace(/&SigAlg=.*/, '') : `${text}&Signature=${escape(sign('sha256', Buffer.from(text), pair.key).toString('base64'))}`;
    }
}

// ---- what Tulle says ----

/** What is in the address or the form of a SAML message of Tulle's: {xml, relayState, query}. */
export function messageOf(url, field = 'SAMLRequest') {
    const { search, searchParams } = new URL(url);
    return { xml: inflateRawSync(Buffer.from(searchParams.get(field), 'base64')).toString(), relayState: searchParams.get('RelayState'), query: search.slice(1) };
}

/** The service provider as its metadata says: {entityId, acs, slo, cert, signing, encryption}, the last two lists of certificates. */
export function spOf(metadata) {
    const pem = (cert) => `-----BEGIN CERTIFICATE-----\n${cert.replaceAll(/(.{64})/g, '$1\n')}\n-----END CERTIFICATE-----\n`;
    const certs = (use) => [...metadata.matchAll(new RegExp(`use="${use}"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>([^<]*)`, 'g'))].map(([, cert]) => pem(cert));
    return {
        entityId: / entityID="([^"]*)"/.exec(metadata)[1],
        acs: /AssertionConsumerService [^>]*Location="([^"]*)"/.exec(metadata)[1],
        slo: /SingleLogoutService [^>]*Location="([^"]*)"/.exec(metadata)[1],
        cert: certs('signing')[0],
        signing: certs('signing'),
        encryption: certs('encryption'),
    };
}

export const publicKeyOf = (cert) => new X509Certificate(cert).publicKey;
