// A session server on SDK v1 behind a real authorization server (npm oidc-provider): dynamic registration, PKCE, resource
// indicators, rotation of refresh tokens, revocation. Its one person is always signed in and always consents. The same at /bound
// takes only tokens that are bound by DPoP (bound.mjs), as it is told (POST /_plan). PORT in the environment. Prints
// "listening PORT".
import { createServer } from 'node:http';
import { randomBytes, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { makeProofCheck } from './bound.mjs';

const port = Number(process.env.PORT);
const origin = `http://127.0.0.1:${port}`;
const resource = `${origin}/mcp`, bound = `${origin}/bound`;
const seen = { grants: [], revoked: 0, refused: 0, calls: 0, proofs: [], authorize: [] };
let plan = {};
const proofCheck = makeProofCheck(bound, seen.proofs);
const sessions = new Map();

const provider = new Provider(origin, {
    features: {
        devInteractions: { enabled: false },
        registration: { enabled: true },
        revocation: { enabled: true },
        clientCredentials: { enabled: true },
        dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => plan.issuerNonce === true },
        resourceIndicators: {
            enabled: true,
            defaultResource: () => resource,
            getResourceServerInfo: () => ({ scope: 'tools', accessTokenFormat: 'opaque', accessTokenTTL: 3600 }),
        },
    },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async () => true,
    scopes: ['openid', 'offline_access', 'tools'],
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    routes: { authorization: '/authorize', token: '/token', registration: '/register', revocation: '/revoke', jwks: '/jwks' },
});
provider.on('grant.success', (ctx) => seen.grants.push(ctx.oidc.params.grant_type));
provider.on('grant.error', (ctx, error) => seen.grants.push(`${ctx.oidc.params?.grant_type}: ${error.message}`));
provider.on('access_token.destroyed', () => seen.revoked++);
provider.on('grant.revoked', () => seen.revoked++);

async function interact(req, res) {
    const { prompt, params, grantId } = await provider.interactionDetails(req, res);
    if (prompt.name === 'login') return provider.interactionFinished(req, res, { login: { accountId: 'person' } });
    const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: 'person', clientId: params.client_id });
    grant.addOIDCScope('openid offline_access tools');
    grant.addResourceScope(params.resource, 'tools');
    seen.authorize.push(params);
    return provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

async function openSession() {
    const server = new McpServer({ name: 'guarded', version: '1.0.0' });
    server.registerTool('whoami', { description: 'who' }, (extra) => {
        seen.calls++;
        return { content: [{ type: 'text', text: JSON.stringify(extra.requestInfo.headers) }] };
    });
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => randomUUID(), onsessioninitialized: (id) => sessions.set(id, transport) });
    await server.connect(transport);
    return transport;
}

async function mcp(req, res) {
    const given = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1];
    const token = given && await provider.AccessToken.find(given);
    if (!token || token.isExpired || token.aud !== resource) {
        if (given) seen.refused++;
        res.writeHead(401, { 'www-authenticate': `Bearer resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp", scope="tools"` });
        return res.end();
    }
    return (sessions.get(req.headers['mcp-session-id']) ?? await openSession()).handleRequest(req, res);
}

async function boundMcp(req, res) {
    const given = /^DPoP (.+)$/.exec(req.headers.authorization ?? '')?.[1];
    const token = given && await provider.AccessToken.find(given) || given && await provider.ClientCredentials.find(given);
    const refuse = (error, headers = {}) => {
        const says = error ? `error="${error}", ` : '';
        res.writeHead(401, { 'www-authenticate': [`Bearer scope="tools"`, `DPoP ${says}algs="ES256", resource_metadata="${origin}/.well-known/oauth-protected-resource/bound"`], ...headers });
        res.end();
    };
    if (!token) return refuse(given && 'invalid_token');
    if (token.isExpired || token.aud !== bound) return refuse('invalid_token');
    const { error, nonce } = plan.refuseProofs ? { error: 'invalid_dpop_proof' } : await proofCheck(req, given, token.jkt, plan.resourceNonce);
    if (error) return refuse(error, nonce && { 'dpop-nonce': nonce });
    return (sessions.get(req.headers['mcp-session-id']) ?? await openSession()).handleRequest(req, res);
}

async function control(req, res) {
    let text = '';
    for await (const chunk of req) text += chunk;
    plan = JSON.parse(text);
    if (plan.forget) for (const list of [seen.grants, seen.proofs, seen.authorize]) list.length = 0;
    for (const token of plan.destroy ?? []) await (await provider.AccessToken.find(token))?.destroy();
    res.writeHead(200, { 'content-type': 'application/json' }).end('{}');
}

const oidc = provider.callback();
createServer((req, res) => {
    const { pathname } = new URL(req.url, origin);
    const run = { '/mcp': mcp, '/bound': boundMcp, '/_plan': control }[pathname] ?? (pathname.startsWith('/interaction/') ? interact : undefined);
    const answer = (value) => res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (pathname === '/_seen') return answer(seen);
    if (pathname === '/.well-known/oauth-protected-resource/mcp') return answer({ resource, authorization_servers: [origin], scopes_supported: ['tools'] });
    if (pathname === '/.well-known/oauth-protected-resource/bound')
        return answer({ resource: bound, authorization_servers: [origin], scopes_supported: ['tools'], dpop_bound_access_tokens_required: true, dpop_signing_alg_values_supported: ['ES256'] });
    if (!run) return oidc(req, res);
    return run(req, res).catch((error) => {
        console.error(error);
        res.destroy();
    });
}).listen(port, '127.0.0.1', () => console.log(`listening ${port}`));
