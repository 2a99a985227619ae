// What a forger makes of a genuine answer whose signature they cannot make: everything known against SAML's readers. Each is
// {name, forge(g)}; g: {xml, evil (an unsigned assertion of another identity), envelope(content, id) (an unsigned response)}.
import { createHash } from 'node:crypto';
import { idOf, newId, ns, signatureOf } from './saml-forge.mjs';

const assertionPattern = /<saml:(Encrypted)?Assertion .*<\/saml:(Encrypted)?Assertion>/s;
export const assertionOf = (xml) => assertionPattern.exec(xml)[0];
const withAssertion = (xml, text) => xml.replace(assertionPattern, () => text);
const withoutSignature = (xml) => xml.replace(signatureOf(xml), '');
const behindIssuer = (xml, text) => xml.replace('</saml:Issuer>', () => `</saml:Issuer>${text}`);
const withId = (xml, id) => xml.replace(/ ID="[^"]*"/, ` ID="${id}"`);
const insideSignature = (signature, text) => signature.replace('</ds:Signature>', () => `${text}</ds:Signature>`);
const beforeEnd = (xml, name, text) => xml.slice(0, xml.lastIndexOf(`</${name}>`)) + text + xml.slice(xml.lastIndexOf(`</${name}>`));
const object = (text) => `<ds:Object>${text}</ds:Object>`;
const inStatus = (xml, text) => xml.replace('</samlp:Status>', () => `<samlp:StatusDetail>${text}</samlp:StatusDetail></samlp:Status>`);
const extensions = (text) => `<samlp:Extensions>${text}</samlp:Extensions>`;

/** A forged response that carries the genuine one's signature. */
const wrapped = (make) => ({ xml, evil, envelope }, id) => make({ forged: envelope(evil, id), signature: signatureOf(xml), genuine: withoutSignature(xml) });

/** On answers whose response is signed. */
const ofResponses = {
    'XSW1, genuine response inside the signature': wrapped(({ forged, signature, genuine }) => behindIssuer(forged, insideSignature(signature, genuine))),
    'XSW1b, inside ds:Object': wrapped(({ forged, signature, genuine }) => behindIssuer(forged, insideSignature(signature, object(genuine)))),
    'XSW1c, inside Extensions': wrapped(({ forged, signature, genuine }) => behindIssuer(forged, signature + extensions(genuine))),
    'XSW1d, inside StatusDetail': wrapped(({ forged, signature, genuine }) => inStatus(behindIssuer(forged, signature), genuine)),
    'XSW2, detached signature': wrapped(({ forged, signature, genuine }) => behindIssuer(forged, genuine + signature)),
    'XSW11, two responses nested': ({ xml, evil, envelope }, id) => envelope(evil + xml, id),
    'the genuine response inside a forged one': ({ xml, evil, envelope }, id) => envelope(xml + evil, id),
};

/** On answers whose assertion is signed. */
const ofAssertions = {
    'XSW3, forged assertion first': ({ xml, evil }) => withAssertion(xml, evil + assertionOf(xml)),
    'XSW3b, forged assertion last': ({ xml, evil }) => withAssertion(xml, assertionOf(xml) + evil),
    'XSW4, genuine assertion inside the forged one': ({ xml, evil }) => withAssertion(xml, beforeEnd(evil, 'saml:Assertion', assertionOf(xml))),
    'XSW5, signature in the forged one, genuine beside': ({ xml, evil }) =>
        withAssertion(xml, behindIssuer(evil, signatureOf(assertionOf(xml))) + withoutSignature(assertionOf(xml))),
    'XSW6, genuine inside the signature in the forged one': ({ xml, evil }) =>
        withAssertion(xml, behindIssuer(evil, insideSignature(signatureOf(assertionOf(xml)), withoutSignature(assertionOf(xml))))),
    'XSW7, forged assertion in Extensions': ({ xml, evil }) => behindIssuer(xml, extensions(evil)),
    'XSW8, genuine inside ds:Object of the forged one\'s signature': ({ xml, evil }) =>
        withAssertion(xml, behindIssuer(evil, insideSignature(signatureOf(assertionOf(xml)), object(withoutSignature(assertionOf(xml)))))),
    'XSW9, genuine assertion in StatusDetail': ({ xml, evil }) => inStatus(withAssertion(xml, evil), assertionOf(xml)),
    'XSW10, genuine assertion in Advice': ({ xml, evil }) => withAssertion(xml, beforeEnd(evil, 'saml:Assertion', `<saml:Advice>${assertionOf(xml)}</saml:Advice>`)),
};

/** On anything. */
const ofAny = {
    'forged assertion in place': ({ xml, evil }) => withAssertion(xml, evil),
    'forged assertion beside': ({ xml, evil }) => withAssertion(xml, assertionOf(xml) + evil),
    'forged assertion before': ({ xml, evil }) => withAssertion(xml, evil + assertionOf(xml)),
    'forged assertion in StatusDetail': ({ xml, evil }) => inStatus(xml, evil),
    'forged assertion in Extensions': ({ xml, evil }) => behindIssuer(xml, extensions(evil)),
    'forged NameID': ({ xml }) => xml.replace('>ada-17<', '>eve-1<').replaceAll('ada@corp', 'eve@corp'),
    'no signature at all': ({ xml, evil }) => withAssertion(xml.replaceAll(/<ds:Signature .*?<\/ds:Signature>/gs, ''), evil),
    'digest of the forged text': ({ xml, evil }) => {
        const text = withAssertion(xml, evil);
        return text.replace(/(<ds:DigestValue>)[^<]*/, `$1${createHash('sha256').update(evil).digest('base64')}`);
    },
    'comment inside the digest': ({ xml }) => xml.replace(/<ds:DigestValue>(.{8})/, '<ds:DigestValue>$1<!-- x -->').replace('>ada-17<', '>eve-1<'),
    'two digest values': ({ xml }) => xml.replace(/(<ds:DigestValue>[^<]*<\/ds:DigestValue>)/, '$1$1').replace('>ada-17<', '>eve-1<'),
    'comment in the NameID': ({ xml }) => xml.replace('>ada-17<', '>eve-1<!-- ada-17 --><'),
    'comment after the name': ({ xml }) => xml.replace('>ada-17<', '>ada-17<!-- --><').replace('ada@corp.example<', 'ada@corp.example<!-- -->.evil.example<'),
    'processing instruction in the NameID': ({ xml }) => xml.replace('>ada-17<', '>ada<?x y?>-17<'),
    'CDATA in the NameID': ({ xml }) => xml.replace('>ada-17<', '><![CDATA[eve-1]]><'),
    'document type': ({ xml }) => `<!DOCTYPE x>${xml}`,
    'external entity': ({ xml }) => `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>${xml.replace('>ada-17<', '>&e;<')}`,
    'internal entity': ({ xml }) => `<!DOCTYPE x [<!ENTITY e "eve-1">]>${xml.replace('>ada-17<', '>&e;<')}`,
    'entities of entities': ({ xml }) => `<!DOCTYPE x [<!ENTITY a "${'x'.repeat(50)}">${[...'bcdefgh'].map((c, i) => `<!ENTITY ${c} "${`&${'abcdefgh'[i]};`.repeat(30)}">`).join('')}]>${xml.replace('>ada-17<', '>&h;<')}`,
    'default attributes of a document type': ({ xml }) => `<!DOCTYPE x [<!ATTLIST saml:NameID ID ID "${idOf(xml)}">]>${xml}`,
    'two root elements': ({ xml, evil, envelope }) => xml + envelope(evil, newId()),
    'text behind the root': ({ xml }) => `${xml}eve-1`,
    'XInclude': ({ xml }) => inStatus(xml, '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd" parse="text"/>').replace('>ada-17<', '>eve-1<'),
    'an id twice': ({ xml }) => inStatus(xml, `<samlp:x ID="${idOf(xml)}"></samlp:x>`),
    'the assertion\'s id as xml:id': ({ xml }) => inStatus(xml, `<samlp:x xml:id="${idOf(assertionOf(xml).startsWith('<saml:E') ? xml : assertionOf(xml))}"></samlp:x>`),
    'the assertion\'s id as Id': ({ xml }) => inStatus(xml, `<samlp:x Id="${idOf(assertionOf(xml).startsWith('<saml:E') ? xml : assertionOf(xml))}"></samlp:x>`),
    'relative namespace': ({ xml }) => xml.replace('<samlp:Status>', '<samlp:Status xmlns:q="relative/uri">').replace('>ada-17<', '>eve-1<'),
    'empty namespace of a prefix': ({ xml }) => xml.replace('<samlp:Status>', '<samlp:Status xmlns:q="">'),
    'xml prefix bound anew': ({ xml }) => xml.replace('<samlp:Status>', '<samlp:Status xmlns:xml="http://evil.example/">'),
    'NUL': ({ xml }) => xml.replace('>ada-17<', '>ada-17\0<'),
    'UTF-16': ({ xml }) => Buffer.from(`\ufeff${xml}`, 'utf16le'),
    'UTF-7 by its declaration': ({ xml }) => `<?xml version="1.0" encoding="UTF-7"?>${xml.replace('>ada-17<', '>+AGUAdgBlAC0AMQ-<')}`,
    'Latin-1 by its declaration': ({ xml }) => `<?xml version="1.0" encoding="ISO-8859-1"?>${xml}`,
    'not UTF-8': ({ xml }) => Buffer.concat([Buffer.from(xml.slice(0, -20)), Buffer.from([0xc0, 0xaf]), Buffer.from(xml.slice(-20))]),
    'nested 20,000 deep': ({ xml }) => inStatus(xml, `${'<a>'.repeat(20_000)}${'</a>'.repeat(20_000)}`),
    'nested 100 deep': ({ xml }) => inStatus(xml, `${'<a>'.repeat(100)}${'</a>'.repeat(100)}`),
    '20,000 attributes': ({ xml }) => xml.replace('<samlp:Status>', () => `<samlp:Status${Array.from({ length: 20_000 }, (_, i) => ` a${i}=""`).join('')}>`),
    '20,000 elements': ({ xml }) => inStatus(xml, '<a/>'.repeat(20_000)),
    'an attribute of 240 KiB': ({ xml }) => xml.replace('<samlp:Status>', () => `<samlp:Status a="${'x'.repeat(240 * 1024)}">`).replace('>ada-17<', '>eve-1<'),
    'an attribute of 3 MiB': ({ xml }) => xml.replace('<samlp:Status>', () => `<samlp:Status a="${'x'.repeat(3 << 20)}">`),
    'a foreign element around it': ({ xml }) => `<a>${xml}</a>`,
    'an Assertion alone': ({ xml }) => assertionOf(xml),
    'nothing': () => '<a/>',
};

/** What leaves the genuine identity as it is, and may therefore be accepted: as the genuine identity only. */
export const harmless = {
    'character references': ({ xml }) => xml.replace('>ada-17<', '>ad&#97;-17<'),
    'a declaration of UTF-8': ({ xml }) => `<?xml version="1.0" encoding="utf-8"?>${xml}`,
};

/** All variants of a genuine answer: [name, text]. kind: {response, assertion: signed?, encrypted}. */
export function forgeries(kind, { xml, evilAssertion, envelope }) {
    const list = [];
    const add = (table, same) => {
        for (const [name, forge] of Object.entries(table)) {
            list.push([name, forge({ xml, evil: evilAssertion(newId()), envelope }, newId())]);
            if (same) list.push([`${name}, same id`, forge({ xml, evil: evilAssertion(kind.encrypted ? newId() : idOf(assertionOf(xml))), envelope }, idOf(xml))]);
        }
    };
    if (kind.response) add(ofResponses, true);
    if (kind.assertion && !kind.encrypted) add(ofAssertions, true);
    add(ofAny, false);
    return list;
}

/** What the genuine key signed in a way that SAML does not need: plans of signature(). */
export const strangeSignatures = {
    'reference to the empty URI (row 162)': { uri: '' },
    'reference without URI (row 162)': { uri: null },
    'reference to a file (row 162)': { uri: 'file:///etc/passwd' },
    'reference to a web address (row 162)': { uri: 'http://127.0.0.1:9/' },
    'reference by xpointer (row 162)': { uri: '#xpointer(/)' },
    'reference to another id (row 162)': { uri: '#other' },
    'two references (row 162)': { reference: (r) => r + r },
    'no reference (row 162)': { reference: () => '' },
    'XSLT transform (row 163)': { transforms: `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"></xsl:stylesheet></ds:Transform>` },
    'XPath transform (row 163)': { transforms: `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>false()</ds:XPath></ds:Transform>` },
    'base64 transform (row 163)': { transforms: `<ds:Transform Algorithm="${ns.dsig}base64"></ds:Transform>` },
    '500 transforms (row 163)': { transforms: `<ds:Transform Algorithm="${ns.exc}"></ds:Transform>`.repeat(500) },
    'inclusive canonicalization': { canonical: 'http://www.w3.org/TR/2001/REC-xml-c14n-20010315' },
    'canonicalization with comments': { canonical: `${ns.exc}WithComments` },
    'ds:Object beside': { object: '<ds:Object>x</ds:Object>' },
    'SHA-1 digest (row 160)': { digestMethod: `${ns.dsig}sha1` },
    'SHA-1 signature (row 160)': { signatureMethod: `${ns.dsig}rsa-sha1` },
    'an algorithm that does not exist': { digestMethod: `${ns.enc}none-sha256` },
};
