// Real OAuth clients, each through its own discovery, registration, authorization, token and refresh: auth() of the official
// SDKs v1 and v2, openid-client and oauth4webapi.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2, UnauthorizedError as UnauthorizedV2 } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { Browser } from './lib/browser.mjs';
import { textOf } from './lib/clients.mjs';
import { rpc } from './lib/http.mjs';
import { answerOf, decide, loopback, makeOwner } from './lib/oauth.mjs';
import { guard } from './lib/secrets.mjs';
import { startEverything, startV1, startV2 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, connection, modern, everything, issuer;
before(async () => {
    const [program, server, v2, reference] = await Promise.all([startTulle(), startV1(), startV2({ isModernOnly: true }), startEverything()]);
    tulle = program;
    issuer = `http://localhost:${tulle.port}`;
    org = await makeOwner(tulle, 'acme');
    connection = await tulle.connect(org, { name: 'Fixture', slug: 'fixture', url: server.url });
    modern = await tulle.connect(org, { name: 'Modern', slug: 'modern', url: v2.url });
    everything = await tulle.connect(org, { name: 'Everything', slug: 'everything', url: reference.url });
});
after(() => tulle?.end());

/** The person: from the address that a program opens to the redirect back to it. */
async function person(address, redirectUri = loopback) {
    const url = new URL(address);
    const browser = new Browser(url.origin);
    await browser.open(url.pathname + url.search);
    if (browser.page.path === '/login') await browser.submit('/login', { email: org.email, password: org.password });
    assert.equal(browser.page.status, 200, browser.page.html);
    const decided = await decide(browser, 'allow');
    const answer = answerOf(decided, redirectUri);
    if (answer.code) guard(answer.code, 'authorization code');
    return new URL(decided.headers.location);
}

/** What a program built on the SDK keeps. */
class Provider {
    redirectUrl = loopback;
    clientMetadata = { client_name: 'SDK', redirect_uris: [loopback], token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] };
    registrations = 0;

    clientInformation() { return this.client; }
    saveClientInformation(client) { this.client = client; this.registrations++; }
    tokens() { return this.kept; }
    saveTokens(kept) {
        guard(kept.access_token, 'access token');
        guard(kept.refresh_token, 'refresh token');
        this.kept = kept;
    }
    redirectToAuthorization(url) { this.opened = url; }
    saveCodeVerifier(verifier) { this.verifier = verifier; }
    codeVerifier() { return this.verifier; }
    state() { return 'state of the program'; }
    invalidateCredentials(what) {
        if (what === 'all' || what === 'client') delete this.client;
        if (what === 'all' || what === 'tokens') delete this.kept;
    }
}

/** Connects with nothing but the address; gives the person's browser its turn. */
async function connectSdk(address, provider) {
    const transport = () => new StreamableHTTPClientTransport(new URL(address), { authProvider: provider });
    const first = transport();
    await assert.rejects(new Client({ name: 'e2e', version: '1' }).connect(first), UnauthorizedError);
    const back = await person(provider.opened);
    assert.equal(back.searchParams.get('state'), 'state of the program');
    await first.finishAuth(back.searchParams.get('code'));
    const client = new Client({ name: 'e2e', version: '1' });
    await client.connect(transport());
    return client;
}

for (const [name, address] of [['its id', () => connection.mcp], ['its slugs', () => `${issuer}/mcp/acme/fixture`], ['a trailing slash', () => `${issuer}/mcp/${connection.id}/`]]) {
    test(`SDK v1 auth(): from an address alone to a tool call, by ${name}`, async () => {
        const provider = new Provider();
        const client = await connectSdk(address(), provider);
        const answer = await client.callTool({ name: 'echo', arguments: { text: 'hello' } });
        assert.match(JSON.stringify(answer.content), /hello/);
        await client.close();
    });
}

test('SDK v1 auth(): the reference server', async () => {
    const client = await connectSdk(everything.mcp, new Provider());
    assert.match(textOf(await client.callTool({ name: 'echo', arguments: { message: 'hello' } })), /hello/);
    await client.close();
});

test('SDK v1 auth(): the management server, with the scope that its challenge names', async () => {
    const provider = new Provider();
    const client = await connectSdk(`${issuer}/mcp`, provider);
    assert.equal(provider.kept.scope, 'mcp:manage');
    const { structuredContent } = await client.callTool({ name: 'CONNECTION_LIST', arguments: {} });
    assert.equal(structuredContent.items[0].id, connection.id);
    await client.close();
});

test('SDK v1 auth(): a token that ended is refreshed without the person; a revoked grant asks again, with the same client', async () => {
    const provider = new Provider();
    const client = await connectSdk(connection.mcp, provider);
    const before = provider.kept;
    await fetch(`${issuer}/oauth/revoke`, { method: 'POST', body: new URLSearchParams({ client_id: provider.client.client_id, token: before.access_token }) });
    assert.ok((await client.listTools()).tools.length > 0);
    assert.notEqual(provider.kept.refresh_token, before.refresh_token);
    await fetch(`${issuer}/oauth/revoke`, { method: 'POST', body: new URLSearchParams({ client_id: provider.client.client_id, token: provider.kept.refresh_token }) });
    delete provider.opened;
    await assert.rejects(client.listTools(), UnauthorizedError);
    assert.ok(provider.opened, 'the browser is opened again');
    assert.equal(provider.registrations, 1, 'invalid_grant drops the tokens, not the client');
    await client.close();
});

test('SDK v1 auth(): a client that was deleted registers again by itself', async () => {
    const provider = new Provider();
    provider.clientMetadata = { ...provider.clientMetadata, client_name: 'Deleted' };
    const client = await connectSdk(connection.mcp, provider);
    await tulle.use('OAUTH_CLIENT_DELETE', { client_id: provider.client.client_id }, org);
    await assert.rejects(client.listTools(), UnauthorizedError);
    assert.equal(provider.registrations, 2);
    await client.close();
});

/** With what v2 asks for beside: where it found the authorization server, so that the code goes to the same one. */
class ProviderV2 extends Provider {
    saveDiscoveryState(state) { this.discovered = state; }
    discoveryState() { return this.discovered; }
    invalidateCredentials(what) {
        super.invalidateCredentials(what);
        if (what === 'all' || what === 'discovery') delete this.discovered;
    }
}

/** SDK v2: the whole of the answer goes to the transport, which checks its iss. */
async function connectV2(address, provider, mode = { pin: '2026-07-28' }) {
    const transport = () => new TransportV2(new URL(address), { authProvider: provider });
    const newClient = () => new ClientV2({ name: 'e2e', version: '1' }, { capabilities: {}, versionNegotiation: { mode } });
    const first = transport();
    await assert.rejects(newClient().connect(first), UnauthorizedV2);
    const back = await person(provider.opened);
    assert.equal(back.searchParams.get('state'), 'state of the program');
    await first.finishAuth(back.searchParams);
    const client = newClient();
    await client.connect(transport());
    return client;
}

const revoke = (client_id, token) => fetch(`${issuer}/oauth/revoke`, { method: 'POST', body: new URLSearchParams({ client_id, token }) });

test('SDK v2 auth(), modern: from an address alone to a tool call; a token that ended is refreshed; a revoked grant asks again', async () => {
    const provider = new ProviderV2();
    const client = await connectV2(modern.mcp, provider);
    assert.ok((await client.listTools()).tools.some((tool) => tool.name === 'echo'));
    assert.match(textOf(await client.callTool({ name: 'echo', arguments: { text: 'hello' } })), /hello/);
    const before = provider.kept;
    await revoke(provider.client.client_id, before.access_token);
    assert.match(textOf(await client.callTool({ name: 'echo', arguments: { text: 'again' } })), /again/);
    assert.notEqual(provider.kept.refresh_token, before.refresh_token);
    await revoke(provider.client.client_id, provider.kept.refresh_token);
    delete provider.opened;
    await assert.rejects(client.callTool({ name: 'echo', arguments: { text: 'no' } }), UnauthorizedV2);
    assert.ok(provider.opened, 'the browser is opened again');
    assert.equal(provider.registrations, 1);
    await client.close();
});

test('SDK v2 auth(), modern: the management server', async () => {
    const provider = new ProviderV2();
    const client = await connectV2(`${issuer}/mcp`, provider);
    assert.equal(provider.kept.scope, 'mcp:manage offline_access');
    const { structuredContent } = await client.callTool({ name: 'CONNECTION_GET', arguments: { connection_id: modern.id } });
    assert.equal(structuredContent.item.id, modern.id);
    await client.close();
});

test('SDK v2 auth(), by sessions: the reference server', async () => {
    const client = await connectV2(everything.mcp, new ProviderV2(), 'legacy');
    assert.match(textOf(await client.callTool({ name: 'echo', arguments: { message: 'hello' } })), /hello/);
    await client.close();
});

test('SDK v2 auth(): a client that was deleted registers again by itself', async () => {
    const provider = new ProviderV2();
    provider.clientMetadata = { ...provider.clientMetadata, client_name: 'Deleted too' };
    const client = await connectV2(modern.mcp, provider);
    await tulle.use('OAUTH_CLIENT_DELETE', { client_id: provider.client.client_id }, org);
    await assert.rejects(client.listTools(), UnauthorizedV2);
    assert.equal(provider.registrations, 2);
    await client.close();
});

test('oauth4webapi: discovery by both documents, registration, code, refresh, revocation, every answer validated', async () => {
    const insecure = { [oauth.allowInsecureRequests]: true };
    for (const algorithm of ['oauth2', 'oidc']) {
        const as = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), { algorithm, ...insecure }));
        const client = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, { redirect_uris: [loopback], client_name: 'oauth4webapi' }, insecure));
        guard(client.client_secret, 'client secret');
        const authentication = oauth.ClientSecretBasic(client.client_secret);
        const verifier = oauth.generateRandomCodeVerifier(), state = oauth.generateRandomState();
        const url = new URL(as.authorization_endpoint);
        url.search = new URLSearchParams({
            client_id: client.client_id, redirect_uri: loopback, response_type: 'code', scope: 'mcp', code_challenge_method: 'S256', state,
            code_challenge: await oauth.calculatePKCECodeChallenge(verifier), resource: connection.mcp,
        });
        const params = oauth.validateAuthResponse(as, client, await person(url), state); // checks iss
        const answer = await oauth.processAuthorizationCodeResponse(as, client, await oauth.authorizationCodeGrantRequest(as, client, authentication, params, loopback, verifier, insecure));
        guard(answer.access_token, 'access token');
        guard(answer.refresh_token, 'refresh token');
        assert.equal((await rpc(connection.mcp, 'tools/list', {}, { key: answer.access_token })).status, 200);
        const next = await oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, authentication, answer.refresh_token, insecure));
        const told = await oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, authentication, next.access_token, insecure));
        assert.equal(told.active, true);
        await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, authentication, next.refresh_token, insecure));
        assert.equal((await rpc(connection.mcp, 'tools/list', {}, { key: next.access_token })).status, 401);
        await assert.rejects(async () => oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, authentication, next.refresh_token, insecure)),
            (error) => error.error === 'invalid_grant');
    }
});

test('openid-client: registration as a public client, code, refresh', async () => {
    const options = { execute: [openid.allowInsecureRequests], algorithm: 'oauth2' };
    const config = await openid.dynamicClientRegistration(new URL(issuer), { redirect_uris: [loopback], token_endpoint_auth_method: 'none' }, openid.None(), options);
    const verifier = openid.randomPKCECodeVerifier(), state = openid.randomState();
    const url = openid.buildAuthorizationUrl(config, {
        redirect_uri: loopback, scope: 'mcp offline_access', state, resource: connection.mcp, prompt: 'consent',
        code_challenge: await openid.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    });
    const answer = await openid.authorizationCodeGrant(config, await person(url), { pkceCodeVerifier: verifier, expectedState: state });
    guard(answer.access_token, 'access token');
    guard(answer.refresh_token, 'refresh token');
    assert.equal(answer.scope, 'mcp offline_access');
    const next = await openid.refreshTokenGrant(config, answer.refresh_token, { resource: connection.mcp });
    assert.equal((await rpc(connection.mcp, 'tools/list', {}, { key: next.access_token })).status, 200);
});
