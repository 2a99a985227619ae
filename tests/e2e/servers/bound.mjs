// What a server does that takes tokens bound by DPoP (RFC 9449 section 4.3).
import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';

/** A function that looks at a request for `url`: {} when it is good, else { error, nonce }. `accepted` gets the claims of the good. */
export function makeProofCheck(url, accepted) {
    const known = new Set();
    return async (req, token, jkt, nonce) => {
        const given = req.headersDistinct.dpop ?? [];
        const { payload, protectedHeader: { jwk } = {} } = given.length === 1
            ? await jwtVerify(given[0], EmbeddedJWK, { algorithms: ['ES256'], typ: 'dpop+jwt' }).catch(() => ({})) : {};
        const ath = createHash('sha256').update(token).digest('base64url');
        const thumbprint = payload && await calculateJwkThumbprint(jwk);
        const isGood = payload && payload.htm === req.method && payload.htu === url && payload.ath === ath && Math.abs(payload.iat - Date.now() / 1000) < 300
            && typeof payload.jti === 'string' && !known.has(payload.jti) && jkt !== undefined && jkt === thumbprint && jwk.d === undefined;
        if (!isGood) return { error: 'invalid_dpop_proof' };
        known.add(payload.jti);
        if (nonce !== undefined && payload.nonce !== nonce) return { error: 'use_dpop_nonce', nonce };
        accepted.push({ ...payload, jkt });
        return {};
    };
}
