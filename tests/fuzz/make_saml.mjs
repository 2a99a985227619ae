// Makes the seeds of fuzz_saml and the keys that they are signed and encrypted with: genuine answers of each kind, and what
// forgers make of them. Run once; what it writes is committed: node tests/fuzz/make_saml.mjs
import { createPrivateKey } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ForgedIdp, makeCertificate, newId, ns, pemBody } from '../e2e/lib/saml-forge.mjs';
import { forgeries, strangeSignatures } from '../e2e/lib/saml-forgeries.mjs';

const here = import.meta.dirname;
const folder = join(here, 'corpus', 'saml');
const now = Date.UTC(2026, 10, 21, 12, 0, 0);
const idp = new ForgedIdp({ entityId: 'https://idp.example/saml' });
const own = makeCertificate();
const base = 'https://tulle.example/auth/saml/idp_00000000000000000000000000000000';
const sp = { entityId: `${base}/metadata`, acs: `${base}/acs`, slo: `${base}/slo`, cert: own.cert, requestId: '_request' };
const say = { now };
const lines = (base64) => base64.match(/.{1,88}/g).map((line) => `    "${line}"`).join(' \\\n');
const der = createPrivateKey(own.key).export({ format: 'der', type: 'pkcs8' }).toString('base64');
writeFileSync(join(here, 'saml_fixture.h'), `/* Written by make_saml.mjs: keys of tests, of no use elsewhere. */
#pragma once

#define SAML_NOW_MS ${now}LL
#define SAML_BASE   "${base}"
/* the identity provider's certificate, and the service provider's private key, in base64 */
/* clang-format off */
#define SAML_IDP_CERTIFICATE \\
${lines(pemBody(idp.pair.cert))}
#define SAML_SP_KEY \\
${lines(der)}
/* clang-format on */
`);

mkdirSync(folder, { recursive: true });
for (const name of readdirSync(folder)) rmSync(join(folder, name));
const keep = (name, bytes) => {
    if (bytes.length <= 16 * 1024) writeFileSync(join(folder, name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_')), bytes);
};
const kinds = {
    assertion: [{ assertion: true }, { sign: 'assertion' }],
    response: [{ response: true }, { sign: 'response' }],
    both: [{ response: true, assertion: true }, { sign: 'both' }],
    encrypted: [{ assertion: true, encrypted: true }, { sign: 'assertion', encrypt: {} }],
    'encrypted response': [{ response: true, encrypted: true }, { sign: 'response', encrypt: { dataMethod: `${ns.enc}aes128-cbc` } }],
};
for (const [kind, [what, how]] of Object.entries(kinds)) {
    const xml = idp.respond(sp, say, how);
    keep(`genuine ${kind}`, xml);
    const all = forgeries(what, {
        xml, evilAssertion: (id) => idp.assertion(sp, { ...say, name: 'eve-1', assertionId: id }), envelope: (content, id) => idp.envelope(sp, content, { ...say, responseId: id }),
    });
    for (const [name, text] of all) if (kind === 'assertion' || (kind !== 'encrypted' && name.startsWith('XSW'))) keep(`${kind} ${name}`, text);
}
for (const [name, signature] of Object.entries(strangeSignatures)) keep(`strange ${name}`, idp.respond(sp, say, { signature }));
keep('metadata', idp.metadata());
keep('eve unsigned', idp.respond(sp, { ...say, name: 'eve-1' }, { sign: 'none' }));
keep('unasked', idp.respond(sp, { ...say, inResponseTo: null, requestId: newId() }));
