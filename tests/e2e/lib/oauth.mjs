// An OAuth client as a person's program is one: registration, PKCE, the browser's way through sign-in and consent, tokens.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Browser, decode, onward } from './browser.mjs';
import { send } from './http.mjs';
import { guard, plant } from './secrets.mjs';

export const loopback = 'http://127.0.0.1:7777/callback';

/** An account with a password: {email, password, user_id}. */
export async function makePerson(tulle, email, ...flags) {
    const password = plant(`password of ${email}`);
    const { code, stderr, stdout } = await tulle.cli(['user', 'create', '--email', email, '--password-stdin', ...flags], { stdin: `${password}\n` });
    assert.equal(code, 0, stderr);
    return { email, password, user_id: stdout.trim() };
}

/** An organization whose owner can sign in: {slug, org_id, key, email, password, user_id}. */
export async function makeOwner(tulle, slug, ...flags) {
    const person = await makePerson(tulle, `owner@${slug}.example`, ...flags);
    const org_id = await tulle.must('org', 'create', '--name', `The ${slug}`, '--slug', slug, '--owner', person.email);
    return { slug, org_id, ...person, key: await tulle.makeKey(slug, person.email) };
}

/** A browser with this person signed in. */
export async function signedIn(tulle, { email, password }) {
    const browser = new Browser(tulle.url);
    const page = await browser.signIn(email, password);
    assert.equal(page.status, 200, page.html);
    return browser;
}

export function pkce() {
    const verifier = randomBytes(32).toString('base64url');
    return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

/** POST with a form: {status, headers, body}. */
export const form = (url, fields, headers = {}) => send(url, {
    body: typeof fields === 'string' ? fields : new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
});

export const register = (tulle, metadata) => send(`${tulle.url}/oauth/register`, { body: metadata });

/** A registered public client; `metadata` adds to what it says of itself. */
export async function makeClient(tulle, metadata = {}) {
    const { status, body, text } = await register(tulle,
        { client_name: 'A test program', redirect_uris: [loopback], token_endpoint_auth_method: 'none', ...metadata });
    assert.equal(status, 201, text);
    if (body.client_secret) guard(body.client_secret, 'client secret');
    return { ...body, redirect_uri: body.redirect_uris[0] };
}

/** The parameters of a good request for authorization; `more` replaces and adds (undefined removes). */
export function request(client, { challenge }, more = {}) {
    const all = {
        response_type: 'code', client_id: client.client_id, redirect_uri: client.redirect_uri, code_challenge: challenge,
        code_challenge_method: 'S256', state: 's t&1', scope: 'mcp', ...more,
    };
    return new URLSearchParams(Object.entries(all).filter(([, value]) => value !== undefined)).toString();
}

/** What a redirect to the client says. */
export function answerOf(page, redirectUri = loopback) {
    const to = onward(page);
    assert.ok(to, page.html);
    assert.ok(to.startsWith(redirectUri), `${to} leads to ${redirectUri}`);
    return Object.fromEntries(new URL(to).searchParams);
}

/** The consent page's answer, sent as the browser would: the redirect, not followed. */
export async function decide(browser, decision, { fields = {}, headers } = {}) {
    const { fields: given } = browser.page.form('/oauth/consent');
    const chosen = /name="target" value="([^"]*)" checked/.exec(browser.page.html)?.[1];
    const body = { ...given, ...(chosen && { target: decode(chosen) }), decision, ...fields };
    return browser.request('/oauth/consent', { method: 'POST', body: new URLSearchParams(body).toString(), headers });
}

/** Through the consent page to a code: {code, verifier}. The browser is signed in. */
export async function obtainCode(browser, client, more = {}) {
    const proof = pkce();
    await browser.open(`/oauth/authorize?${request(client, proof, more)}`);
    assert.equal(browser.page.status, 200, browser.page.html);
    const { code } = answerOf(await decide(browser, 'allow'), more.redirect_uri ?? client.redirect_uri);
    return { code: guard(code, 'authorization code'), verifier: proof.verifier };
}

export const redeem = (tulle, client, { code, verifier }, more = {}, headers = {}) => form(`${tulle.url}/oauth/token`,
    { grant_type: 'authorization_code', client_id: client.client_id, code, code_verifier: verifier, ...more }, headers);

export const refresh = (tulle, client, refresh_token, more = {}) =>
    form(`${tulle.url}/oauth/token`, { grant_type: 'refresh_token', client_id: client.client_id, refresh_token, ...more });

/** All the way: the answer of the token endpoint. */
export async function obtainTokens(tulle, browser, client, more = {}) {
    const { status, body, text } = await redeem(tulle, client, await obtainCode(browser, client, more));
    assert.equal(status, 200, text);
    guard(body.access_token, 'access token');
    guard(body.refresh_token, 'refresh token');
    return body;
}
