// Signed tokens and their keys, as programs of people make them.
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign, verify } from 'node:crypto';

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
export const decodePart = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());

const kinds = {
    ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    EdDSA: () => generateKeyPairSync('ed25519'),
};

/** {alg, kid, privateKey, jwk}: jwk is the public part. */
export function makeSigner(alg = 'ES256', kid = randomUUID()) {
    const { publicKey, privateKey } = kinds[alg]();
    return { alg, kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' } };
}

const options = { ES256: { dsaEncoding: 'ieee-p1363' } };
export function signJwt({ alg, kid, privateKey }, claims, header = {}) {
    const text = `${encode({ alg, kid, typ: 'JWT', ...header })}.${encode(claims)}`;
    const signature = sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(text), { key: createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' })), ...options[alg] });
    return `${text}.${signature.toString('base64url')}`;
}

/** The claims of a token that one of the JWKs signed; throws otherwise. */
export function verifyJwt(token, keys) {
    const [head, body, signature] = token.split('.');
    const header = decodePart(head);
    const jwk = keys.find(({ kid }) => kid === header.kid);
    if (!jwk || jwk.alg !== header.alg) throw new Error(`no key ${header.kid} for ${header.alg}`);
    const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), ...options[header.alg] };
    if (!verify('sha256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url'))) throw new Error('the signature is wrong');
    return { header, claims: decodePart(body) };
}

/** A client assertion as RFC 7523 wants it; `more` replaces and adds claims. */
export const assertionOf = (signer, client_id, audience, more = {}, header = {}) => signJwt(signer, {
    iss: client_id, sub: client_id, aud: audience, exp: Math.floor(Date.now() / 1000) + 120, iat: Math.floor(Date.now() / 1000), jti: randomUUID(), ...more,
}, header);
export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
