// Identity providers for Tulle as a client: one that signs correctly and says what it is told, and the person who goes there.
import assert from 'node:assert/strict';
import { createHash, createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Browser } from './browser.mjs';

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
export const nowS = () => Math.floor(Date.now() / 1000);

export function makeKey(kid = `k${randomBytes(6).toString('hex')}`) {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    return { kid, publicKey, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' } };
}

/** A token whose signature is as the plan says: by the provider's key, or by whatever a liar would use. */
function signed(claims, header, { key, alg = 'RS256', mac, signature }) {
    const text = `${encode({ alg, kid: key.kid, typ: 'JWT', ...header })}.${encode(claims)}`;
    if (signature !== undefined) return `${text}.${signature}`;
    if (mac !== undefined) return `${text}.${createHmac('sha256', mac).update(text).digest('base64url')}`;
    return `${text}.${sign('sha256', Buffer.from(text), key.privateKey).toString('base64url')}`;
}

/**
 * An OpenID provider and a GitHub at one port. `plan` says how it lies: metadata, jwks, claims (undefined removes one), header,
 * sign, token (a function of the answer's members, or of (req, res)), userinfo, user, emails.
 */
export class LyingProvider {
    constructor() {
        this.keys = [makeKey()];
        this.plan = {};
        this.codes = new Map();
        this.seen = { metadata: 0, jwks: 0, token: [], userinfo: [], other: [] };
    }

    async start() {
        this.server = createServer((req, res) => this.answer(req, res).catch((error) => res.writeHead(500).end(String(error))));
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.port = this.server.address().port;
        this.issuer = `http://127.0.0.1:${this.port}`;
        return this;
    }

    end() {
        this.server.closeAllConnections();
        return new Promise((resolve) => this.server.close(resolve));
    }

    metadata() {
        return { issuer: this.issuer, authorization_endpoint: `${this.issuer}/authorize`, token_endpoint: `${this.issuer}/token`,
            jwks_uri: `${this.issuer}/jwks`, authorization_response_iss_parameter_supported: true, ...this.plan.metadata };
    }

    /** What an honest provider would say of a code, with the plan's lies. */
    idToken(code, accessToken) {
        const { nonce, client_id } = this.codes.get(code);
        const { claims: lies, header, sign: how } = this.plan;
        const claims = { iss: this.issuer, aud: client_id, sub: 'ada', iat: nowS(), exp: nowS() + 300, nonce, email: 'ada@example.test', email_verified: true,
            name: 'Ada', at_hash: createHash('sha256').update(accessToken).digest().subarray(0, 16).toString('base64url'), ...lies };
        return signed(claims, header, { key: this.keys[0], ...how });
    }

    /** That somebody signed out, with lies; sent over the back channel. */
    logout(home, providerId, lies = {}, { header, sign: how } = {}) {
        const claims = { iss: this.issuer, aud: 'tulle', sub: 'ada', iat: nowS(), exp: nowS() + 120, jti: randomBytes(8).toString('hex'),
            events: { 'http://schemas.openid.net/event/backchannel-logout': {} }, ...lies };
        const token = signed(claims, { typ: 'logout+jwt', ...header }, { key: this.keys[0], ...how });
        const send = () => fetch(`${home}/auth/oidc/${providerId}/backchannel_logout`, { method: 'POST', body: new URLSearchParams({ logout_token: token }) });
        return { send, token };
    }

    async answer(req, res) {
        const json = (status, value) => res.writeHead(status, { 'content-type': 'application/json' }).end(typeof value === 'string' ? value : JSON.stringify(value));
        const path = new URL(req.url, this.issuer).pathname;
        const own = this.plan[path];
        if (own) return own(req, res, json);
        if (path === '/.well-known/openid-configuration') {
            this.seen.metadata++;
            return json(200, this.metadata());
        }
        if (path === '/jwks') {
            this.seen.jwks++;
            return json(200, this.plan.jwks ?? { keys: this.keys.map(({ jwk }) => jwk) });
        }
        if (path === '/token') return this.token(req, res, json);
        if (path === '/userinfo' || path === '/user' || path === '/user/emails') {
            this.seen.userinfo.push({ path, authorization: req.headers.authorization });
            return json(200, this.plan[{ '/userinfo': 'userinfo', '/user': 'user', '/user/emails': 'emails' }[path]] ?? {});
        }
        this.seen.other.push(path);
        return json(404, {});
    }

    async token(req, res, json) {
        let text = '';
        for await (const chunk of req) text += chunk;
        const form = Object.fromEntries(new URLSearchParams(text));
        this.seen.token.push({ form, authorization: req.headers.authorization });
        const asked = this.codes.get(form.code);
        const challenge = createHash('sha256').update(form.code_verifier ?? '').digest('base64url');
        if (!asked || asked.code_challenge !== challenge || asked.redirect_uri !== form.redirect_uri) return json(400, { error: 'invalid_grant' });
        const access_token = `at${randomBytes(16).toString('hex')}`;
        const good = { access_token, token_type: 'Bearer', expires_in: 300, ...(asked.nonce && { id_token: this.idToken(form.code, access_token) }) };
        return this.plan.token ? this.plan.token(good, res, json) : json(200, good);
    }
}

const dirs = [];
process.on('exit', () => {
    for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

/** A file for AUTH_CONFIG. */
export function authConfig(value) {
    dirs.push(mkdtempSync(join(tmpdir(), 'tulle-auth-')));
    const path = join(dirs.at(-1), 'auth-config.json');
    writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
    return path;
}

/** The person's way to a provider and back. */
export class Traveller extends Browser {
    /** What Tulle asks of the provider: the parameters of the authorization address. */
    async leave(providerId, query = '') {
        const page = await this.request(`/auth/oidc/${providerId}/start${query}`);
        assert.equal(page.status, 303, page.text);
        this.address = new URL(page.headers.location);
        return Object.fromEntries(this.address.searchParams);
    }

    /** There and back: `answer` changes what the provider puts into the address. The page where that ends. */
    async travel(provider, providerId, { answer = {}, query = '' } = {}) {
        const asked = await this.leave(providerId, query);
        return this.arrive(provider, providerId, asked, answer);
    }

    async arrive(provider, providerId, asked, answer = {}) {
        const code = `code${randomBytes(12).toString('hex')}`;
        provider.codes.set(code, asked);
        const back = new URLSearchParams();
        const members = { code, state: asked.state, ...(asked.nonce && { iss: provider.issuer }), ...answer };
        for (const [name, value] of Object.entries(members)) for (const one of [value].flat()) if (one !== null) back.append(name, one);
        return this.request(`/auth/oidc/${providerId}/callback?${back}`);
    }
}

/** The ids of the installation's providers by their names, as an account's page offers them. */
export async function providerIds(browser) {
    const page = await browser.open('/account/identities');
    return Object.fromEntries([...page.html.matchAll(/<strong>([^<]*)<\/strong>.*?name="provider_id" value="(idp_[0-9a-f]{32})"/gs)].map(([, name, id]) => [name, id]));
}
